//! The member Leases of the spread: our own to write, and all of them to watch as one ordered stream.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use kube::Api;
use kube::api::{DeleteParams, Preconditions};
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::timeout;
use vipcast_proto::election::Stamp;
use vipcast_proto::placement::{Answer, Record, Write};

use super::access::Connection;
use super::failure::Failure;
use super::follow::{Labelled, Step, follow};
use super::lease::{LeaseName, Request, Requests, micro_time, seconds, stamp, whole_seconds};
use crate::clock;

/// What became known of member Leases, by member.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "the large one is the usual one")]
pub enum Sighting {
    /// All of them, as they are on the server.
    Listed(BTreeMap<String, Record>),
    /// One of them, in the order of all writes; `None`: it was deleted.
    Seen {
        /// The name of its node.
        name: String,
        /// What it is now.
        record: Option<Record>,
    },
}

/// The outcome of a request, for the spread, and for logs and metrics.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Outcome {
    /// What the spread is told.
    pub answer: Answer,
    /// Why it is not a success.
    pub failure: Option<Failure>,
    /// From the request's departure to its answer.
    pub latency: Duration,
}

/// Reads and writes the member Lease of this node.
#[derive(Debug)]
pub struct MemberStore {
    node: String,
    lease_duration: Duration,
    requests: Requests,
    /// When this life wrote first: `spec.acquireTime`.
    acquired: Option<Stamp>,
    last: Stamp,
}

impl MemberStore {
    /// The store for the member Lease of `node`; others wait for `lease_duration`.
    #[must_use]
    pub fn new(
        namespace: String,
        node: String,
        lease_duration: Duration,
        connections: watch::Receiver<Option<Connection>>,
    ) -> Self {
        let requests = Requests::new(LeaseName { namespace, name: lease_name(&node) }, connections);
        Self { node, lease_duration, requests, acquired: None, last: Stamp(0) }
    }

    /// Asks the API server of another node while this node's own does not answer.
    #[must_use]
    pub fn with_others(self, servers: watch::Receiver<BTreeSet<SocketAddr>>) -> Self {
        Self { requests: self.requests.with_others(servers), ..self }
    }

    /// Reads the Lease from the server, not from a cache.
    pub async fn read(&mut self, limit: Duration) -> Outcome {
        let departed = clock::now();
        match self.requests.send(limit, Request::Read).await {
            Ok(lease) => outcome(Answer::Read(lease.as_ref().map(record)), None, departed),
            Err(failure) => outcome(Answer::Failed, Some(failure), departed),
        }
    }

    /// Writes the Lease if it still is what `write` is based on.
    pub async fn write(&mut self, write: &Write, limit: Duration) -> Outcome {
        let departed = clock::now();
        let lease = self.lease(write);
        match self.requests.send(limit, Request::Write(&lease)).await {
            Ok(Some(written)) => outcome(Answer::Written(record(&written)), None, departed),
            Ok(None) => outcome(Answer::Failed, None, departed),
            Err(failure) => {
                let answer = match failure.code() {
                    Some(409) => Answer::Conflict,
                    Some(404) if write.based_on.is_some() => Answer::Conflict,
                    _ => Answer::Failed,
                };
                outcome(answer, Some(failure), departed)
            }
        }
    }

    /// All of it is ours to say, so that nothing has to be read before a write.
    fn lease(&mut self, write: &Write) -> Lease {
        let renewed = self.stamp();
        let acquired = *self.acquired.get_or_insert(renewed);
        let mut lease = Lease::default();
        lease.metadata.namespace = Some(self.requests.name.namespace.clone());
        lease.metadata.name = Some(self.requests.name.name.clone());
        lease.metadata.resource_version.clone_from(&write.based_on);
        lease.metadata.labels = Some([(MEMBER.to_owned(), "true".to_owned())].into());
        lease.metadata.annotations = Some([(STATEMENT.to_owned(), write.statement.to_string())].into());
        lease.spec = Some(LeaseSpec {
            holder_identity: Some(self.node.clone()),
            lease_duration_seconds: Some(whole_seconds(self.lease_duration)),
            acquire_time: micro_time(acquired),
            renew_time: micro_time(renewed),
            lease_transitions: Some(i32::try_from(write.transitions).unwrap_or(i32::MAX)),
            ..LeaseSpec::default()
        });
        lease
    }

    /// A name for the write that no other write of ours has, whatever happens to the wall clock.
    fn stamp(&mut self) -> Stamp {
        self.last = Stamp(clock::wall_micros().max(self.last.0.saturating_add(1)));
        self.last
    }
}

/// The member Leases of all nodes, for whoever removes those that nobody renews any more.
#[derive(Debug)]
pub struct MemberLeases {
    namespace: String,
    connections: watch::Receiver<Option<Connection>>,
}

/// Which Lease it is, and which of its writes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Version {
    /// `metadata.uid`.
    pub uid: String,
    /// `metadata.resourceVersion`.
    pub resource_version: String,
}

impl MemberLeases {
    /// Those in `namespace`.
    #[must_use]
    pub fn new(namespace: String, connections: watch::Receiver<Option<Connection>>) -> Self {
        Self { namespace, connections }
    }

    /// The Lease of `node`, if there is one.
    ///
    /// # Errors
    /// The server refuses, or does not answer.
    pub async fn version(&self, node: &str) -> Result<Option<Version>, Failure> {
        let lease = self.ask(async |leases| leases.get_opt(&lease_name(node)).await).await?;
        Ok(lease.and_then(|lease| {
            let (uid, resource_version) = lease.metadata.uid.zip(lease.metadata.resource_version)?;
            Some(Version { uid, resource_version })
        }))
    }

    /// Removes the Lease of `node` if it still is this version.
    ///
    /// # Errors
    /// It is another one, which is a conflict; or the server refuses, or does not answer.
    pub async fn remove(&self, node: &str, version: &Version) -> Result<(), Failure> {
        let Version { uid, resource_version } = version.clone();
        let preconditions = Some(Preconditions { uid: Some(uid), resource_version: Some(resource_version) });
        let params = DeleteParams { preconditions, ..DeleteParams::default() };
        self.ask(async |leases| leases.delete(&lease_name(node), &params).await).await.map(drop)
    }

    async fn ask<T>(&self, request: impl AsyncFnOnce(Api<Lease>) -> kube::Result<T>) -> Result<T, Failure> {
        let connection = self.connections.borrow().clone().ok_or(Failure::NoServer)?;
        let leases = Api::namespaced(connection.lease, &self.namespace);
        let answer = timeout(LIMIT, request(leases)).await.map_err(|_| Failure::TimedOut)?;
        answer.map_err(Failure::from)
    }
}

/// Publishes every member Lease of `namespace`, in the order of all writes. Never gives up, and returns only when nobody
/// publishes connections or listens any more.
pub async fn watch_members(
    namespace: String,
    connections: watch::Receiver<Option<Connection>>,
    out: mpsc::Sender<Sighting>,
) {
    // With the renewals' client: where a Service leads to any server, one that is away among them, it has a connection to one
    // that has just answered.
    let source = |connection: &Connection| Labelled::<Lease> {
        api: Api::namespaced(connection.lease.clone(), &namespace),
        labels: SELECTOR,
    };
    loop {
        let (missed, full) = (AtomicBool::new(false), Notify::new());
        let sink = |step| {
            let Some(sighting) = sighting(step) else { return };
            // Whoever has missed something must not be told what came after it.
            if !missed.load(Ordering::Relaxed) && out.try_send(sighting).is_err() {
                missed.store(true, Ordering::Relaxed);
                full.notify_one();
            }
        };
        tokio::select! {
            () = follow("members", connections.clone(), source, sink) => return,
            () = full.notified() => {}
        }
        // From a list on, once there is room for it.
        if out.reserve().await.is_err() {
            return;
        }
    }
}

/// The name of the member Lease of `node`.
#[must_use]
pub fn lease_name(node: &str) -> String {
    format!("{PREFIX}{node}")
}

/// What the spread sees of `lease`. A statement that cannot be read may claim anything.
#[must_use]
pub fn record(lease: &Lease) -> Record {
    let spec = lease.spec.clone().unwrap_or_default();
    let statement = lease.metadata.annotations.as_ref().and_then(|annotations| annotations.get(STATEMENT));
    Record {
        version: lease.metadata.resource_version.clone().unwrap_or_default(),
        renewed: spec.renew_time.as_ref().map(stamp),
        lease_duration: spec.lease_duration_seconds.and_then(seconds),
        transitions: spec.lease_transitions.and_then(|count| u32::try_from(count).ok()).unwrap_or(0),
        statement: statement.and_then(|text| text.parse().ok()),
    }
}

/// Somebody else's Lease may have our label; only the name says whose it is.
fn sighting(step: Step<Lease>) -> Option<Sighting> {
    match step {
        Step::Listed(leases) => {
            let known = leases.iter().filter_map(|lease| Some((node(lease)?, record(lease))));
            Some(Sighting::Listed(known.collect()))
        }
        Step::Applied(lease) => Some(Sighting::Seen { name: node(&lease)?, record: Some(record(&lease)) }),
        Step::Deleted(lease) => Some(Sighting::Seen { name: node(&lease)?, record: None }),
    }
}

fn node(lease: &Lease) -> Option<String> {
    let name = lease.metadata.name.as_deref()?;
    name.strip_prefix(PREFIX).filter(|node| !node.is_empty()).map(str::to_owned)
}

fn outcome(answer: Answer, failure: Option<Failure>, departed: std::time::Instant) -> Outcome {
    Outcome { answer, failure, latency: clock::now().saturating_duration_since(departed) }
}

/// Nobody waits for what is done to the Leases of others.
const LIMIT: Duration = Duration::from_secs(5);
const PREFIX: &str = "vipcast-member-";
/// The label by which member Leases are found.
const MEMBER: &str = "vipcast.io/member";
const SELECTOR: &str = "vipcast.io/member=true";
/// The annotation that says what a member claims.
const STATEMENT: &str = "vipcast.io/statement";

#[cfg(test)]
mod tests {
    use serde_json::json;
    use vipcast_proto::placement::{Life, MemberId, Statement, View};

    use super::*;

    fn statement(sequence: u64) -> Statement {
        Statement {
            life: Life { boot: 0xb007, process: 0xa1 },
            sequence,
            weight: 1,
            view: View::new([(MemberId::of("a"), 1)]),
            also: [].into(),
            not: [].into(),
            unable: [].into(),
        }
    }

    fn store() -> MemberStore {
        let duration = Duration::from_secs(5);
        MemberStore::new("kube-system".into(), "a".into(), duration, watch::channel(None).1)
    }

    fn lease(name: &str) -> Lease {
        serde_json::from_value(json!({"metadata": {"name": name, "resourceVersion": "9"}})).unwrap()
    }

    #[test]
    fn what_is_written_is_what_is_read_and_each_write_has_a_name_of_its_own() {
        let mut store = store();
        let write =
            |sequence| Write { based_on: Some("7".into()), transitions: 3, statement: statement(sequence) };
        let (first, second) = (store.lease(&write(1)), store.lease(&write(2)));
        let (one, two) = (record(&first), record(&second));
        let expected = Record {
            version: "7".into(),
            renewed: one.renewed,
            lease_duration: Some(Duration::from_secs(5)),
            transitions: 3,
            statement: Some(statement(1)),
        };
        assert_eq!(one, expected);
        assert!(two.renewed > one.renewed);
        assert_eq!(first.spec.unwrap().acquire_time, second.spec.as_ref().unwrap().acquire_time);
        let mut object = serde_json::to_value(&second).unwrap();
        object["spec"].as_object_mut().unwrap().retain(|field, _| !field.ends_with("Time"));
        let expected = json!({
            "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
            "metadata": {
                "name": "vipcast-member-a", "namespace": "kube-system", "resourceVersion": "7",
                "labels": {"vipcast.io/member": "true"},
                "annotations": {"vipcast.io/statement": statement(2).to_string()},
            },
            "spec": {"holderIdentity": "a", "leaseDurationSeconds": 5, "leaseTransitions": 3},
        });
        assert_eq!(object, expected);
    }

    #[test]
    fn a_lease_of_another_kind_is_nobodys_and_one_that_says_nothing_may_claim_anything() {
        let leases = ["vipcast-member-b", "vipcast-member-", "plndr-svcs-lock"].map(lease);
        let nothing = Record {
            version: "9".into(),
            renewed: None,
            lease_duration: None,
            transitions: 0,
            statement: None,
        };
        let expected = Sighting::Listed([("b".to_owned(), nothing.clone())].into());
        assert_eq!(sighting(Step::Listed(leases.to_vec())), Some(expected));
        let seen = |record| Some(Sighting::Seen { name: "b".into(), record });
        assert_eq!(sighting(Step::Applied(lease("vipcast-member-b"))), seen(Some(nothing)));
        assert_eq!(sighting(Step::Deleted(lease("vipcast-member-b"))), seen(None));
        assert_eq!(sighting(Step::Deleted(lease("plndr-svcs-lock"))), None);
    }
}
