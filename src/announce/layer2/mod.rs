//! Runs the layer 2 announcer of one interface: performs its actions and tells it what came of them.

#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use vipcast_proto::advertiser::{Desired, Report};
use vipcast_proto::l2::announcer::{Action, Announcer, Event, Link, kernel_lifetime};

use super::report::Reporter;
use crate::change::publish;
use crate::clock;
use crate::net::NetError;

/// One interface, as the announcer's driver needs it.
pub trait Segment {
    /// Puts an address on the interface, or extends its life.
    fn hold(&mut self, vip: IpAddr, lifetime: Duration) -> impl Future<Output = Result<(), NetError>> + Send;
    /// Takes it off; that it is gone already is no error.
    fn drop(&mut self, vip: IpAddr) -> impl Future<Output = Result<(), NetError>> + Send;
    /// Asks who has it.
    fn probe(&mut self, vip: IpAddr) -> impl Future<Output = Result<(), NetError>> + Send;
    /// Says that it is here.
    fn announce(&mut self, vip: IpAddr) -> impl Future<Output = Result<(), NetError>> + Send;
    /// What happens on the interface; an error ends its use. Cancel safe.
    fn next(&mut self) -> impl Future<Output = Result<Event, NetError>> + Send;
}

/// What connects an announcer with the core.
#[derive(Debug)]
pub struct Wires {
    /// The announcer's name in its reports: the interface's.
    pub name: String,
    /// The addresses that it answers for; what else is desired is others' to announce.
    pub vips: BTreeSet<IpAddr>,
    /// From the core.
    pub desired: watch::Receiver<Desired>,
    /// To the core.
    pub reports: mpsc::Sender<(String, Report)>,
    /// To the conditions: the kernel refused an address lately.
    pub refused: watch::Sender<bool>,
}

/// How a run ended.
#[derive(Debug)]
pub enum End {
    /// The core is gone.
    Unwanted,
    /// The interface cannot be used any more; the announcer may go on with another.
    Broken(NetError),
}

/// Runs until the core is gone or the interface breaks. `most` is the longest kernel lifetime.
pub async fn run(
    announcer: &mut Announcer,
    most: Duration,
    mut segment: impl Segment,
    wires: &mut Wires,
    reporter: &mut Reporter,
) -> End {
    let mut reported = None;
    let mut events = VecDeque::from([Event::Desired(wires.adopted())]);
    loop {
        let desired = wires.newest();
        while let Some(event) = events.pop_front() {
            let actions = announcer.handle(clock::now(), event);
            events.extend(perform_all(&mut segment, actions, most, &desired, reporter).await);
        }
        reporter.presence(&announcer.presence(), &desired);
        publish(&wires.refused, announcer.is_refused());
        let report = announcer.report();
        if reported.as_ref() != Some(&report) {
            if wires.reports.send((wires.name.clone(), report.clone())).await.is_err() {
                return End::Unwanted;
            }
            reported = Some(report);
        }
        events.push_back(tokio::select! {
            // Permission first: it may have ended.
            biased;
            changed = wires.desired.changed() => match changed {
                Ok(()) => Event::Desired(wires.adopted()),
                Err(_) => return End::Unwanted,
            },
            () = clock::until(announcer.deadline()) => Event::Tick,
            event = segment.next() => match event {
                Ok(event) => event,
                Err(error) => return End::Broken(error),
            },
        });
    }
}

impl Wires {
    /// What the announcer is told.
    fn adopted(&mut self) -> Desired {
        self.desired.borrow_and_update().among(&self.vips)
    }

    /// What counts where something is done, whether or not the announcer knows it yet.
    fn newest(&self) -> Desired {
        self.desired.borrow().among(&self.vips)
    }
}

/// Nobody is there to perform what is decided while the interface is gone. What should have been dropped may still
/// be there when it returns, so until then the address does not count as gone.
pub fn interrupt(announcer: &mut Announcer) {
    let now = clock::now();
    for action in announcer.handle(now, Event::Link(Link::Down)) {
        match action {
            Action::Drop(vip) => drop(announcer.handle(now, Event::Stuck(vip))),
            // All this is decided again when the carrier returns.
            Action::Hold { .. } | Action::Announce(_) | Action::Probe(_) | Action::Tell(_) => {}
        }
    }
}

/// Performs what was decided, in this order; what went wrong comes back as events.
async fn perform_all(
    segment: &mut impl Segment,
    actions: Vec<Action>,
    most: Duration,
    desired: &Desired,
    reporter: &mut Reporter,
) -> Vec<Event> {
    let mut failed = vec![];
    for action in actions {
        let unheld = matches!(&action, Action::Announce(vip) if failed.contains(&Event::Refused(*vip)));
        // What the kernel has just refused is not announced: nobody would answer for it.
        if !unheld {
            failed.extend(perform(segment, action, most, desired, reporter).await);
        }
    }
    failed
}

/// Performs one action; what went wrong comes back as an event.
async fn perform(
    segment: &mut impl Segment,
    action: Action,
    most: Duration,
    desired: &Desired,
    reporter: &mut Reporter,
) -> Option<Event> {
    match action {
        Action::Probe(vip) => reporter.probed(vip, segment.probe(vip).await),
        // Time may have passed since the decision: a frozen process wakes up here.
        Action::Announce(vip) if permitted(vip, desired, most).is_some() => {
            reporter.announced(vip, segment.announce(vip).await);
        }
        Action::Announce(_) => {}
        Action::Drop(vip) => {
            if let Err(error) = segment.drop(vip).await {
                reporter.stuck(vip, &error);
                return Some(Event::Stuck(vip));
            }
        }
        Action::Hold { vip, .. } => {
            let lifetime = permitted(vip, desired, most)?;
            if let Err(error) = segment.hold(vip, lifetime).await {
                reporter.refused(vip, &error);
                return Some(Event::Refused(vip));
            }
        }
        Action::Tell(finding) => reporter.found(finding),
    }
    None
}

/// How long the kernel may keep the address by the permission that is in force now; `None`: neither the kernel nor we
/// may answer for it.
fn permitted(vip: IpAddr, desired: &Desired, most: Duration) -> Option<Duration> {
    let now = clock::now();
    let grant = desired.vips.get(&vip).filter(|grant| now < grant.until)?;
    kernel_lifetime(now, grant.fence, most).map(|seconds| Duration::from_secs(seconds.into()))
}
