//! A scripted API server for member Leases: conditional writes, one ordered stream, and faults.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::mpsc;
use vipcast::clock;
use vipcast::kube::failure::Failure;
use vipcast::kube::members::{Outcome, Sighting};
use vipcast::placement::spread::Store;
use vipcast_proto::election::Stamp;
use vipcast_proto::placement::{Answer, Record, Write};

use super::node::TIMING;

#[derive(Clone, Debug, Default)]
pub(crate) struct Server(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    leases: BTreeMap<String, Record>,
    version: u64,
    watchers: Vec<mpsc::Sender<Sighting>>,
    /// Whose requests are lost.
    cut_off: Vec<String>,
    writes: u64,
}

/// One member's way to it.
pub(crate) struct Line {
    server: Server,
    name: String,
}

impl Server {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    pub(crate) fn line(&self, name: &str) -> Line {
        Line { server: self.clone(), name: name.to_owned() }
    }

    /// A list, and everything after it.
    pub(crate) fn watch(&self) -> mpsc::Receiver<Sighting> {
        let (sender, receiver) = mpsc::channel(1024);
        let state = &mut *self.state();
        sender.try_send(Sighting::Listed(state.leases.clone())).unwrap();
        state.watchers.push(sender);
        receiver
    }

    /// Somebody deletes the Lease of `name`.
    pub(crate) fn delete(&self, name: &str) {
        self.state().leases.remove(name).unwrap();
        self.tell(name, None);
    }

    pub(crate) fn cut_off(&self, name: &str) {
        self.state().cut_off.push(name.to_owned());
    }

    pub(crate) fn writes(&self) -> u64 {
        self.state().writes
    }

    fn tell(&self, name: &str, record: Option<&Record>) {
        let sighting = Sighting::Seen { name: name.to_owned(), record: record.cloned() };
        self.state().watchers.retain(|watcher| watcher.try_send(sighting.clone()).is_ok());
    }

    fn write(&self, name: &str, write: &Write) -> Answer {
        let record = {
            let state = &mut *self.state();
            if state.leases.get(name).map(|record| &record.version) != write.based_on.as_ref() {
                return Answer::Conflict;
            }
            state.version += 1;
            state.writes += 1;
            let record = Record {
                version: state.version.to_string(),
                renewed: Some(Stamp(i64::try_from(state.version).unwrap())),
                lease_duration: Some(TIMING.lease_duration),
                transitions: write.transitions,
                statement: Some(write.statement.to_string().parse().unwrap()),
            };
            state.leases.insert(name.to_owned(), record.clone());
            record
        };
        self.tell(name, Some(&record));
        Answer::Written(record)
    }
}

impl Line {
    /// There and back.
    async fn ask(&mut self, limit: Duration, what: impl FnOnce(&Self) -> Answer) -> Outcome {
        clock::pause(WAY).await;
        if self.server.state().cut_off.contains(&self.name) {
            clock::pause(limit).await;
            return Outcome { answer: Answer::Failed, failure: Some(Failure::TimedOut), latency: limit };
        }
        let answer = what(self);
        clock::pause(WAY).await;
        Outcome { answer, failure: None, latency: 2 * WAY }
    }
}

impl Store for Line {
    async fn read(&mut self, limit: Duration) -> Outcome {
        self.ask(limit, |line| Answer::Read(line.server.state().leases.get(&line.name).cloned())).await
    }

    async fn write(&mut self, write: &Write, limit: Duration) -> Outcome {
        let write = write.clone();
        self.ask(limit, move |line| line.server.write(&line.name, &write)).await
    }
}

const WAY: Duration = Duration::from_millis(1);
