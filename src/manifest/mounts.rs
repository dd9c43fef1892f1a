//! Which directories of the host the container sees, each under its own path.

use std::path::{Component, Path, PathBuf};

use k8s_openapi::api::core::v1::{HostPathVolumeSource, Volume, VolumeMount};

use super::{Credentials, Options, blame, is_given};
use crate::config::bgp::Bgp;
use crate::config::{Password, Problem, Resolved};

/// A directory of the host.
#[derive(Debug)]
pub(super) struct Mount {
    name: String,
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
        Volume { name: self.name.clone(), host_path, ..Volume::default() }
    }

    pub(super) fn volume_mount(&self) -> VolumeMount {
        VolumeMount {
            name: self.name.clone(),
            mount_path: self.directory.display().to_string(),
            read_only: (self.access == Access::Read).then_some(true),
            ..VolumeMount::default()
        }
    }
}

/// The directories of the credentials, of the probed server's authority, of passwords and of the status socket.
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
    let passwords = resolved.config.bgp.iter().flat_map(Bgp::passwords);
    let files = passwords.filter_map(|password| match password {
        Password::File(path) => Some(path.as_path()),
        Password::Given(_) | Password::Kubernetes(_) => None,
    });
    for (number, file) in files.enumerate() {
        plan.read(&format!("passwords-{number}"), PASSWORD_FILE, file);
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
    fn read(&mut self, name: &str, key: &str, file: &Path) {
        match directory(file, Access::Read) {
            Ok(directory) if self.is_mounted(&directory) => {}
            Ok(directory) => {
                self.mounts.push(Mount { name: name.to_owned(), directory, access: Access::Read })
            }
            Err(reason) => self.refuse(key, reason),
        }
    }

    fn write(&mut self, name: &str, key: &str, file: &Path) {
        match directory(file, Access::Write) {
            Ok(directory) if self.is_mounted(&directory) => {
                self.refuse(key, "lies where the container may only read")
            }
            Ok(directory) => {
                self.mounts.push(Mount { name: name.to_owned(), directory, access: Access::Write })
            }
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
fn directory(file: &Path, access: Access) -> Result<PathBuf, &'static str> {
    let is_plain = file.components().skip(1).all(|part| matches!(part, Component::Normal(_)));
    if !file.has_root() || !is_plain {
        return Err("not an absolute path without ..");
    }
    if file.display().to_string().contains(':') {
        return Err("a container cannot mount a path with a colon");
    }
    let directory: PathBuf = file.parent().into_iter().flat_map(Path::components).collect();
    match access.permits(&directory) {
        true => Ok(directory),
        false => Err("its directory is too much of the host to give to a container"),
    }
}

impl Access {
    fn permits(self, directory: &Path) -> bool {
        let depth = directory.components().count();
        let inside = |of: &[&str]| of.iter().any(|of| directory.starts_with(of));
        !EVERYBODYS.iter().any(|shared| directory == Path::new(shared))
            && !inside(KERNELS)
            && match self {
                Self::Read => depth > READ_DEPTH,
                Self::Write => depth > WRITE_DEPTH && !inside(SYSTEMS),
            }
    }
}

pub(super) const KUBECONFIG: &str = "kubernetes.kubeconfig";
const HEALTH_CA: &str = "health.caPath";
const PASSWORD_FILE: &str = "bgp.passwordFile";
const SOCKET: &str = "admin.socket";
/// Where nothing is named the daemon looks for this file and the super-admin's beside it.
const ADMIN: &str = "/etc/kubernetes/admin.conf";
/// Not `/` itself.
const READ_DEPTH: usize = 1;
/// Not `/run` either: others' sockets are there.
const WRITE_DEPTH: usize = 2;
/// Where many programs have what is theirs; a directory below is one program's.
const EVERYBODYS: &[&str] =
    &["/boot", "/etc", "/home", "/opt", "/run", "/tmp", "/usr", "/var", "/var/lib", "/var/run"];
/// No container starts that has these of the host in the place of its own.
const KERNELS: &[&str] = &["/dev", "/proc", "/sys"];
/// Whoever writes here is root on the host, whatever capabilities he has.
const SYSTEMS: &[&str] = &["/bin", "/boot", "/etc", "/lib", "/lib64", "/root", "/sbin", "/usr"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_directory_that_can_be_given_to_a_container_is_mounted() {
        let read = |file| directory(Path::new(file), Access::Read).map(|found| found.display().to_string());
        let write = |file| directory(Path::new(file), Access::Write).map(|found| found.display().to_string());
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

    #[test]
    fn directories_of_the_system_are_not_given_to_a_container() {
        let read = |file| directory(Path::new(file), Access::Read);
        let write = |file| directory(Path::new(file), Access::Write);
        let too_much = Err("its directory is too much of the host to give to a container");
        for file in ["/etc/shadow", "/var/a", "/home/a", "/dev/a", "/dev/shm/a", "/proc/self/a", "/sys/fs/a"]
        {
            assert_eq!((file, read(file)), (file, too_much.clone()));
        }
        for file in
            ["/etc/cron.d/a.sock", "/usr/bin/a.sock", "/root/a/a.sock", "/var/lib/a.sock", "/dev/shm/a"]
        {
            assert_eq!((file, write(file)), (file, too_much.clone()));
        }
        assert_eq!(write("/var/lib/vipcast/a.sock"), Ok("/var/lib/vipcast".into()));
    }
}
