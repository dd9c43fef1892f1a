//! One watch: what has happened since a version, then what happens, until its time is up or it falls too far behind.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use bytes::Bytes;
use futures::stream;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::Shared;
use super::failure::Failure;
use super::faults::{Faults, Mode};
use super::resources::Resource;
use super::selector::Selector;
use super::store::Change;
use crate::clock::{now, until};

/// Which objects a list or a watch is about.
#[derive(Debug, Clone)]
pub(super) struct Filter {
    pub(super) resource: &'static Resource,
    pub(super) namespace: Option<String>,
    pub(super) selector: Selector,
}

/// Where a watch starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Start {
    /// With the present objects as additions.
    State,
    /// With the present objects, and a bookmark that says where they end.
    StateAndBookmark,
    /// With what comes next.
    Now,
    /// With what came after this version.
    After(u64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bookmarks {
    Wanted,
    NotWanted,
}

/// A watch that is being served. It has no queue that could grow: what it has not read yet is in the history, which is
/// bounded, and a reader who is further behind is disconnected.
#[derive(Debug)]
pub(super) struct Watch {
    shared: Arc<Shared>,
    filter: Filter,
    position: u64,
    pending: VecDeque<Event>,
    revision: watch::Receiver<u64>,
    faults: watch::Receiver<Faults>,
    interruptions: watch::Receiver<u64>,
    deadline: Instant,
    bookmark: Option<Instant>,
    ended: bool,
}

#[derive(Debug)]
struct Event {
    kind: &'static str,
    object: Arc<Value>,
}

impl Watch {
    pub(super) fn new(
        shared: Arc<Shared>,
        filter: Filter,
        start: Start,
        bookmarks: Bookmarks,
        timeout: Option<Duration>,
    ) -> Self {
        let timeout = timeout.unwrap_or_else(|| DEFAULT_TIMEOUT.mul_f64(1.0 + fastrand::f64()));
        let wanted = bookmarks == Bookmarks::Wanted;
        let mut watch = Self {
            revision: shared.revision.subscribe(),
            faults: shared.faults.subscribe(),
            interruptions: shared.interruptions.subscribe(),
            position: 0,
            pending: VecDeque::new(),
            deadline: now() + timeout,
            bookmark: wanted.then(|| now() + first_bookmark(timeout)),
            ended: false,
            filter,
            shared,
        };
        watch.begin(start);
        watch
    }

    /// The response body: a line of JSON for each event.
    pub(super) fn into_body(self) -> Body {
        Body::from_stream(stream::unfold(self, |mut watch| async move {
            let line = watch.next().await?;
            Some((Ok::<_, Infallible>(line), watch))
        }))
    }

    fn begin(&mut self, start: Start) {
        let shared = self.shared.clone();
        let store = shared.store();
        self.position = store.revision();
        match start {
            Start::Now => {}
            Start::After(revision) if revision < store.compacted() => {
                let expired = Failure::expired(revision, store.compacted()).status();
                self.pending.push_back(Event::new("ERROR", expired));
                self.ended = true;
            }
            Start::After(revision) => self.position = revision,
            Start::State | Start::StateAndBookmark => {
                let Filter { resource, namespace, selector } = &self.filter;
                let page = store.list(resource, namespace.as_deref(), selector, None, usize::MAX);
                let added = |object| Event { kind: "ADDED", object };
                self.pending.extend(page.items.into_iter().map(added));
                if start == Start::StateAndBookmark {
                    let annotations = json!({"k8s.io/initial-events-end": "true"});
                    self.pending.push_back(self.bookmark_event(Some(annotations)));
                }
            }
        }
    }

    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if self.thawed().await? == Mode::Refuse {
                return None;
            }
            self.collect();
            if let Some(event) = self.pending.pop_front() {
                return Some(event.line());
            }
            if self.ended {
                return None;
            }
            tokio::select! {
                changed = self.revision.changed() => changed.ok()?,
                changed = self.faults.changed() => changed.ok()?,
                _ = self.interruptions.changed() => return None,
                () = until(Some(self.deadline)) => return None,
                () = until(self.bookmark) => self.mark(),
            }
        }
    }

    /// Waits while the server is frozen; what the mode is then.
    async fn thawed(&mut self) -> Option<Mode> {
        let thawed = self.faults.wait_for(|f| f.mode != Mode::Freeze).await;
        thawed.ok().map(|faults| faults.mode.clone())
    }

    /// Takes what happened since the last look, once that has been read.
    fn collect(&mut self) {
        if self.ended || !self.pending.is_empty() {
            return;
        }
        let shared = self.shared.clone();
        let store = shared.store();
        match store.since(self.position) {
            None => self.ended = true,
            Some(changes) => {
                let seen = changes.filter_map(|change| self.filter.event(change));
                self.pending.extend(seen);
                self.position = self.position.max(store.revision());
            }
        }
    }

    fn mark(&mut self) {
        self.bookmark = Some(now() + BOOKMARK_INTERVAL);
        self.pending.push_back(self.bookmark_event(None));
    }

    fn bookmark_event(&self, annotations: Option<Value>) -> Event {
        let mut metadata = json!({"resourceVersion": self.position.to_string()});
        if let (Some(annotations), Value::Object(fields)) = (annotations, &mut metadata) {
            fields.insert("annotations".to_owned(), annotations);
        }
        let object = json!({
            "kind": self.filter.resource.kind,
            "apiVersion": self.filter.resource.api_version(),
            "metadata": metadata,
        });
        Event::new("BOOKMARK", object)
    }
}

impl Filter {
    /// What a change is to someone who sees only what matches.
    fn event(&self, change: &Change) -> Option<Event> {
        let here = self.namespace.as_ref().is_none_or(|n| *n == change.namespace);
        if change.resource != self.resource || !here {
            return None;
        }
        let was = change.before.as_ref().is_some_and(|before| self.selector.matches(before));
        let is = !change.deleted && self.selector.matches(&change.object);
        let object = change.object.clone();
        match (was, is) {
            (false, false) => None,
            (false, true) => Some(Event { kind: "ADDED", object }),
            (true, true) => Some(Event { kind: "MODIFIED", object }),
            (true, false) => Some(Event { kind: "DELETED", object }),
        }
    }
}

impl Event {
    fn new(kind: &'static str, object: Value) -> Self {
        let object = Arc::new(object);
        Self { kind, object }
    }

    fn line(&self) -> Bytes {
        let mut line = json!({"type": self.kind, "object": *self.object}).to_string();
        line.push('\n');
        line.into()
    }
}

/// As the real server does: shortly before the watch ends, and once a minute.
fn first_bookmark(timeout: Duration) -> Duration {
    match timeout.checked_sub(Duration::from_secs(2)) {
        Some(before_the_end) if !before_the_end.is_zero() => before_the_end.min(BOOKMARK_INTERVAL),
        Some(_) | None => BOOKMARK_INTERVAL,
    }
}

const BOOKMARK_INTERVAL: Duration = Duration::from_secs(60);
/// Between this and twice as long where the client sets none.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(1800);

#[cfg(test)]
mod tests {
    use super::super::resources::RESOURCES;
    use super::super::store::{Key, MAX_HISTORY};
    use super::*;

    fn write(shared: &Shared, name: &str) {
        let key = Key::new(&RESOURCES[0], "default", name);
        let written = shared.write(|store| store.create(&RESOURCES[0], key, json!({})));
        written.expect("is new");
    }

    #[tokio::test]
    async fn a_watch_that_falls_behind_the_history_is_ended() {
        let shared = Arc::new(Shared::default());
        let filter = Filter { resource: &RESOURCES[0], namespace: None, selector: Selector::default() };
        let watch = || Watch::new(shared.clone(), filter.clone(), Start::Now, Bookmarks::NotWanted, None);
        let mut reading = watch();
        let mut stalled = watch();
        write(&shared, "first");
        assert!(reading.next().await.is_some());
        for n in 0..MAX_HISTORY {
            write(&shared, &n.to_string());
        }
        assert!(reading.next().await.is_some());
        let ended = tokio::time::timeout(Duration::from_secs(5), stalled.next()).await;
        assert_eq!(ended, Ok(None));
    }
}
