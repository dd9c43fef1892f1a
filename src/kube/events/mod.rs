//! Kubernetes Events about this node's VIPs and about Services: never in the way of anything, never a flood.

mod ledger;

use std::fmt;
use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::{Event, EventSeries};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tracing::{debug, info, warn};

use self::ledger::{Ledger, Post};
use super::access::Connection;
use super::failure::{Failure, PERMIT};
use crate::clock::{self, until};

/// `reason` of an Event.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Reason {
    /// This node answers for the VIP now.
    VipAcquired,
    /// It does not any more.
    VipLost,
    /// Somebody else claims the VIP on the wire.
    VipConflict,
    /// A BGP session was established.
    PeerUp,
    /// It was lost.
    PeerDown,
    /// A Service was given an address.
    AddressAssigned,
    /// A Service had to give an address up.
    AddressWithdrawn,
    /// A Service keeps an address that is in its pool no more.
    AddressRetained,
    /// Somebody else writes the status of a Service of ours.
    StatusOverwritten,
    /// No pool that serves a Service has an address left.
    PoolExhausted,
    /// A Service cannot have what it asks for.
    RequestRefused,
}

/// The object that an Event is about.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum About {
    /// The node that tells it.
    ThisNode,
    /// A Service.
    Service {
        /// `metadata.namespace`.
        namespace: String,
        /// `metadata.name`.
        name: String,
        /// `metadata.uid`.
        uid: String,
    },
}

/// Something that operators should be able to read with `kubectl get events`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Notice {
    /// What kind of thing.
    pub reason: Reason,
    /// Which object shows it.
    pub about: About,
    /// What it is about, usually a VIP: repetitions about the same subject are counted.
    pub subject: String,
    /// The text, for humans; cut at what the API accepts.
    pub note: String,
}

/// Where notices are dropped off, without ever waiting.
#[derive(Clone, Debug)]
pub struct Events(mpsc::Sender<Notice>);

impl Events {
    /// The handle, and what [`publish`] wants.
    #[must_use]
    pub fn channel() -> (Self, mpsc::Receiver<Notice>) {
        let (sender, receiver) = mpsc::channel(QUEUE);
        (Self(sender), receiver)
    }

    /// Tells it, or not: an Event is never worth waiting for. Returns whether there was room for it, or
    /// nobody wants it.
    pub fn tell(&self, reason: Reason, subject: impl fmt::Display, note: impl Into<String>) -> bool {
        let (about, subject, note) = (About::ThisNode, subject.to_string(), note.into());
        self.post(Notice { reason, about, subject, note })
    }

    /// The same about any object.
    pub fn post(&self, notice: Notice) -> bool {
        !matches!(self.0.try_send(notice), Err(mpsc::error::TrySendError::Full(_)))
    }
}

impl Reason {
    fn warns(self) -> bool {
        match self {
            Self::VipAcquired | Self::PeerUp | Self::AddressAssigned => false,
            Self::VipLost
            | Self::VipConflict
            | Self::PeerDown
            | Self::AddressWithdrawn
            | Self::AddressRetained
            | Self::StatusOverwritten
            | Self::PoolExhausted
            | Self::RequestRefused => true,
        }
    }

    /// `action`: what was done about it.
    fn action(self) -> &'static str {
        match self {
            Self::VipAcquired => "Announce",
            Self::VipLost => "Withdraw",
            Self::VipConflict => "Defend",
            Self::PeerUp | Self::PeerDown => "Peer",
            Self::AddressAssigned | Self::PoolExhausted | Self::RequestRefused => "Assign",
            Self::AddressWithdrawn => "Release",
            Self::AddressRetained => "Retain",
            Self::StatusOverwritten => "Wait",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::VipAcquired => "VIPAcquired",
            Self::VipLost => "VIPLost",
            Self::VipConflict => "VIPConflict",
            Self::PeerUp => "BGPPeerUp",
            Self::PeerDown => "BGPPeerDown",
            Self::AddressAssigned => "AddressAssigned",
            Self::AddressWithdrawn => "AddressWithdrawn",
            Self::AddressRetained => "AddressRetained",
            Self::StatusOverwritten => "StatusOverwritten",
            Self::PoolExhausted => "PoolExhausted",
            Self::RequestRefused => "RequestRefused",
        })
    }
}

/// Writes what is told as Events regarding the Node `node`, or the Service that each is about. Returns when nobody can tell anything any
/// more and what was told is written, or cannot be.
pub async fn publish(
    node: String,
    mut notices: mpsc::Receiver<Notice>,
    connections: watch::Receiver<Option<Connection>>,
) {
    let mut ledger = Ledger::default();
    let mut writing: JoinSet<(Post, Result<(), Failure>)> = JoinSet::new();
    let mut troubles = Troubles::default();
    let mut open = true;
    loop {
        let now = clock::now();
        let hurry = !open && !troubles.failing;
        if writing.is_empty() && (hurry || troubles.over(now)) {
            let connection = connections.borrow().clone();
            match (connection, ledger.due(now)) {
                (Some(connection), Some(post)) => {
                    writing.spawn(write(connection, node.clone(), post));
                }
                (None, Some(_)) => troubles.wait(now),
                (_, None) => {}
            }
        }
        if !open && writing.is_empty() {
            return;
        }
        let due = ledger.deadline().map(|at| troubles.until.map_or(at, |until| at.max(until)));
        tokio::select! {
            notice = notices.recv(), if open => match notice {
                Some(notice) => ledger.observe(clock::now(), clock::wall_micros(), notice),
                None => open = false,
            },
            Some(written) = writing.join_next() => {
                let Ok((post, result)) = written else { continue };
                troubles.settle(&mut ledger, &post, result);
            }
            () = until(due), if writing.is_empty() => {}
        }
    }
}

/// Why nothing is written at the moment.
#[derive(Debug, Default)]
struct Troubles {
    until: Option<std::time::Instant>,
    failing: bool,
    told: Option<u16>,
}

impl Troubles {
    fn over(&self, now: std::time::Instant) -> bool {
        self.until.is_none_or(|until| until <= now)
    }

    fn wait(&mut self, now: std::time::Instant) {
        self.until = Some(now + RETRY);
        self.failing = true;
    }

    fn settle(&mut self, ledger: &mut Ledger, post: &Post, result: Result<(), Failure>) {
        let now = clock::now();
        let Err(failure) = result else {
            ledger.told(now, post);
            self.until = Some(now + GAP);
            self.failing = false;
            if self.told.take().is_some() {
                info!("events are accepted again");
            }
            return;
        };
        self.wait(now);
        match failure.code() {
            Some(404) if post.known => ledger.forgotten(post),
            // It has been written: our answer was lost.
            Some(409) => ledger.told(now, post),
            Some(code @ 400..500) if code != 429 => {
                ledger.told(now, post);
                if self.told.replace(code) != Some(code) {
                    warn!(error = %failure, advice = PERMIT, "events are refused");
                }
            }
            _ => debug!(error = %failure, "event not written yet"),
        }
    }
}

async fn write(connection: Connection, node: String, post: Post) -> (Post, Result<(), Failure>) {
    let api = Api::<Event>::namespaced(connection.lease, post.notice.about.namespace());
    let result = timeout(LIMIT, send(&api, &node, &post)).await;
    let result = result.map_err(|_| Failure::TimedOut).and_then(|sent| sent.map_err(Failure::from));
    (post, result)
}

async fn send(api: &Api<Event>, node: &str, post: &Post) -> kube::Result<()> {
    let event = event(node, post);
    if post.known {
        let name = event.metadata.name.clone().unwrap_or_default();
        let series = serde_json::json!({ "series": event.series });
        return api.patch(&name, &PatchParams::default(), &Patch::Merge(series)).await.map(|_| ());
    }
    api.create(&PostParams::default(), &event).await.map(|_| ())
}

fn event(node: &str, post: &Post) -> Event {
    let about = &post.notice.about;
    let mut event = Event::default();
    event.metadata.namespace = Some(about.namespace().into());
    event.metadata.name =
        Some(format!("{}.{}-{:x}", about.name(node), post.notice.reason, post.first_seen).to_lowercase());
    event.event_time = micro_time(post.first_seen);
    event.reason = Some(post.notice.reason.to_string());
    event.action = Some(post.notice.reason.action().into());
    event.type_ = Some(if post.notice.reason.warns() { "Warning" } else { "Normal" }.into());
    event.note = Some(post.notice.note.chars().take(NOTE).collect());
    event.reporting_controller = Some("vipcast".into());
    event.reporting_instance = Some(node.to_owned());
    event.regarding = Some(about.reference(node));
    event.series = micro_time(post.last_seen)
        .filter(|_| post.count > 1)
        .map(|last_observed_time| EventSeries { count: post.count, last_observed_time });
    event
}

impl About {
    fn namespace(&self) -> &str {
        match self {
            Self::ThisNode => NAMESPACE,
            Self::Service { namespace, .. } => namespace,
        }
    }

    fn name<'a>(&'a self, node: &'a str) -> &'a str {
        match self {
            Self::ThisNode => node,
            Self::Service { name, .. } => name,
        }
    }

    fn reference(&self, node: &str) -> ObjectReference {
        let (kind, namespace, uid) = match self {
            // `kubectl describe node` looks for the node's name in `uid`, because kubelet writes it there.
            Self::ThisNode => ("Node", None, node),
            Self::Service { namespace, uid, .. } => ("Service", Some(namespace.clone()), uid.as_str()),
        };
        ObjectReference {
            api_version: Some("v1".into()),
            kind: Some(kind.into()),
            namespace,
            name: Some(self.name(node).to_owned()),
            uid: Some(uid.to_owned()),
            ..ObjectReference::default()
        }
    }
}

fn micro_time(micros: i64) -> Option<MicroTime> {
    Timestamp::from_microsecond(micros).ok().map(MicroTime)
}

/// Events about what has no namespace live here.
const NAMESPACE: &str = "default";
/// As many Services as may be created at once without one that is not told of.
const QUEUE: usize = 512;
/// The API accepts 1024 bytes; a character has at most four.
const NOTE: usize = 256;
const LIMIT: Duration = Duration::from_secs(5);
/// Between two writes.
const GAP: Duration = Duration::from_millis(100);
/// After one that failed.
const RETRY: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use axum::extract::State;
    use axum::http::StatusCode;
    use axum::routing::post;
    use axum::{Json, Router};
    use serde_json::{Value, json};

    use super::*;
    use crate::kube::testing::{Server, connection};

    type Seen = Arc<Mutex<Vec<Value>>>;

    async fn accept(State(seen): State<Seen>, Json(event): Json<Value>) -> (StatusCode, Json<Value>) {
        seen.lock().unwrap().push(event.clone());
        (StatusCode::CREATED, Json(event))
    }

    async fn forbid(State(seen): State<Seen>, Json(event): Json<Value>) -> (StatusCode, Json<Value>) {
        seen.lock().unwrap().push(event);
        (
            StatusCode::FORBIDDEN,
            Json(json!({"kind": "Status", "status": "Failure", "code": 403, "message": "no"})),
        )
    }

    #[tokio::test]
    async fn what_is_told_arrives_as_an_event_of_the_node() {
        let seen = Seen::default();
        let route = Router::new().route("/apis/events.k8s.io/v1/namespaces/default/events", post(accept));
        let server = Server::start(route.with_state(Arc::clone(&seen))).await;
        let (events, notices) = Events::channel();
        let (_, connections) = watch::channel(Some(connection(&server.url(), 1)));
        for vip in ["10.0.0.100", "fd00::100"] {
            events.tell(Reason::VipAcquired, vip, format!("node-a answers for {vip}"));
        }
        drop(events);
        publish("node-a".into(), notices, connections).await;
        let mut seen = seen.lock().unwrap().clone();
        for event in &mut seen {
            let time = event["eventTime"].take();
            assert!(time.as_str().unwrap().ends_with('Z'));
            let name = event["metadata"]["name"].take();
            assert!(name.as_str().unwrap().starts_with("node-a.vipacquired-"));
        }
        let expected = |vip: &str| {
            json!({
                "apiVersion": "events.k8s.io/v1", "kind": "Event",
                "metadata": {"namespace": "default", "name": null},
                "eventTime": null,
                "type": "Normal", "reason": "VIPAcquired", "action": "Announce",
                "note": format!("node-a answers for {vip}"),
                "reportingController": "vipcast", "reportingInstance": "node-a",
                "regarding": {"apiVersion": "v1", "kind": "Node", "name": "node-a", "uid": "node-a"},
            })
        };
        assert_eq!(seen, [expected("10.0.0.100"), expected("fd00::100")]);
    }

    #[tokio::test]
    async fn what_is_about_a_service_is_told_in_its_namespace() {
        let seen = Seen::default();
        let route = Router::new().route("/apis/events.k8s.io/v1/namespaces/web/events", post(accept));
        let server = Server::start(route.with_state(Arc::clone(&seen))).await;
        let (events, notices) = Events::channel();
        let (_, connections) = watch::channel(Some(connection(&server.url(), 1)));
        let about = About::Service { namespace: "web".into(), name: "shop".into(), uid: "u1".into() };
        let (reason, subject) = (Reason::PoolExhausted, "web/shop".into());
        events.post(Notice { reason, about, subject, note: "4 of 4 used".into() });
        drop(events);
        publish("node-a".into(), notices, connections).await;
        let mut event = seen.lock().unwrap()[0].clone();
        event["eventTime"].take();
        let name = event["metadata"]["name"].take();
        assert!(name.as_str().unwrap().starts_with("shop.poolexhausted-"));
        let expected = json!({
            "apiVersion": "events.k8s.io/v1", "kind": "Event",
            "metadata": {"namespace": "web", "name": null},
            "eventTime": null,
            "type": "Warning", "reason": "PoolExhausted", "action": "Assign", "note": "4 of 4 used",
            "reportingController": "vipcast", "reportingInstance": "node-a",
            "regarding": {"apiVersion": "v1", "kind": "Service", "namespace": "web", "name": "shop", "uid": "u1"},
        });
        assert_eq!(event, expected);
    }

    #[tokio::test]
    async fn what_is_refused_is_not_tried_again() {
        let seen = Seen::default();
        let route = Router::new().route("/apis/events.k8s.io/v1/namespaces/default/events", post(forbid));
        let server = Server::start(route.with_state(Arc::clone(&seen))).await;
        let mut ledger = Ledger::default();
        let (about, subject) = (About::ThisNode, "10.0.0.100".into());
        let notice = Notice { reason: Reason::VipLost, about, subject, note: String::new() };
        ledger.observe(clock::now(), 1, notice);
        let post = ledger.due(clock::now()).unwrap();
        let (post, result) = write(connection(&server.url(), 1), "node-a".into(), post).await;
        let mut troubles = Troubles::default();
        troubles.settle(&mut ledger, &post, result);
        assert_eq!(ledger.deadline(), None);
        assert_eq!(troubles.told, Some(403));
        assert_eq!(seen.lock().unwrap().len(), 1);
    }

    #[tokio::test]
    async fn telling_never_waits_even_when_nobody_listens() {
        let (events, notices) = Events::channel();
        for _ in 0..QUEUE * 2 {
            events.tell(Reason::VipConflict, "10.0.0.100", "claimed by 02:00:00:00:00:01");
        }
        assert_eq!(notices.len(), QUEUE);
    }
}
