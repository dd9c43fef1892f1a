//! One write to one Service.

use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Service;
use kube::Api;
use kube::api::{Patch as Body, PatchParams};
use tokio::time::timeout;
use vipcast_proto::ipam::ServiceKey;

use super::outbox::Landing;
use super::shown::Patch;
use crate::clock;
use crate::kube::access::Connection;
use crate::kube::failure::Failure;

/// A write that is under way no more.
#[derive(Debug)]
pub(super) struct Landed {
    pub(super) key: ServiceKey,
    pub(super) patch: Patch,
    pub(super) result: Result<(), Failure>,
}

/// Writes, as long as this node may: until `until`.
pub(super) async fn write(connection: Connection, key: ServiceKey, patch: Patch, until: Instant) -> Landed {
    let limit = until.saturating_duration_since(clock::now()).min(LIMIT);
    let api = Api::<Service>::namespaced(connection.lease.clone(), &key.namespace);
    let body = Body::Merge(patch.body());
    let params = PatchParams::default();
    let request = api.patch_status(&key.name, &params, &body);
    let result = match timeout(limit, request).await {
        Ok(answer) => answer.map(drop).map_err(Failure::from),
        Err(_) => Err(Failure::TimedOut),
    };
    if result.as_ref().is_err_and(blames_the_server) {
        connection.suspect();
    }
    Landed { key, patch, result }
}

impl Landed {
    /// What follows from it.
    pub(super) fn landing(&self) -> Landing {
        match self.result.as_ref().map_err(Failure::code) {
            Ok(()) | Err(Some(404)) => Landing::Done,
            // Another Service has the name by now, or this one is no LoadBalancer any more: the feed will say.
            Err(Some(409 | 422)) => Landing::Stale,
            Err(Some(401 | 403)) => Landing::Refused,
            Err(_) => Landing::Failed,
        }
    }
}

fn blames_the_server(failure: &Failure) -> bool {
    failure.code().is_none_or(|code| code == 401 || code >= 500)
}

/// Far longer than an API server takes; whoever does not answer keeps one of few places for so long, once.
const LIMIT: Duration = Duration::from_secs(3);
