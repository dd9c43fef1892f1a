//! Reads credentials from disk, says what is wrong with them without quoting them, and notices when they change.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use kube::Config;
use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};

use super::choice::{File, Source};
use crate::kube::failure::io_text;

/// Where the service account of a pod finds its API server: `KUBERNETES_SERVICE_HOST` and `_PORT`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct InCluster {
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
}

/// Identity of every file that a set of credentials consists of.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Fingerprint(Vec<(PathBuf, Option<Identity>)>);

/// Device, inode, length, seconds and nanoseconds of the last change.
type Identity = (u64, u64, u64, i64, i64);

impl Fingerprint {
    pub(super) fn of(paths: &[PathBuf]) -> Self {
        Self(
            paths
                .iter()
                .map(|path| (path.clone(), std::fs::metadata(path).ok().map(|meta| identity(&meta))))
                .collect(),
        )
    }

    pub(super) fn changed(&self) -> bool {
        let paths: Vec<_> = self.0.iter().map(|(path, _)| path.clone()).collect();
        *self != Self::of(&paths)
    }
}

/// What is at the place that `source` names, without parsing it.
pub(super) fn inspect(source: &Source) -> File {
    match std::fs::metadata(source.path()) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => File::Missing,
        Err(error) => File::Unusable(io_text(&error)),
        Ok(meta) if meta.is_dir() => File::Directory,
        Ok(meta) if !meta.is_file() => File::Unusable("not a regular file".into()),
        Ok(meta) if meta.len() == 0 => File::Empty,
        Ok(meta) if meta.len() > LARGEST => File::Unusable("larger than a mebibyte".into()),
        Ok(_) => match std::fs::File::open(source.path()) {
            Ok(_) => File::Ready,
            Err(error) => File::Unusable(io_text(&error)),
        },
    }
}

/// Credentials as kube wants them, and the files that they consist of.
pub(super) async fn load(
    source: &Source,
    in_cluster: Option<&InCluster>,
) -> Result<(Config, Fingerprint), String> {
    match source {
        Source::InCluster(token) => service_account(token, in_cluster),
        Source::Configured(path)
        | Source::Environment(path)
        | Source::Admin(path)
        | Source::SuperAdmin(path)
        | Source::K3s(path)
        | Source::Rke2(path)
        | Source::Home(path) => kubeconfig(path).await,
    }
}

async fn kubeconfig(path: &Path) -> Result<(Config, Fingerprint), String> {
    // Taken before reading: a change in between is then seen as one, never missed.
    let before = Fingerprint::of(&[path.to_owned()]);
    let parsed = Kubeconfig::read_from(path).map_err(|error| safe(&error))?;
    let options = KubeConfigOptions::default();
    let referenced = Fingerprint::of(&referenced(&parsed));
    let config = Config::from_custom_kubeconfig(parsed, &options).await.map_err(|error| safe(&error))?;
    Ok((config, Fingerprint([before.0, referenced.0].concat())))
}

/// kube itself reads the token and the CA again every minute.
fn service_account(token: &Path, in_cluster: Option<&InCluster>) -> Result<(Config, Fingerprint), String> {
    let server = in_cluster.ok_or("KUBERNETES_SERVICE_HOST is not set")?;
    let host = if server.host.contains(':') { format!("[{}]", server.host) } else { server.host.clone() };
    let url = format!("https://{host}:{}", server.port);
    let mut config = Config::new(url.parse().map_err(|_| format!("{url} is not a URL"))?);
    config.root_cert = Some(Vec::new());
    config.root_cert_file = Some(token.with_file_name("ca.crt"));
    config.auth_info.token_file = Some(token.display().to_string());
    Ok((config, Fingerprint::default()))
}

fn referenced(kubeconfig: &Kubeconfig) -> Vec<PathBuf> {
    let clusters = kubeconfig.clusters.iter().filter_map(|named| named.cluster.as_ref());
    let users = kubeconfig.auth_infos.iter().filter_map(|named| named.auth_info.as_ref());
    let files =
        clusters.filter_map(|cluster| cluster.certificate_authority.clone()).chain(users.flat_map(|user| {
            [&user.client_certificate, &user.client_key, &user.token_file]
                .into_iter()
                .flatten()
                .cloned()
                .collect::<Vec<_>>()
        }));
    files.map(PathBuf::from).collect()
}

/// What is wrong, in words that cannot contain a key or a token: parsers quote their input.
#[expect(clippy::wildcard_enum_match_arm, reason = "another crate's enum, of which we know enough")]
fn safe(error: &KubeconfigError) -> String {
    match error {
        KubeconfigError::ReadConfig(source, _) => io_text(source),
        KubeconfigError::Parse(_) => "not a kubeconfig".into(),
        KubeconfigError::CurrentContextNotSet => "current-context is not set".into(),
        KubeconfigError::LoadContext(name) => format!("context {name} is missing"),
        KubeconfigError::LoadClusterOfContext(name) => format!("cluster {name} is missing"),
        KubeconfigError::MissingClusterUrl => "the cluster has no server".into(),
        KubeconfigError::ParseClusterUrl(_) => "the cluster's server is not a URL".into(),
        KubeconfigError::LoadCertificateAuthority(_) => "the certificate authority cannot be read".into(),
        KubeconfigError::LoadClientCertificate(_) => "the client certificate cannot be read".into(),
        KubeconfigError::LoadClientKey(_) => "the client key cannot be read".into(),
        KubeconfigError::ParseCertificates(_) => "the certificate authority is not PEM".into(),
        _ => "not a usable kubeconfig".into(),
    }
}

fn identity(meta: &Metadata) -> Identity {
    (meta.dev(), meta.ino(), meta.len(), meta.mtime(), meta.mtime_nsec())
}

const LARGEST: u64 = 1 << 20;
