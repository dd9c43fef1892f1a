//! What a member listens to, as one stream.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Instant;

use tokio::sync::{mpsc, watch};
use vipcast_proto::advertiser::Remains;
use vipcast_proto::placement::{Event, Facts};

use super::super::{Ask, Demand};
use crate::clock;
use crate::drain::Drain;
use crate::kube::members::Sighting;

/// Everything that can happen but the answer to a request.
#[derive(Debug)]
pub(super) struct Inputs {
    sightings: mpsc::Receiver<Sighting>,
    demand: mpsc::Receiver<Demand>,
    asks: mpsc::Receiver<Ask>,
    remains: watch::Receiver<Remains>,
    drain: Option<Drain>,
    /// What was taken out of `demand` with what came before it.
    next: Option<Demand>,
}

#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "one at a time, and the large one is the usual one")]
pub(super) enum Input {
    Event(Event),
    Asked(Ask),
}

impl Inputs {
    pub(super) fn new(
        sightings: mpsc::Receiver<Sighting>,
        demand: mpsc::Receiver<Demand>,
        asks: mpsc::Receiver<Ask>,
        remains: watch::Receiver<Remains>,
        drain: Drain,
    ) -> Self {
        Self { sightings, demand, asks, remains, drain: Some(drain), next: None }
    }

    /// The next one; what is a level rather than an event is a [`Event::Tick`]. Cancel safe.
    pub(super) async fn next(&mut self, deadline: Option<Instant>) -> Input {
        if let Some(demand) = self.next.take() {
            return Input::Event(self.demanded(demand));
        }
        tokio::select! {
            // What others say first: it may be the end of what we hold, or of a wait.
            biased;
            Some(sighting) = self.sightings.recv() => Input::Event(match sighting {
                Sighting::Listed(records) => Event::Listed(records),
                Sighting::Seen { name, record } => Event::Seen { name, record },
            }),
            () = started(self.drain.as_ref()) => {
                self.drain = None;
                Input::Event(Event::Leave)
            }
            Ok(()) = self.remains.changed() => {
                self.remains.mark_unchanged();
                Input::Event(Event::Tick)
            }
            Some(demand) = self.demand.recv() => Input::Event(self.demanded(demand)),
            Some(ask) = self.asks.recv() => Input::Asked(ask),
            () = clock::until(deadline) => Input::Event(Event::Tick),
        }
    }

    /// With everything of the same kind that is there already: each event costs a look at all that is held.
    fn demanded(&mut self, demand: Demand) -> Event {
        match demand {
            Demand::Weight(weight) => Event::Weight(weight),
            Demand::Nodes(_) => Event::Tick,
            Demand::Wanted(mut changes) => {
                self.collect(&mut changes);
                Event::Wanted(changes)
            }
        }
    }

    fn collect(&mut self, changes: &mut BTreeMap<IpAddr, Option<Facts>>) {
        while let Ok(demand) = self.demand.try_recv() {
            match demand {
                Demand::Wanted(more) => changes.extend(more),
                Demand::Nodes(_) => {}
                Demand::Weight(_) => {
                    self.next = Some(demand);
                    return;
                }
            }
        }
    }
}

async fn started(drain: Option<&Drain>) {
    match drain {
        Some(drain) => drain.started().await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_waits_is_taken_together_and_a_weight_stays_where_it_was() {
        let (demand, demanded) = mpsc::channel(8);
        let (_trigger, drain) = Drain::manual();
        let nothing = watch::channel(Remains::default());
        let mut inputs = Inputs::new(mpsc::channel(1).1, demanded, mpsc::channel(1).1, nothing.1, drain);
        let wants = |last, wanted: bool| {
            let address: IpAddr = [192, 0, 2, last].into();
            (address, wanted.then(|| Facts::plain(address)))
        };
        let changes = [[wants(1, true)], [wants(2, true)], [wants(1, false)]];
        for change in changes {
            demand.send(Demand::Wanted(change.into())).await.unwrap();
        }
        demand.send(Demand::Weight(3)).await.unwrap();
        demand.send(Demand::Wanted([wants(3, true)].into())).await.unwrap();
        let mut seen = vec![];
        for _ in 0..4 {
            let deadline = clock::now() + std::time::Duration::from_secs(1);
            seen.push(match inputs.next(Some(deadline)).await {
                Input::Event(event) => event,
                Input::Asked(ask) => panic!("nobody asked: {ask:?}"),
            });
        }
        let expected = [
            Event::Wanted([wants(1, false), wants(2, true)].into()),
            Event::Weight(3),
            Event::Wanted([wants(3, true)].into()),
            Event::Tick,
        ];
        assert_eq!(seen, expected);
    }
}
