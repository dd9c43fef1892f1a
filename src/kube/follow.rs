//! List, then watch, for ever: whatever happens to the server in between.

use std::fmt::Debug;
use std::time::Duration;

use futures::stream::{BoxStream, StreamExt as _};
use kube::api::{ListParams, ObjectList, PartialObjectMeta, WatchEvent, WatchParams};
use kube::{Api, Resource};
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use tokio::time::timeout;
use tracing::{debug, info, warn};

use super::access::Connection;
use super::failure::Failure;
use crate::clock;

/// A stream of changes as the API server sends them.
pub(super) type Changes<K> = BoxStream<'static, kube::Result<WatchEvent<K>>>;

/// What is to be followed.
pub(super) trait Source {
    /// The objects, whole or metadata only.
    type Item: Resource + Clone;
    /// Everything there is.
    async fn list(&self) -> kube::Result<ObjectList<Self::Item>>;
    /// What changes after `version`.
    async fn watch(&self, version: &str) -> kube::Result<Changes<Self::Item>>;
}

/// What became known.
#[derive(Debug)]
pub(super) enum Step<K> {
    /// A complete snapshot: what is not in it does not exist.
    Listed(Vec<K>),
    /// One object is new or has changed.
    Applied(K),
    /// One object is gone.
    Deleted(K),
}

/// Whole objects, by field selector.
pub(super) struct Objects<K> {
    pub(super) api: Api<K>,
    pub(super) fields: String,
}

/// Whole objects, by label selector.
pub(super) struct Labelled<K> {
    pub(super) api: Api<K>,
    pub(super) labels: &'static str,
}

/// The metadata of all objects of a kind.
pub(super) struct Metadata<K>(pub(super) Api<K>);

impl<K> Source for Objects<K>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + 'static,
{
    type Item = K;

    async fn list(&self) -> kube::Result<ObjectList<K>> {
        self.api.list(&ListParams::default().fields(&self.fields)).await
    }

    async fn watch(&self, version: &str) -> kube::Result<Changes<K>> {
        let params = WatchParams::default().fields(&self.fields).timeout(WATCH_SECONDS);
        Ok(self.api.watch(&params, version).await?.boxed())
    }
}

impl<K> Source for Labelled<K>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + 'static,
{
    type Item = K;

    async fn list(&self) -> kube::Result<ObjectList<K>> {
        self.api.list(&ListParams::default().labels(self.labels)).await
    }

    async fn watch(&self, version: &str) -> kube::Result<Changes<K>> {
        let params = WatchParams::default().labels(self.labels).timeout(WATCH_SECONDS);
        Ok(self.api.watch(&params, version).await?.boxed())
    }
}

impl<K> Source for Metadata<K>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + 'static,
{
    type Item = PartialObjectMeta<K>;

    async fn list(&self) -> kube::Result<ObjectList<PartialObjectMeta<K>>> {
        self.0.list_metadata(&ListParams::default()).await
    }

    async fn watch(&self, version: &str) -> kube::Result<Changes<PartialObjectMeta<K>>> {
        let params = WatchParams::default().timeout(WATCH_SECONDS);
        Ok(self.0.watch_metadata(&params, version).await?.boxed())
    }
}

/// Follows `source` through every new [`Connection`]; returns when nobody publishes connections any more.
/// `sink` gets each step at once.
pub(super) async fn follow<S: Source>(
    what: &'static str,
    mut connections: watch::Receiver<Option<Connection>>,
    source: impl Fn(&Connection) -> S,
    mut sink: impl FnMut(Step<S::Item>),
) {
    let mut session = Session { what, version: None, delay: RETRY_MIN, refused: None };
    while let Ok(connection) = connections.wait_for(Option::is_some).await.map(|seen| seen.clone()) {
        let Some(connection) = connection else {
            continue;
        };
        let stream = source(&connection);
        tokio::select! {
            () = session.run(&stream, &connection, &mut sink) => {}
            changed = renewed(&mut connections, connection.generation) => if changed.is_err() { return },
        }
    }
}

/// Completes when another connection has taken the place of the one with `generation`.
async fn renewed(
    connections: &mut watch::Receiver<Option<Connection>>,
    generation: u64,
) -> Result<(), watch::error::RecvError> {
    let newer = |now: &Option<Connection>| now.as_ref().is_none_or(|now| now.generation != generation);
    connections.wait_for(newer).await.map(|_| ())
}

struct Session {
    what: &'static str,
    /// Where to go on; `None`: list first.
    version: Option<String>,
    delay: Duration,
    /// What the server refused, while it does.
    refused: Option<u16>,
}

impl Session {
    /// One list where needed, one watch to its end, one pause where that end came too soon.
    async fn run<S: Source>(
        &mut self,
        source: &S,
        connection: &Connection,
        sink: &mut impl FnMut(Step<S::Item>),
    ) {
        let started = clock::now();
        let outcome = self.list_and_watch(source, sink).await;
        let lived = clock::now().saturating_duration_since(started);
        if lived >= RETRY_MAX {
            self.delay = RETRY_MIN;
        }
        match outcome {
            Err(failure) => self.failed(&failure, connection),
            Ok(()) if lived >= RETRY_MAX => return,
            // Gone, or a server that ends every watch at once: both must not become a busy loop.
            Ok(()) => {}
        }
        clock::pause(self.delay).await;
        self.delay = (self.delay * 2).min(if self.refused.is_some() { REFUSED_MAX } else { RETRY_MAX });
    }

    async fn list_and_watch<S: Source>(
        &mut self,
        source: &S,
        sink: &mut impl FnMut(Step<S::Item>),
    ) -> Result<(), Failure> {
        let version = match self.version.clone() {
            Some(version) => version,
            None => {
                let list = within(OPEN, source.list()).await?;
                sink(Step::Listed(list.items));
                list.metadata.resource_version.unwrap_or_default()
            }
        };
        let mut changes = within(OPEN, source.watch(&version)).await?;
        self.version = Some(version);
        self.accepted();
        // A server that is frozen keeps its connections; asked for another watch, it will not answer.
        while let Ok(Some(change)) = timeout(IDLE, changes.next()).await {
            if !self.change(change?, sink) {
                return Ok(());
            }
        }
        Ok(())
    }

    /// `false`: the server cannot go on from our version.
    fn change<K: Resource>(&mut self, change: WatchEvent<K>, sink: &mut impl FnMut(Step<K>)) -> bool {
        match change {
            WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                self.version = object.meta().resource_version.clone().or_else(|| self.version.take());
                sink(Step::Applied(object));
            }
            WatchEvent::Deleted(object) => {
                self.version = object.meta().resource_version.clone().or_else(|| self.version.take());
                sink(Step::Deleted(object));
            }
            WatchEvent::Bookmark(mark) => self.version = Some(mark.metadata.resource_version),
            WatchEvent::Error(status) => {
                debug!(what = self.what, code = status.code, "watch ended, listing again");
                self.version = None;
                return false;
            }
        }
        true
    }

    fn failed(&mut self, failure: &Failure, connection: &Connection) {
        if failure.code().is_none_or(|code| code == 401 || code >= 500) {
            connection.suspect();
        }
        let Some(code) = failure.code() else {
            debug!(what = self.what, error = %failure, "watch interrupted");
            return;
        };
        // Whatever it says, our version may be what it objects to (410, or "too large" after a restore).
        self.version = None;
        if matches!(code, 401 | 403) && self.refused.replace(code) != Some(code) {
            warn!(what = self.what, error = %failure, "watch refused, asking again until it is granted");
        }
    }

    fn accepted(&mut self) {
        if self.refused.take().is_some() {
            info!(what = self.what, "watch granted");
        }
    }
}

async fn within<T>(limit: Duration, request: impl Future<Output = kube::Result<T>>) -> Result<T, Failure> {
    timeout(limit, request).await.map_err(|_| Failure::TimedOut)?.map_err(Failure::from)
}

/// Bookmarks come every minute from most servers, but are promised by none: silence proves nothing, and must not make every
/// daemon of a quiet cluster ask often.
const IDLE: Duration = Duration::from_secs(150);
/// `timeoutSeconds` of a watch; the server's own default is 30 to 60 minutes, load balancers' is 300 s.
const WATCH_SECONDS: u32 = 290;
const OPEN: Duration = Duration::from_secs(5);
const RETRY_MIN: Duration = Duration::from_millis(50);
const RETRY_MAX: Duration = Duration::from_secs(1);
/// A missing permission is not granted by asking often.
const REFUSED_MAX: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use futures::stream;
    use k8s_openapi::api::coordination::v1::Lease;
    use kube::core::Status;

    use super::*;
    use crate::kube::testing::connection;

    /// A server that answers lists with `listed`, and watches with silence.
    #[derive(Clone)]
    struct Silent {
        listed: Result<(), u16>,
        asked: Rc<RefCell<Vec<(u128, String)>>>,
        start: std::time::Instant,
    }

    impl Silent {
        fn note(&self, what: String) {
            self.asked.borrow_mut().push(((clock::now() - self.start).as_millis(), what));
        }
    }

    impl Source for Silent {
        type Item = Lease;

        async fn list(&self) -> kube::Result<ObjectList<Lease>> {
            self.note("list".into());
            self.listed
                .map_err(|code| kube::Error::Api(Status::failure("no", "").with_code(code).boxed()))?;
            let list = serde_json::json!({"metadata": {"resourceVersion": "7"}, "items": []});
            Ok(serde_json::from_value(list).unwrap())
        }

        async fn watch(&self, version: &str) -> kube::Result<Changes<Lease>> {
            self.note(format!("watch {version}"));
            Ok(stream::pending().boxed())
        }
    }

    /// What is asked in the first `span`, and when.
    async fn asked(listed: Result<(), u16>, span: Duration) -> Vec<(u128, String)> {
        let (_connections, receiver) = watch::channel(Some(connection("http://127.0.0.1:1", 1)));
        let source = Silent { listed, asked: Rc::default(), start: clock::now() };
        let following = follow("lease", receiver, |_| source.clone(), |_| {});
        assert!(timeout(span, following).await.is_err());
        source.asked.take()
    }

    fn times(asked: Vec<(u128, String)>) -> Vec<u128> {
        asked.into_iter().map(|(at, _)| at).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_quiet_watch_is_renewed_from_where_it_was_without_a_list() {
        let expected = [(0, "list"), (0, "watch 7"), (150_000, "watch 7"), (300_000, "watch 7")];
        let expected = expected.map(|(at, what)| (at, what.to_owned()));
        assert_eq!(asked(Ok(()), Duration::from_secs(400)).await, expected);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failing_server_is_asked_at_least_once_a_second() {
        let seen = asked(Err(503), Duration::from_secs(4)).await;
        assert_eq!(times(seen), [0, 50, 150, 350, 750, 1550, 2550, 3550]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusing_server_is_asked_less_and_less() {
        let seen = asked(Err(403), Duration::from_secs(30)).await;
        assert_eq!(times(seen), [0, 50, 150, 350, 750, 1550, 3150, 6350, 12_750, 22_750]);
    }
}
