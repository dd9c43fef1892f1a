//! List, then watch, for ever: whatever happens to the server in between.

use std::fmt::Debug;
use std::mem;
use std::time::Duration;

use futures::stream::{BoxStream, StreamExt as _};
use kube::api::{ListParams, ObjectList, PartialObjectMeta, WatchEvent, WatchParams};
use kube::{Api, Resource};
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use tokio::time::timeout;
use tracing::{debug, info, warn};

use super::access::Connection;
use super::failure::{Failure, PERMIT};
use crate::clock;

/// A stream of changes as the API server sends them.
pub(super) type Changes<K> = BoxStream<'static, kube::Result<WatchEvent<K>>>;

/// What is to be followed.
pub(super) trait Source {
    /// The objects, whole or what is to be known of them.
    type Item: Versioned;
    /// Everything there is, or as much of it as comes in one answer: the first page, or the one that follows `after`.
    async fn list(&self, after: Option<&str>) -> kube::Result<Page<Self::Item>>;
    /// What changes after `version`.
    async fn watch(&self, version: &str) -> kube::Result<Changes<Self::Item>>;
}

/// A list, or one of its pages.
#[derive(Debug)]
pub(super) struct Page<K> {
    pub(super) items: Vec<K>,
    /// `metadata.resourceVersion`.
    pub(super) version: Option<String>,
    /// `metadata.continue`: there is more.
    pub(super) next: Option<String>,
}

/// Something with a `metadata.resourceVersion`.
pub(super) trait Versioned {
    /// Where a watch would go on that has seen it.
    fn version(&self) -> Option<String>;
}

/// Who is told.
pub(super) trait Sink<K> {
    /// Takes one step. Where it is interrupted, it has taken nothing, and is told again.
    async fn take(&mut self, step: Step<K>);
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

    async fn list(&self, _: Option<&str>) -> kube::Result<Page<K>> {
        self.api.list(&ListParams::default().fields(&self.fields)).await.map(Page::from)
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

    async fn list(&self, _: Option<&str>) -> kube::Result<Page<K>> {
        self.api.list(&ListParams::default().labels(self.labels)).await.map(Page::from)
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

    async fn list(&self, _: Option<&str>) -> kube::Result<Page<PartialObjectMeta<K>>> {
        self.0.list_metadata(&ListParams::default()).await.map(Page::from)
    }

    async fn watch(&self, version: &str) -> kube::Result<Changes<PartialObjectMeta<K>>> {
        let params = WatchParams::default().timeout(WATCH_SECONDS);
        Ok(self.0.watch_metadata(&params, version).await?.boxed())
    }
}

impl<K: Resource> Versioned for K {
    fn version(&self) -> Option<String> {
        self.meta().resource_version.clone()
    }
}

/// A list that was not asked for in pages.
impl<K: Clone> From<ObjectList<K>> for Page<K> {
    fn from(list: ObjectList<K>) -> Self {
        Self { items: list.items, version: list.metadata.resource_version, next: None }
    }
}

/// Follows `source` through every new [`Connection`]; returns when nobody publishes connections any more.
/// `sink` gets each step at once.
pub(super) async fn follow<S: Source>(
    what: &'static str,
    connections: watch::Receiver<Option<Connection>>,
    source: impl Fn(&Connection) -> S,
    sink: impl FnMut(Step<S::Item>),
) {
    follow_into(what, connections, source, AtOnce(sink)).await;
}

/// As [`follow`], for one who may have to wait: the watch waits with it.
pub(super) async fn follow_into<S: Source>(
    what: &'static str,
    mut connections: watch::Receiver<Option<Connection>>,
    source: impl Fn(&Connection) -> S,
    mut sink: impl Sink<S::Item>,
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

struct AtOnce<F>(F);

impl<K, F: FnMut(Step<K>)> Sink<K> for AtOnce<F> {
    async fn take(&mut self, step: Step<K>) {
        self.0(step);
    }
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
    async fn run<S: Source>(&mut self, source: &S, connection: &Connection, sink: &mut impl Sink<S::Item>) {
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
        sink: &mut impl Sink<S::Item>,
    ) -> Result<(), Failure> {
        let version = match self.version.clone() {
            Some(version) => version,
            None => {
                let (items, version) = list(source).await?;
                sink.take(Step::Listed(items)).await;
                version
            }
        };
        let mut changes = within(OPEN, source.watch(&version)).await?;
        self.version = Some(version);
        self.accepted();
        // A server that is frozen keeps its connections; asked for another watch, it will not answer.
        while let Ok(Some(change)) = timeout(IDLE, changes.next()).await {
            if !self.change(change?, sink).await {
                return Ok(());
            }
        }
        Ok(())
    }

    /// `false`: the server cannot go on from our version.
    async fn change<K: Versioned>(&mut self, change: WatchEvent<K>, sink: &mut impl Sink<K>) -> bool {
        let (version, step) = match change {
            WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                (object.version(), Step::Applied(object))
            }
            WatchEvent::Deleted(object) => (object.version(), Step::Deleted(object)),
            WatchEvent::Bookmark(mark) => {
                self.version = Some(mark.metadata.resource_version);
                return true;
            }
            WatchEvent::Error(status) => {
                debug!(what = self.what, code = status.code, "watch ended, listing again");
                self.version = None;
                return false;
            }
        };
        // In this order: interrupted while it waits, the step comes again with the next watch.
        sink.take(step).await;
        self.version = version.or_else(|| self.version.take());
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
        if matches!(code, 401 | 403 | 404) && self.refused.replace(code) != Some(code) {
            warn!(what = self.what, error = %failure, advice = PERMIT, "watch refused, asking again until it is granted");
        }
    }

    fn accepted(&mut self) {
        if self.refused.take().is_some() {
            info!(what = self.what, "watch granted");
        }
    }
}

/// All pages; each may take as long as one request may.
async fn list<S: Source>(source: &S) -> Result<(Vec<S::Item>, String), Failure> {
    let mut page = within(OPEN, source.list(None)).await?;
    let mut items = mem::take(&mut page.items);
    while let Some(next) = page.next.take().filter(|next| !next.is_empty()) {
        page = within(OPEN, source.list(Some(&next))).await?;
        items.append(&mut page.items);
    }
    Ok((items, page.version.unwrap_or_default()))
}

async fn within<T>(limit: Duration, request: impl Future<Output = kube::Result<T>>) -> Result<T, Failure> {
    timeout(limit, request).await.map_err(|_| Failure::TimedOut)?.map_err(Failure::from)
}

/// Bookmarks come every minute from most servers, but are promised by none: silence proves nothing, and must not make every
/// daemon of a quiet cluster ask often.
const IDLE: Duration = Duration::from_secs(150);
/// `timeoutSeconds` of a watch; the server's own default is 30 to 60 minutes, load balancers' is 300 s.
pub(super) const WATCH_SECONDS: u32 = 290;
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
        /// Whether a list comes in two.
        pages: bool,
        /// Whether each watch begins with a change.
        changes: bool,
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

        async fn list(&self, after: Option<&str>) -> kube::Result<Page<Lease>> {
            self.note(after.map_or_else(|| "list".into(), |after| format!("list after {after}")));
            self.listed
                .map_err(|code| kube::Error::Api(Status::failure("no", "").with_code(code).boxed()))?;
            let next = (self.pages && after.is_none()).then(|| "there".to_owned());
            Ok(Page { items: vec![Lease::default()], version: Some("7".into()), next })
        }

        async fn watch(&self, version: &str) -> kube::Result<Changes<Lease>> {
            self.note(format!("watch {version}"));
            let mut lease = Lease::default();
            lease.metadata.resource_version = Some("8".into());
            let change = self.changes.then(|| Ok(WatchEvent::Modified(lease)));
            Ok(stream::iter(change).chain(stream::pending()).boxed())
        }
    }

    fn silent(listed: Result<(), u16>) -> Silent {
        Silent { listed, pages: false, changes: false, asked: Rc::default(), start: clock::now() }
    }

    /// What is asked in the first `span`, and when.
    async fn asked(source: Silent, span: Duration) -> Vec<(u128, String)> {
        let (_connections, receiver) = watch::channel(Some(connection("http://127.0.0.1:1", 1)));
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
        assert_eq!(asked(silent(Ok(())), Duration::from_secs(400)).await, expected);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failing_server_is_asked_at_least_once_a_second() {
        let seen = asked(silent(Err(503)), Duration::from_secs(4)).await;
        assert_eq!(times(seen), [0, 50, 150, 350, 750, 1550, 2550, 3550]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusing_server_is_asked_less_and_less() {
        let seen = asked(silent(Err(403)), Duration::from_secs(30)).await;
        assert_eq!(times(seen), [0, 50, 150, 350, 750, 1550, 3150, 6350, 12_750, 22_750]);
    }

    #[tokio::test(start_paused = true)]
    async fn all_pages_of_a_list_are_one_snapshot() {
        let source = Silent { pages: true, ..silent(Ok(())) };
        let (_connections, receiver) = watch::channel(Some(connection("http://127.0.0.1:1", 1)));
        let mut seen = vec![];
        let following = follow(
            "lease",
            receiver,
            |_| source.clone(),
            |step| match step {
                Step::Listed(items) => seen.push(items.len()),
                Step::Applied(_) | Step::Deleted(_) => {}
            },
        );
        assert!(timeout(Duration::from_secs(1), following).await.is_err());
        let asked: Vec<_> = source.asked.take().into_iter().map(|(_, what)| what).collect();
        assert_eq!(
            (seen, asked),
            (vec![2], ["list", "list after there", "watch 7"].map(String::from).into())
        );
    }

    /// Takes the list, and never gets round to a change.
    struct Stuck(Rc<RefCell<Vec<&'static str>>>);

    impl Sink<Lease> for Stuck {
        async fn take(&mut self, step: Step<Lease>) {
            match step {
                Step::Listed(_) => self.0.borrow_mut().push("listed"),
                Step::Applied(_) => {
                    self.0.borrow_mut().push("applied");
                    std::future::pending().await
                }
                Step::Deleted(_) => self.0.borrow_mut().push("deleted"),
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_that_was_not_taken_comes_again_on_the_next_connection() {
        let source = Silent { changes: true, ..silent(Ok(())) };
        let (connections, receiver) = watch::channel(Some(connection("http://127.0.0.1:1", 1)));
        let seen = Rc::default();
        let mut following =
            Box::pin(follow_into("lease", receiver, |_| source.clone(), Stuck(Rc::clone(&seen))));
        assert!(timeout(Duration::from_secs(1), &mut following).await.is_err());
        connections.send_replace(Some(connection("http://127.0.0.1:1", 2)));
        assert!(timeout(Duration::from_secs(1), &mut following).await.is_err());
        let asked: Vec<_> = source.asked.take().into_iter().map(|(_, what)| what).collect();
        assert_eq!(seen.take(), ["listed", "applied", "applied"]);
        assert_eq!(asked, ["list", "watch 7", "watch 7"]);
    }
}
