//! One write to one Service.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Service;
use kube::Api;
use kube::api::{Patch as Body, PatchParams};
use tokio::time::timeout;
use vipcast_proto::ipam::ServiceKey;

use super::outbox::Landing;
use super::shown::Patch;
use crate::clock;
use crate::kube::FIELD_MANAGER;
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
    let api = Api::<Service>::namespaced(connection.lease.clone(), &key.namespace);
    let body = Body::Merge(patch.body());
    let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
    let request = api.patch_status(&key.name, &params, &body);
    let result = match before(until.min(clock::now() + LIMIT), request).await {
        Some(answer) => answer.map(drop).map_err(Failure::from),
        None => Err(Failure::TimedOut),
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

/// What comes of `request` before `deadline`. It takes no step after that, whatever woke it: a process that was frozen with
/// the request in its hands lets go of it.
async fn before<T>(deadline: Instant, request: impl Future<Output = T>) -> Option<T> {
    let mut request = pin!(request);
    let asked = poll_fn(|context| match clock::now() < deadline {
        true => request.as_mut().poll(context).map(Some),
        false => Poll::Ready(None),
    });
    timeout(deadline.saturating_duration_since(clock::now()), asked).await.ok().flatten()
}

fn blames_the_server(failure: &Failure) -> bool {
    failure.code().is_none_or(|code| code == 401 || code >= 500)
}

/// Far longer than an API server takes; whoever does not answer keeps one of few places for so long, once.
const LIMIT: Duration = Duration::from_secs(3);

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use futures::FutureExt as _;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_request_takes_no_step_after_its_deadline() {
        let now = clock::now();
        let steps = Cell::new(0);
        let request = poll_fn(|_| {
            steps.set(steps.get() + 1);
            if steps.get() == 2 { Poll::Ready(()) } else { Poll::Pending }
        });
        let mut asked = pin!(before(now + Duration::from_secs(3), request));
        assert_eq!(asked.as_mut().now_or_never(), None);
        // Frozen in between: the answer is there, and the grant is over.
        tokio::time::advance(Duration::from_secs(4)).await;
        assert_eq!(asked.now_or_never(), Some(None));
        assert_eq!(steps.get(), 1);
        assert_eq!(before(clock::now(), async { unreachable!() }).await, None::<()>);
        assert_eq!(before(clock::now() + Duration::from_secs(1), async { 7 }).await, Some(7));
    }
}
