//! What happens to the LAN: each event is performed on a settled cluster and measured from outside.

use std::time::{Duration, Instant};

use super::cluster::Cluster;
use super::lab::cable::Cable;
use super::lab::error::{LabError, Result};
use super::outcome::{Event, Outcome};
use super::promise::{
    CRASH_GAP, FIRST_HOLDER, FROZEN_ADDRESS, GRACEFUL_GAP, OUTAGE_BACK, OUTAGE_LET_GO, SERVICES_ANSWERED,
    SHUTDOWN, SLACK,
};
use crate::clock;

/// How long the API server is frozen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// Fifteen seconds, as other tools were measured.
    Thorough,
    /// Eight seconds.
    Quick,
}

/// Performs everything, telling each step to `say`. Ends early where the laboratory itself fails or nobody holds the VIP
/// any more; that too is in the last outcome.
pub fn perform(cluster: &mut Cluster, pace: Pace, say: &mut dyn FnMut(&str)) -> Result<Vec<Outcome>> {
    let begin = clock::now();
    let mut outcomes = Vec::new();
    let performed =
        EVENTS.into_iter().filter(|(event, _)| cluster.has_services() || !event.is_about_services());
    for (event, title) in performed.collect::<Vec<_>>() {
        say(title);
        let started = clock::now();
        let outcome = match step(cluster, event, pace) {
            Ok(outcome) => outcome,
            Err(LabError::Interrupted) => return Err(LabError::Interrupted),
            Err(error) => failed(cluster, event, started, &error),
        };
        say(&format!("    {}", summary(&outcome)));
        let over = !outcome.kept() && cluster.settle().is_err();
        outcomes.push(outcome);
        if over {
            break;
        }
    }
    outcomes.push(whole(cluster, begin)?);
    Ok(outcomes)
}

fn step(cluster: &mut Cluster, event: Event, pace: Pace) -> Result<Outcome> {
    match event {
        Event::Start => start(cluster),
        Event::HandOver => hand_over(cluster),
        Event::Crash => crash(cluster),
        Event::Freeze => freeze(cluster),
        Event::Cable => cable(cluster),
        Event::Outage => outage(cluster, pace),
        Event::Services => services(cluster),
        Event::ServicesHandOver => services_hand_over(cluster),
        Event::ServicesCrash => services_crash(cluster),
        Event::Whole => whole(cluster, clock::now()),
    }
}

/// Starts a daemon on every node; one of them takes the VIP.
pub fn start(cluster: &mut Cluster) -> Result<Outcome> {
    let begin = clock::now();
    cluster.start_daemons()?;
    let (_, answered) = cluster.wait_answer("anybody holds the VIP", begin, PATIENCE, |_| true)?;
    cluster.linger(AFTERMATH)?;
    let outcome = measure(cluster, Event::Start, begin)?;
    Ok(outcome.bound("first answer", answered - begin, FIRST_HOLDER + SLACK))
}

/// SIGTERM to the holder, which hands over; then it is started again.
pub fn hand_over(cluster: &mut Cluster) -> Result<Outcome> {
    let holder = cluster.settle()?;
    let begin = clock::now();
    cluster.expect_end(holder);
    cluster.daemon(holder)?.term()?;
    let status = cluster.daemon(holder)?.wait(PATIENCE)?;
    let exited = clock::now() - begin;
    await_taker(cluster, begin, holder)?;
    cluster.linger(AFTERMATH)?;
    let outcome = measure(cluster, Event::HandOver, begin)?;
    let gap = outcome.gap;
    let outcome = outcome
        .bound("client's gap", gap, GRACEFUL_GAP)
        .bound("ordered shutdown", exited, SHUTDOWN + SLACK)
        .must(status.is_some_and(|status| status.success()), || {
            format!("the holder's exit status is {status:?}")
        });
    cluster.restart(holder)?;
    Ok(outcome)
}

/// SIGKILL to the holder; later it is started again.
pub fn crash(cluster: &mut Cluster) -> Result<Outcome> {
    let holder = cluster.settle()?;
    let begin = clock::now();
    cluster.expect_end(holder);
    cluster.daemon(holder)?.kill()?;
    await_taker(cluster, begin, holder)?;
    cluster.restart(holder)?;
    cluster.linger(AFTERMATH)?;
    let outcome = measure(cluster, Event::Crash, begin)?;
    let gap = outcome.gap;
    Ok(outcome.bound("client's gap", gap, CRASH_GAP + SLACK))
}

/// SIGSTOP to the holder. Its kernel loses the VIP by itself, another takes it; thawed, the old holder stays silent.
pub fn freeze(cluster: &mut Cluster) -> Result<Outcome> {
    let holder = cluster.settle()?;
    let begin = clock::now();
    cluster.daemon(holder)?.stop()?;
    let gone = cluster.wait_address_gone(holder, PATIENCE);
    let taken = await_taker(cluster, begin, holder);
    cluster.linger(AFTERMATH)?;
    let thawed = clock::now();
    cluster.daemon(holder)?.cont()?;
    let (gone, ()) = (gone?, taken?);
    cluster.linger(AFTER_RETURN)?;
    let outcome = measure(cluster, Event::Freeze, begin)?;
    let gap = outcome.gap;
    let outcome = outcome
        .bound("address gone from the frozen kernel", gone - begin, FROZEN_ADDRESS + SLACK)
        .bound("client's gap", gap, CRASH_GAP + SLACK);
    stays_silent(cluster, outcome, holder, thawed)
}

/// The holder's cable is pulled; another takes the VIP; plugged in again, the old holder stays silent.
pub fn cable(cluster: &mut Cluster) -> Result<Outcome> {
    let holder = cluster.settle()?;
    let begin = clock::now();
    cluster.cable(holder, Cable::Unplugged)?;
    let taken = await_taker(cluster, begin, holder);
    cluster.linger(AFTERMATH)?;
    let plugged = clock::now();
    cluster.cable(holder, Cable::Plugged)?;
    taken?;
    cluster.linger(AFTER_RETURN)?;
    let outcome = measure(cluster, Event::Cable, begin)?;
    let gap = outcome.gap;
    let outcome = outcome.bound("client's gap", gap, CRASH_GAP + SLACK);
    stays_silent(cluster, outcome, holder, plugged)
}

/// The API server freezes: the holder lets go when its grant ends. It thaws: the VIP is back.
pub fn outage(cluster: &mut Cluster, pace: Pace) -> Result<Outcome> {
    cluster.settle()?;
    let begin = clock::now();
    cluster.api()?.stop()?;
    let outlasted = cluster.linger(pace.outage());
    let thawed = clock::now();
    cluster.api()?.cont()?;
    outlasted?;
    let (_, back) = cluster.wait_answer("anybody holds the VIP again", thawed, PATIENCE, |_| true)?;
    cluster.linger(AFTERMATH)?;
    let last = cluster.reach(begin, thawed).last_answer.unwrap_or(begin);
    let outcome = measure(cluster, Event::Outage, begin)?;
    Ok(outcome.bound("VIP let go", last - begin, OUTAGE_LET_GO + SLACK).bound(
        "VIP back after the API answers",
        back - thawed,
        OUTAGE_BACK + SLACK,
    ))
}

/// Services are created all at once; each of them gets an address that one node answers for.
pub fn services(cluster: &mut Cluster) -> Result<Outcome> {
    cluster.settle()?;
    let begin = clock::now();
    cluster.create_services()?;
    let answered = cluster.wait_services("every Service is answered for", begin, |services, from| {
        services.busiest(from, clock::now()).map(|_| clock::now())
    })?;
    cluster.linger(AFTERMATH)?;
    let outcome = measure_services(cluster, Event::Services, begin, None)?;
    Ok(Outcome { gap: answered - begin, ..outcome }.bound(
        "the last one answered for",
        answered - begin,
        SERVICES_ANSWERED + SLACK,
    ))
}

/// SIGTERM to the node that answers for the most Services, which hands them over; then it is started again.
pub fn services_hand_over(cluster: &mut Cluster) -> Result<Outcome> {
    let (node, begin) = busiest(cluster)?;
    cluster.expect_end(node);
    cluster.daemon(node)?.term()?;
    cluster.daemon(node)?.wait(PATIENCE)?;
    services_moved(cluster, Event::ServicesHandOver, node, begin, GRACEFUL_GAP)
}

/// SIGKILL to the node that answers for the most Services; later it is started again.
pub fn services_crash(cluster: &mut Cluster) -> Result<Outcome> {
    let (node, begin) = busiest(cluster)?;
    cluster.expect_end(node);
    cluster.daemon(node)?.kill()?;
    services_moved(cluster, Event::ServicesCrash, node, begin, CRASH_GAP + SLACK)
}

/// Once it has been the same for a while.
fn busiest(cluster: &mut Cluster) -> Result<(usize, Instant)> {
    cluster.settle()?;
    let from = clock::now();
    cluster.linger(GLIMPSE)?;
    let mac = cluster.wait_services("every Service is answered for", from, |services, from| {
        services.busiest(from, clock::now())
    })?;
    Ok((cluster.node_of(mac)?, clock::now()))
}

fn services_moved(
    cluster: &mut Cluster,
    event: Event,
    node: usize,
    begin: Instant,
    bound: Duration,
) -> Result<Outcome> {
    let gone = cluster.node(node)?.mac;
    cluster.wait_services("others answer for every Service", begin, |services, _| {
        let now = clock::now();
        let since = services.each(now - GLIMPSE, now);
        since.iter().all(|seen| !seen.owners.is_empty() && !seen.owners.contains(&gone)).then_some(())
    })?;
    let taken = clock::now();
    cluster.restart(node)?;
    cluster.linger(AFTERMATH)?;
    let outcome = measure_services(cluster, event, begin, Some((node, taken)))?;
    let gap = outcome.gap;
    Ok(outcome.bound("longest silence of a Service", gap, bound))
}

/// What everybody saw of the Services since `begin`, with the node that left them and when others had them.
fn measure_services(
    cluster: &mut Cluster,
    event: Event,
    begin: Instant,
    left: Option<(usize, Instant)>,
) -> Result<Outcome> {
    let now = clock::now();
    let seen = cluster.services()?.all(begin, now);
    let after = left.map_or(begin, |(_, taken)| taken - GLIMPSE);
    let owners = cluster.services()?.all(after, now).owners;
    let leaver = left.map(|(node, _)| node);
    let mut takers = Vec::new();
    for mac in owners {
        let node = cluster.node_of(mac)?;
        if Some(node) != leaver {
            takers.push(cluster.name(node));
        }
    }
    let outcome = Outcome {
        before: leaver.map(|node| cluster.name(node)),
        after: Some(takers.join(", ")),
        gap: seen.longest_silence,
        rounds: seen.rounds,
        double_rounds: seen.double,
        longest_double: seen.longest_double,
        ..Outcome::new(event)
    };
    let ends = cluster.unexpected_ends()?;
    let outcome = outcome.must(seen.double == 0, || format!("two owners answered {} rounds", seen.double));
    Ok(ends.into_iter().fold(outcome, |outcome, end| outcome.must(false, || end)))
}

impl Pace {
    const fn outage(self) -> Duration {
        match self {
            Self::Thorough => Duration::from_secs(15),
            Self::Quick => Duration::from_secs(8),
        }
    }
}

fn await_taker(cluster: &mut Cluster, begin: Instant, holder: usize) -> Result<()> {
    cluster.wait_answer("another node holds the VIP", begin, PATIENCE, |node| node != holder).map(drop)
}

/// What everybody on the LAN saw since `begin`. In every event: never two owners, and no daemon restarts.
fn measure(cluster: &mut Cluster, event: Event, begin: Instant) -> Result<Outcome> {
    let now = clock::now();
    let (reach, seen) = (cluster.reach(begin, now), cluster.sightings(begin, now));
    let named = |node: Option<u8>| node.map(|node| cluster.name(node.into()));
    let outcome = Outcome {
        before: named(reach.before),
        after: named(reach.after),
        gap: reach.gap,
        lost: reach.lost,
        client_late: reach.late,
        rounds: seen.rounds,
        double_rounds: seen.double,
        longest_double: seen.longest_double,
        ..Outcome::new(event)
    };
    let ends = cluster.unexpected_ends()?;
    let outcome = outcome
        .must(seen.double == 0, || format!("two owners answered {} rounds", seen.double))
        .must(seen.answered > 0, || "the observer heard nobody".to_owned());
    Ok(ends.into_iter().fold(outcome, |outcome, end| outcome.must(false, || end)))
}

/// A node that was cut off or frozen must not answer, announce or hold the VIP after its return.
fn stays_silent(cluster: &mut Cluster, outcome: Outcome, node: usize, since: Instant) -> Result<Outcome> {
    let mac = cluster.node(node)?.mac;
    let seen = cluster.sightings(since, clock::now());
    let name = cluster.name(node);
    let holds = cluster.has_address(node)?;
    Ok(outcome
        .must(!seen.owners.contains(&mac), || format!("{name} answered for the VIP after its return"))
        .must(seen.announcements.iter().all(|said| said.owner != mac), || {
            format!("{name} announced the VIP after its return")
        })
        .must(!holds, || format!("the kernel of {name} has the VIP after its return")))
}

/// From the first to the last second: also what lay between the events.
fn whole(cluster: &mut Cluster, begin: Instant) -> Result<Outcome> {
    measure(cluster, Event::Whole, begin)
}

/// What was seen until then still counts; a daemon that ended is often the better explanation.
fn failed(cluster: &mut Cluster, event: Event, begin: Instant, error: &LabError) -> Outcome {
    let outcome = measure(cluster, event, begin).unwrap_or_else(|_| Outcome::new(event));
    outcome.must(false, || error.to_string())
}

fn summary(outcome: &Outcome) -> String {
    let name = |who: &Option<String>| who.clone().unwrap_or_else(|| "nobody".to_owned());
    let (before, after) = (name(&outcome.before), name(&outcome.after));
    let gap = outcome.gap.as_millis();
    let verdict = if outcome.kept() { "kept".to_owned() } else { outcome.broken.join("; ") };
    format!("{before} -> {after}, gap {gap} ms, {} rounds with two owners: {verdict}", outcome.double_rounds)
}

// Who gives addresses does so again at the latest when its Lease is over, after 15 s: Services are created before it may
// have been killed.
const EVENTS: [(Event, &str); 9] = [
    (Event::Start, "start: the daemons begin, one of them takes the VIP"),
    (Event::HandOver, "hand-over: SIGTERM to the holder"),
    (Event::Services, "Services: six are created at once, and get addresses"),
    (Event::ServicesHandOver, "Services: SIGTERM to the node that answers for the most"),
    (Event::ServicesCrash, "Services: kill -9 of the node that answers for the most"),
    (Event::Crash, "crash: kill -9 of the holder"),
    (Event::Freeze, "freeze: SIGSTOP to the holder, SIGCONT once another has the VIP"),
    (Event::Cable, "cable: the holder's is pulled, and plugged in again once another has the VIP"),
    (Event::Outage, "outage: the API server is frozen, and thawed again"),
];
/// How long to wait for what must happen, before it counts as never.
const PATIENCE: Duration = Duration::from_secs(15);
/// Long enough for everybody to be asked several times.
const GLIMPSE: Duration = Duration::from_millis(200);
/// How long second owners are looked for after a change.
const AFTERMATH: Duration = Duration::from_secs(2);
/// How long one that returned is watched: longer than its old grant and the address in its kernel could last.
const AFTER_RETURN: Duration = Duration::from_secs(4);
