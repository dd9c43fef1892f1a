//! Tries the candidates, best first, until a server accepts one.

use std::sync::Arc;

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Node;
use kube::api::ListParams;
use kube::{Api, Client, Config};
use tokio::time::timeout;

use super::beside::Beside;
use super::choice::{Choice, Fact, File, Reason, Source, Standing, choose};
use super::condition::Condition;
use super::credentials::{Fingerprint, inspect, load};
use super::endpoint::{Endpoint, endpoint, is_one_of_many, local};
use super::{AccessSettings, Touchstone};
use crate::kube::client;
use crate::kube::failure::{Failure, innermost};
use crate::kube::lease::LeaseName;

/// Credentials that work.
pub(super) struct Found {
    pub(super) source: Source,
    pub(super) endpoint: Endpoint,
    pub(super) fingerprint: Fingerprint,
    pub(super) lease: Client,
    pub(super) watch: Client,
    pub(super) local: Client,
    pub(super) beside: Option<Arc<Beside>>,
    pub(super) condition: Condition,
}

/// The candidate that works, or how the best one failed.
pub(super) async fn seek(settings: &AccessSettings) -> Result<Found, Condition> {
    let mut facts: Vec<Fact> = candidates(settings).into_iter().map(fact).collect();
    let mut forbidden = None;
    loop {
        let (source, reason) = match choose(&facts) {
            Choice::Use { source, reason } => (source, reason),
            Choice::Wait(candidates) => return Err(Condition::Waiting(candidates)),
        };
        if reason == Reason::First
            && let Some(condition) = forbidden
        {
            return Err(condition);
        }
        let outcome = attempt(settings, &source, reason).await;
        let tried = facts.iter_mut().filter(|fact| fact.source == source);
        match outcome {
            Ok(found) => return Ok(found),
            Err(Rejection::Failed(condition)) => return Err(condition),
            Err(Rejection::Unusable(why)) => tried.for_each(|fact| fact.file = File::Unusable(why.clone())),
            Err(Rejection::Forbidden(condition)) => {
                tried.for_each(|fact| fact.standing = Standing::Forbidden);
                forbidden.get_or_insert(condition);
            }
        }
    }
}

/// Credentials work where what has to be read can be read, whether a Lease exists or not. A 404 counts only with the
/// reason `NotFound`: an API server that is still starting says plain 404 for groups it does not serve yet.
pub(super) async fn test(settings: &AccessSettings, client: &Client) -> Result<(), Failure> {
    let answer = timeout(settings.read_timeout, touch(&settings.touchstone, client.clone())).await;
    answer.map_err(|_| Failure::TimedOut)?.map_err(Failure::from)
}

async fn touch(touchstone: &Touchstone, client: Client) -> kube::Result<()> {
    match touchstone {
        Touchstone::Lease(LeaseName { namespace, name }) => {
            Api::<Lease>::namespaced(client, namespace).get_opt(name).await.map(drop)
        }
        Touchstone::Nodes => {
            Api::<Node>::all(client).list_metadata(&ListParams::default().limit(1)).await.map(drop)
        }
    }
}

enum Rejection {
    /// No client can be made of it.
    Unusable(String),
    /// 403.
    Forbidden(Condition),
    /// Anything else that trying other credentials would not help.
    Failed(Condition),
}

async fn attempt(settings: &AccessSettings, source: &Source, reason: Reason) -> Result<Found, Rejection> {
    let (mut config, fingerprint) =
        load(source, settings.in_cluster.as_ref()).await.map_err(Rejection::Unusable)?;
    let endpoint = redirect(settings, source, &mut config).map_err(Rejection::Unusable)?;
    let client =
        |config: &Config| client::build(config, settings.connect_timeout).map_err(|error| unusable(&error));
    let (lease, watch) = (client(&config)?, client(&config)?);
    let local = match at_home(settings, &config).map_err(Rejection::Unusable)? {
        Some(config) => client(&config)?,
        None => lease.clone(),
    };
    match test(settings, &lease).await {
        Ok(()) => {
            let condition = Condition::connected(source, &endpoint.url, reason, endpoint.why);
            let beside =
                is_one_of_many(source, &endpoint, &settings.endpoint).then(|| beside(settings, config));
            let source = source.clone();
            Ok(Found { source, endpoint, fingerprint, lease, watch, local, beside, condition })
        }
        Err(failure) => {
            let condition = Condition::failed(source, &endpoint.url, &failure);
            Err(if failure.code() == Some(403) {
                Rejection::Forbidden(condition)
            } else {
                Rejection::Failed(condition)
            })
        }
    }
}

fn beside(settings: &AccessSettings, config: Config) -> Arc<Beside> {
    Arc::new(Beside::new(config, settings.connect_timeout, settings.endpoint.vips.clone()))
}

fn redirect(settings: &AccessSettings, source: &Source, config: &mut Config) -> Result<Endpoint, String> {
    let named = config.tls_server_name.as_deref();
    let endpoint = endpoint(source, &config.cluster_url, named, &settings.endpoint);
    config.cluster_url = endpoint.url.parse().map_err(|_| format!("{} is not a URL", endpoint.url))?;
    config.tls_server_name.clone_from(&endpoint.tls_server_name);
    Ok(endpoint)
}

/// The same credentials for this node's own server, where `config` is for another one.
fn at_home(settings: &AccessSettings, config: &Config) -> Result<Option<Config>, String> {
    let Some((url, tls_server_name)) = local(&config.cluster_url, &settings.endpoint) else {
        return Ok(None);
    };
    let mut config = config.clone();
    config.cluster_url = url.parse().map_err(|_| format!("{url} is not a URL"))?;
    config.tls_server_name = tls_server_name;
    Ok(Some(config))
}

/// Errors of PEM and base64 parsers can quote what they parse: only those of TLS are passed on.
#[expect(clippy::wildcard_enum_match_arm, reason = "another crate's enum, of which we know enough")]
fn unusable(error: &kube::Error) -> Rejection {
    Rejection::Unusable(match error {
        kube::Error::RustlsTls(_) => innermost(error),
        kube::Error::InferKubeconfig(_) => "the client certificate or key cannot be read".into(),
        kube::Error::Auth(_) => "the token cannot be read".into(),
        _ => "no client can be made of it".into(),
    })
}

fn candidates(settings: &AccessSettings) -> Vec<Source> {
    if let Some(path) = &settings.configured {
        return vec![Source::Configured(path.clone())];
    }
    let at = |path: &str| settings.root.join(path);
    let environment = settings.environment.iter().cloned().map(Source::Environment);
    let files = [
        Source::Admin(at("etc/kubernetes/admin.conf")),
        Source::SuperAdmin(at("etc/kubernetes/super-admin.conf")),
        Source::K3s(at("etc/rancher/k3s/k3s.yaml")),
        Source::Rke2(at("etc/rancher/rke2/rke2.yaml")),
    ];
    let token = "var/run/secrets/kubernetes.io/serviceaccount/token";
    let in_cluster = settings.in_cluster.iter().map(|_| Source::InCluster(at(token)));
    let home = settings.home.iter().map(|home| Source::Home(home.join(".kube/config")));
    environment.chain(files).chain(in_cluster).chain(home).collect()
}

fn fact(source: Source) -> Fact {
    Fact { file: inspect(&source), source, standing: Standing::Open }
}
