//! The one Lease of an election: conditional writes, each with an outcome that cannot be misread.

mod claim;
mod record;
mod request;
mod route;
#[cfg(test)]
mod route_tests;
#[cfg(test)]
mod tests;
mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use tokio::sync::watch as channel;
use tokio::time::timeout;
use vipcast_proto::election::{Answer, Stamp, Write};

pub use claim::{ADDRESSES, MARK, addresses, delete_lease, is_marked, render_claim, silence_lease};
pub use record::{Holder, VACATED, apply, blank, record};
pub(super) use record::{micro_time, seconds, stamp, whole_seconds};
pub use watch::{Observed, Scope, Sighting, watch_lease, watch_leases};

pub(super) use self::request::{Request, Requests};
use super::access::Connection;
use super::failure::Failure;
use crate::clock;
use crate::config::{is_label, is_subdomain};

/// Where the Lease is.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct LeaseName {
    /// `metadata.namespace`.
    pub namespace: String,
    /// `metadata.name`.
    pub name: String,
}

/// An answer for the election, and what metrics and logs want to know beside it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Outcome {
    /// What the election is told.
    pub answer: Answer,
    /// Why it is not a success, for an operator.
    pub failure: Option<Failure>,
    /// From the request's departure to its answer.
    pub latency: Duration,
}

/// Reads and writes one Lease through whatever connection is newest.
#[derive(Debug)]
pub struct LeaseStore {
    requests: Requests,
    holder: Holder,
    /// `metadata.annotations` of a Lease that we create.
    annotations: BTreeMap<String, String>,
    /// `metadata.labels` of such a one.
    labels: BTreeMap<String, String>,
    /// Whether one that was there before gets them as well.
    adopts: bool,
    /// Which addresses are ours, where a holder says so in the Lease.
    claim: Option<channel::Receiver<Arc<str>>>,
    /// What the watch saw: a write may be based on it.
    observed: channel::Receiver<Option<Observed>>,
    /// The object as the last successful request returned it.
    base: Option<Lease>,
    last: Stamp,
}

impl LeaseStore {
    /// `observed` is what [`watch_lease`] publishes: a write based on a version that only the watch has
    /// seen then needs no read to keep the metadata.
    #[must_use]
    pub fn new(
        name: LeaseName,
        holder: Holder,
        annotations: BTreeMap<String, String>,
        connections: channel::Receiver<Option<Connection>>,
        observed: channel::Receiver<Option<Observed>>,
    ) -> Self {
        let requests = Requests::new(name, connections);
        Self {
            requests,
            holder,
            annotations,
            labels: BTreeMap::new(),
            adopts: false,
            claim: None,
            observed,
            base: None,
            last: Stamp(0),
        }
    }

    /// Says with every write which addresses are ours, see [`render_claim`]; a Lease that it creates has these labels.
    #[must_use]
    pub fn claiming(self, claim: channel::Receiver<Arc<str>>, labels: BTreeMap<String, String>) -> Self {
        Self { labels, claim: Some(claim), ..self }
    }

    /// Whatever Lease it takes has the labels of one that it creates.
    #[must_use]
    pub fn adopting(self) -> Self {
        Self { adopts: true, ..self }
    }

    /// Asks the API server of another node while this node's own does not answer: without it, a node whose API server has
    /// died could not hand over in order. `servers` is what [`watch_servers`](super::servers::watch_servers) publishes.
    #[must_use]
    pub fn with_others(self, servers: channel::Receiver<BTreeSet<SocketAddr>>) -> Self {
        Self { requests: self.requests.with_others(servers), ..self }
    }

    /// Reads the Lease from the server, not from a cache.
    pub async fn read(&mut self, limit: Duration) -> Outcome {
        let departed = clock::now();
        let result = self.requests.send(limit, Request::Read).await;
        let answer = match &result {
            Ok(lease) => Answer::Read(lease.as_ref().map(record)),
            Err(failure) => match failure {
                Failure::Status { .. } | Failure::NoServer | Failure::NotSent(_) => Answer::Refused,
                Failure::Broken(_) | Failure::TimedOut => Answer::Unknown(None),
            },
        };
        let failure = result.map(|lease| self.base = lease).err();
        outcome(answer, failure, departed)
    }

    /// Writes the Lease if it still is what `write` is based on.
    pub async fn write(&mut self, write: &Write, limit: Duration) -> Outcome {
        let departed = clock::now();
        let base = match timeout(limit, self.find_base(write, limit)).await.unwrap_or(Err(Failure::TimedOut))
        {
            Ok(Some(base)) => base,
            Ok(None) => return outcome(Answer::Conflict, None, departed),
            // Nothing was written: only the read before the write has failed.
            Err(failure) => return outcome(Answer::Refused, Some(failure), departed),
        };
        let stamp = self.stamp(&base);
        let mut lease = apply(base, write.intent, &self.holder, stamp);
        if let Some(claim) = &self.claim {
            claim::say(&mut lease, write.intent, &claim.borrow());
            if self.adopts {
                lease.metadata.labels.get_or_insert_default().extend(self.labels.clone());
            }
        }
        let left = limit.saturating_sub(clock::now().saturating_duration_since(departed));
        let result = self.requests.send(left, Request::Write(&lease)).await;
        let exists = write.based_on.is_some();
        match result {
            Ok(written) => {
                let answer = written
                    .as_ref()
                    .map_or(Answer::Unknown(Some(stamp)), |written| Answer::Written(record(written)));
                self.base = written;
                outcome(answer, None, departed)
            }
            Err(failure) => outcome(refusal(&failure, exists, stamp), Some(failure), departed),
        }
    }

    /// The object that has the version the write is based on; `None`: the server has another one by now.
    async fn find_base(&mut self, write: &Write, limit: Duration) -> Result<Option<Lease>, Failure> {
        let Some(version) = &write.based_on else {
            let LeaseName { namespace, name } = &self.requests.name;
            let mut lease = blank(namespace, name, &self.annotations);
            lease.metadata.labels = Some(self.labels.clone()).filter(|labels| !labels.is_empty());
            return Ok(Some(lease));
        };
        let fits = |lease: &Lease| lease.metadata.resource_version.as_deref() == Some(version);
        if let Some(base) = self.base.clone().filter(fits) {
            return Ok(Some(base));
        }
        let seen = self.observed.borrow().as_ref().and_then(|observed| observed.object.clone());
        if let Some(base) = seen.filter(|lease| fits(lease)) {
            return Ok(Some(Lease::clone(&base)));
        }
        Ok(self.requests.send(limit, Request::Read).await?.filter(fits))
    }

    /// A name for the write that no other write of ours and not the record before it has.
    fn stamp(&mut self, base: &Lease) -> Stamp {
        let Stamp(last) = self.last;
        let Stamp(before) = record(base).renewed.unwrap_or(Stamp(0));
        let free = clock::wall_micros().max(last.saturating_add(1));
        self.last = Stamp(if free == before { free.saturating_add(1) } else { free });
        self.last
    }
}

impl LeaseName {
    /// What `NAMESPACE/NAME` names; `None` where it cannot be the name of a Lease.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (namespace, name) = text.split_once('/')?;
        let both = is_label(namespace) && is_subdomain(name);
        both.then(|| Self { namespace: namespace.to_owned(), name: name.to_owned() })
    }

    /// That of an object.
    #[must_use]
    pub fn of(lease: &Lease) -> Self {
        Self {
            namespace: lease.metadata.namespace.clone().unwrap_or_default(),
            name: lease.metadata.name.clone().unwrap_or_default(),
        }
    }
}

impl fmt::Display for LeaseName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

fn refusal(failure: &Failure, exists: bool, stamp: Stamp) -> Answer {
    match failure.code() {
        Some(409) => Answer::Conflict,
        Some(404) if exists => Answer::Conflict,
        _ if failure.certainly_not_applied() => Answer::Refused,
        _ => Answer::Unknown(Some(stamp)),
    }
}

fn outcome(answer: Answer, failure: Option<Failure>, departed: std::time::Instant) -> Outcome {
    Outcome { answer, failure, latency: clock::now().saturating_duration_since(departed) }
}
