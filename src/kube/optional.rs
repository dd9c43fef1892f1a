//! What a cluster need not have: where a kind is not known to the API server, there are no objects of it.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::time::Duration;

use futures::stream::{self, StreamExt as _};
use kube::api::{ListParams, WatchEvent, WatchParams};
use kube::core::watch::{Bookmark, BookmarkMeta};
use kube::core::{Status, TypeMeta};
use kube::{Api, Resource};
use serde::de::DeserializeOwned;

use super::follow::{Changes, Page, Source};
use crate::clock;

/// Whole objects of a kind that may be unknown.
pub(super) struct Optional<K>(pub(super) Api<K>);

impl<K> Source for Optional<K>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + 'static,
{
    type Item = K;

    async fn list(&self, _: Option<&str>) -> kube::Result<Page<K>> {
        match self.0.list(&ListParams::default()).await {
            Err(kube::Error::Api(status)) if status.code == NOT_FOUND => Ok(nothing()),
            other => other.map(Page::from),
        }
    }

    async fn watch(&self, version: &str) -> kube::Result<Changes<K>> {
        if version == ABSENT {
            let again = |api: Api<K>| async { Some((asked_again(&api).await, api)) };
            return Ok(stream::unfold(self.0.clone(), again).boxed());
        }
        Ok(self.0.watch(&params(), version).await?.boxed())
    }
}

fn nothing<K>() -> Page<K> {
    Page { items: vec![], version: Some(ABSENT.into()), next: None }
}

/// After a while: the kind may be known by then, and is listed. It is asked for by a watch, so that a cluster without it
/// costs its server no lists for ever.
async fn asked_again<K>(api: &Api<K>) -> kube::Result<WatchEvent<K>>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + 'static,
{
    clock::pause(ABSENCE).await;
    match api.watch(&params(), "0").await {
        Err(kube::Error::Api(status)) if status.code == NOT_FOUND => Ok(WatchEvent::Bookmark(Bookmark {
            types: TypeMeta::default(),
            metadata: BookmarkMeta { resource_version: ABSENT.into(), annotations: BTreeMap::new() },
        })),
        Err(error) => Err(error),
        Ok(_) => {
            Ok(WatchEvent::Error(Status::failure("the kind is known now", "Expired").with_code(GONE).boxed()))
        }
    }
}

fn params() -> WatchParams {
    WatchParams::default().timeout(WATCH_SECONDS)
}

/// No API server gives such a version.
const ABSENT: &str = "absent";
const NOT_FOUND: u16 = 404;
const GONE: u16 = 410;
/// Shorter than the silence that the follower bears.
const ABSENCE: Duration = Duration::from_secs(120);
const WATCH_SECONDS: u32 = 290;

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use axum::extract::State;
    use axum::http::{StatusCode, Uri};
    use axum::response::{IntoResponse as _, Response};
    use axum::{Json, Router};
    use futures::poll;
    use k8s_openapi::api::networking::v1::ServiceCIDR;
    use serde_json::json;
    use tokio::sync::watch;
    use tokio::time::timeout;

    use super::*;
    use crate::kube::follow::{Step, follow};
    use crate::kube::testing::{Server, connection};

    type Seen = Arc<Mutex<Vec<String>>>;

    /// Knows the kind from the third request on.
    async fn answer(State(seen): State<Seen>, uri: Uri) -> Response {
        let mut seen = seen.lock().unwrap();
        seen.push(uri.to_string());
        if seen.len() < 3 {
            return (StatusCode::NOT_FOUND, "404 page not found").into_response();
        }
        let cidr = json!({"metadata": {"name": "kubernetes", "resourceVersion": "5"}, "spec": {"cidrs": ["10.96.0.0/16"]}});
        Json(json!({"metadata": {"resourceVersion": "5"}, "items": [cidr]})).into_response()
    }

    #[tokio::test]
    async fn an_unknown_kind_has_no_objects_and_is_asked_for_again_after_two_minutes() {
        let seen = Seen::default();
        let server = Server::start(Router::new().fallback(answer).with_state(Arc::clone(&seen))).await;
        let connection = connection(&server.url(), 1);
        let source = Optional(Api::<ServiceCIDR>::all(connection.watch.clone()));
        let list = source.list(None).await.unwrap();
        assert_eq!((list.items.len(), list.version.as_deref()), (0, Some(ABSENT)));
        let mut changes = source.watch(ABSENT).await.unwrap();
        let mut told = vec![];
        for _ in 0..2 {
            let mut next = changes.next();
            tokio::time::pause();
            tokio::time::advance(ABSENCE - Duration::from_secs(1)).await;
            assert!(poll!(&mut next).is_pending(), "not before");
            tokio::time::advance(ABSENCE).await;
            // What answers is a real server.
            tokio::time::resume();
            told.push(next.await.unwrap().unwrap());
        }
        let [WatchEvent::Bookmark(mark), WatchEvent::Error(over)] = &told[..] else { panic!("{told:?}") };
        assert_eq!((mark.metadata.resource_version.as_str(), over.code), (ABSENT, GONE));
        assert_eq!(source.list(None).await.unwrap().items.len(), 1);
        let watches: Vec<_> = seen.lock().unwrap().iter().map(|uri| uri.contains("watch=true")).collect();
        assert_eq!(watches, [false, true, true, false]);
    }

    #[tokio::test]
    async fn a_follower_is_told_that_there_is_nothing() {
        let seen = Seen::default();
        let server = Server::start(Router::new().fallback(answer).with_state(seen)).await;
        let (_connections, receiver) = watch::channel(Some(connection(&server.url(), 1)));
        let (out, mut steps) = watch::channel(None);
        let source =
            |it: &crate::kube::access::Connection| Optional(Api::<ServiceCIDR>::all(it.watch.clone()));
        let following = follow("optional", receiver, source, |step| {
            let count = if let Step::Listed(list) = step { Some(list.len()) } else { None };
            out.send_replace(count);
        });
        tokio::select! {
            () = following => unreachable!("there is still a connection"),
            seen = timeout(Duration::from_secs(10), steps.wait_for(Option::is_some)) => {
                assert_eq!(*seen.expect("in time").unwrap(), Some(0));
            }
        }
    }
}
