//! Which directories of the host the container sees, each under its own path.

use std::path::{Component, Path, PathBuf};

use k8s_openapi::api::core::v1::{HostPathVolumeSource, Volume, VolumeMount};

use super::{Credentials, Options, blame, is_given};
use crate::config::{Problem, Resolved};

/// A directory of the host.
#[derive(Debug)]
pub(super) struct Mount {
    name: &'static str,
    directory: PathBuf,
    access: Access,
}

/// What the container may do with it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Access {
    /// Read what others put there. It is there, or the kubelet waits until it is.
    Read,
    /// Write into it; the kubelet makes it.
    Write,
}

impl Mount {
    pub(super) fn volume(&self) -> Volume {
        let type_ = match self.access {
            Access::Read => "Directory",
            Access::Write => "DirectoryOrCreate",
        };
        let path = self.directory.display().to_string();
        let host_path = Some(HostPathVolumeSource { path, type_: Some(type_.to_owned()) });
        Volume { name: self.name.to_owned(), host_path, ..Volume::default() }
    }

    pub(super) fn volume_mount(&self) -> VolumeMount {
        VolumeMount {
            name: self.name.to_owned(),
            mount_path: self.directory.display().to_string(),
            read_only: (self.access == Access::Read).then_some(true),
            ..VolumeMount::default()
        }
    }
}

/// The directories of the credentials, of the probed server's authority and of the status socket.
pub(super) fn mounts(resolved: &Resolved, options: &Options) -> Result<Vec<Mount>, Vec<Problem>> {
    let mut plan = Plan { resolved, mounts: Vec::new(), problems: Vec::new() };
    let kubeconfig = resolved.config.kubernetes.kubeconfig.as_deref();
    match options.credentials {
        Credentials::Host => {
            plan.read("credentials", KUBECONFIG, kubeconfig.unwrap_or_else(|| Path::new(ADMIN)))
        }
        Credentials::ServiceAccount if is_given(resolved, KUBECONFIG) => {
            let reason = "contradicts --inCluster, by which the pod uses its service account";
            plan.problems.push(blame(resolved, KUBECONFIG, reason, "keep one of the two"));
        }
        Credentials::ServiceAccount => {}
    }
    if let Some(ca) = resolved.config.health.as_ref().and_then(|health| health.ca_path.as_deref()) {
        plan.read("health-ca", HEALTH_CA, ca);
    }
    plan.write("run", SOCKET, &resolved.config.admin.socket);
    if plan.problems.is_empty() { Ok(plan.mounts) } else { Err(plan.problems) }
}

struct Plan<'a> {
    resolved: &'a Resolved,
    mounts: Vec<Mount>,
    problems: Vec<Problem>,
}

impl Plan<'_> {
    /// The whole directory, so that a file is found that comes later, or is replaced.
    fn read(&mut self, name: &'static str, key: &str, file: &Path) {
        match directory(file, READ_DEPTH) {
            Ok(directory) if self.is_mounted(&directory) => {}
            Ok(directory) => self.mounts.push(Mount { name, directory, access: Access::Read }),
            Err(reason) => self.refuse(key, reason),
        }
    }

    fn write(&mut self, name: &'static str, key: &str, file: &Path) {
        match directory(file, WRITE_DEPTH) {
            Ok(directory) if self.is_mounted(&directory) => {
                self.refuse(key, "lies where the container may only read")
            }
            Ok(directory) => self.mounts.push(Mount { name, directory, access: Access::Write }),
            Err(reason) => self.refuse(key, reason),
        }
    }

    fn is_mounted(&self, directory: &Path) -> bool {
        self.mounts.iter().any(|mount| directory.starts_with(&mount.directory))
    }

    fn refuse(&mut self, key: &str, reason: &str) {
        let fix = "name a file in a directory of its own, which is mounted into the container";
        self.problems.push(blame(self.resolved, key, reason, fix));
    }
}

/// The directory of a file, where it is one that a container can be given.
fn directory(file: &Path, depth: usize) -> Result<PathBuf, &'static str> {
    let is_plain = file.components().skip(1).all(|part| matches!(part, Component::Normal(_)));
    if !file.has_root() || !is_plain {
        return Err("not an absolute path without ..");
    }
    if file.display().to_string().contains(':') {
        return Err("a container cannot mount a path with a colon");
    }
    let directory: PathBuf = file.parent().into_iter().flat_map(Path::components).collect();
    match directory.components().count() > depth {
        true => Ok(directory),
        false => Err("its directory is too much of the host to give to a container"),
    }
}

const KUBECONFIG: &str = "kubernetes.kubeconfig";
const HEALTH_CA: &str = "health.caPath";
const SOCKET: &str = "admin.socket";
/// Where nothing is named the daemon looks for this file and the super-admin's beside it.
const ADMIN: &str = "/etc/kubernetes/admin.conf";
/// Not `/` itself.
const READ_DEPTH: usize = 1;
/// Not `/run` either: others' sockets are there.
const WRITE_DEPTH: usize = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_directory_that_can_be_given_to_a_container_is_mounted() {
        let read = |file| directory(Path::new(file), READ_DEPTH).map(|found| found.display().to_string());
        let write = |file| directory(Path::new(file), WRITE_DEPTH).map(|found| found.display().to_string());
        assert_eq!(read("/etc//rancher/k3s/./k3s.yaml"), Ok("/etc/rancher/k3s".into()));
        assert_eq!(read("/root/admin.conf"), Ok("/root".into()));
        let too_much = Err("its directory is too much of the host to give to a container");
        assert_eq!((read("/admin.conf"), write("/run/vipcast.sock")), (too_much.clone(), too_much));
        assert_eq!(write("/run/vipcast/vipcast.sock"), Ok("/run/vipcast".into()));
        for file in ["admin.conf", "./admin.conf", "/etc/../root/admin.conf"] {
            assert_eq!(read(file), Err("not an absolute path without .."));
        }
        assert_eq!(read("/etc/a:b/c"), Err("a container cannot mount a path with a colon"));
    }
}
