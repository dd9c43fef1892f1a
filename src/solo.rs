//! Permission without an election: every node that is fit may announce, and routers choose (ECMP).
//!
//! It is a deadline all the same: a process that was frozen has lost it when it wakes up, and what it knew of its health then
//! was true before.

use std::time::{Duration, Instant};

use tokio::sync::watch;
use tracing::{info, warn};
use vipcast_proto::election::{Grant, Predecessor, Role};
use vipcast_proto::standing::{Bar, Facts, Rivals};

use crate::admin::board::ScopeFact;
use crate::admin::status::{NO_LEASE, ScopeState};
use crate::change::publish;
use crate::clock;
use crate::election::{Conditions, Ruling, Vacancy};
use crate::witness::{CONTROL_PLANE, Witness};

/// When the newest probe that passed was begun; `None`: none has.
pub type Proof = watch::Receiver<Option<Instant>>;

/// Runs until the process is stopping and nothing is announced any more, or nobody listens. `keep`: how much longer
/// than the permission an address may stay on this node. `proof`: of the health gate, where there is one.
pub async fn run(
    node: String,
    keep: Duration,
    mut conditions: watch::Receiver<Conditions>,
    mut proof: Option<Proof>,
    mut vacancy: watch::Receiver<Vacancy>,
    rulings: watch::Sender<Ruling>,
    witness: Witness,
) {
    let mut asleep = None;
    loop {
        // Whoever has run since its permission ran out has renewed it: what began later, began after the wake-up.
        asleep = lapsed(&rulings).or(asleep).filter(|since| !is_proven(proof.as_mut(), *since));
        let now = judged(*conditions.borrow_and_update(), asleep);
        let holding = rulings.borrow().grant.is_some();
        let bar = now.word(bar(now, holding));
        rule(&node, keep, bar, &rulings, &witness);
        let seen = *vacancy.borrow_and_update();
        if now.stopping && seen == (Vacancy { serial: rulings.borrow().serial, vacated: true }) {
            return;
        }
        tokio::select! {
            changed = conditions.changed() => if changed.is_err() { return },
            changed = vacancy.changed() => if changed.is_err() { return },
            () = rulings.closed() => return,
            () = news(proof.as_mut()), if asleep.is_some() => {}
            () = clock::pause(RENEWAL), if bar.is_none() => {}
        }
    }
}

/// When the permission ran out though nothing stood against it: this process was not running.
fn lapsed(rulings: &watch::Sender<Ruling>) -> Option<Instant> {
    let until = rulings.borrow().grant?.until;
    (until <= clock::now()).then_some(until)
}

/// Whether the server has passed a probe that began later. Where there is no gate, nobody asks.
fn is_proven(proof: Option<&mut Proof>, since: Instant) -> bool {
    proof.is_none_or(|proof| proof.borrow_and_update().is_some_and(|begun| begun > since))
}

/// What is known of the health from before the sleep is not known any more.
fn judged(conditions: Conditions, asleep: Option<Instant>) -> Conditions {
    if asleep.is_some() && conditions.healthy {
        Conditions { healthy: false, proven: false, ..conditions }
    } else {
        conditions
    }
}

/// Another probe has passed. A gate that is gone says nothing new.
async fn news(proof: Option<&mut Proof>) {
    if let Some(proof) = proof
        && proof.changed().await.is_ok()
    {
        return;
    }
    std::future::pending().await
}

/// Where others announce as well, there is no reason to go on against a bar. Who is alone goes on: a node that joins while etcd has
/// no majority needs the VIP.
fn bar(conditions: Conditions, holding: bool) -> Option<Bar> {
    let Conditions { healthy, proven: _, link_up, refused, rivals, stopping, drained, courtesy: _ } =
        conditions;
    if drained && !stopping {
        return Some(Bar::Drained);
    }
    let rivals = if rivals == Rivals::Nobody { Rivals::Nobody } else { Rivals::Present };
    Facts { healthy, link_up, refused, rivals, holding, stopping }.bar()
}

fn rule(node: &str, keep: Duration, bar: Option<Bar>, rulings: &watch::Sender<Ruling>, witness: &Witness) {
    let before = rulings.borrow().clone();
    let until = clock::now() + PERMISSION;
    let grant = bar.is_none().then_some(Grant { until, fence: until + keep, predecessor: Predecessor::Left });
    let turned = before.grant.is_some() != grant.is_some();
    let ruling = Ruling {
        serial: before.serial + u64::from(turned),
        grant,
        role: match (grant, bar) {
            (Some(_), _) => Role::Holder,
            (None, Some(Bar::Stopping)) => Role::Leaving,
            (None, _) => Role::Standby,
        },
        holder: grant.map(|_| node.to_owned()),
        known: true,
        bar,
    };
    show(node, &ruling, witness);
    if turned || bar.is_some() && (!before.known || before.bar != bar) {
        tell(bar);
    }
    publish(rulings, ruling);
}

fn tell(bar: Option<Bar>) {
    match bar {
        None => info!("this node announces, as every healthy one does"),
        Some(Bar::Stopping) => info!("this node announces nothing any more: it is stopping"),
        Some(Bar::Unproven | Bar::Drained) => {
            info!(why = bar.map(tracing::field::display), "this node announces nothing at present")
        }
        Some(bar) => warn!(why = %bar, "this node announces nothing"),
    }
}

fn show(node: &str, ruling: &Ruling, witness: &Witness) {
    let (state, why) = match ruling.bar {
        None => (ScopeState::Holding, "announced by every healthy node".to_owned()),
        Some(Bar::Stopping) => (ScopeState::Leaving, Bar::Stopping.to_string()),
        Some(bar) => (ScopeState::Ineligible, bar.to_string()),
    };
    let fact = ScopeFact {
        lease: NO_LEASE.to_owned(),
        state,
        holder: ruling.holder.clone(),
        until: ruling.grant.map(|grant| grant.until),
        why: if state == ScopeState::Holding { format!("{why}, {node} too") } else { why },
    };
    witness.board.scope(CONTROL_PLANE, fact);
}

/// Permission counts from each renewal.
const PERMISSION: Duration = Duration::from_secs(6);
const RENEWAL: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use tokio::task::JoinSet;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_permission_of_a_fit_node_is_renewed_and_ends_with_its_fitness() {
        let (health, conditions) = watch::channel(Conditions::FIT);
        let (vacancy, vacated) = watch::channel(Vacancy::default());
        let (rulings, mut ruled) = watch::channel(Ruling::unknown());
        let (witness, _status) = Witness::for_tests();
        let mut tasks = JoinSet::new();
        let keep = Duration::from_secs(30);
        tasks.spawn(run("n1".into(), keep, conditions, None, vacated, rulings, witness));
        let mut seen = async |serial, granted| {
            clock::pause(Duration::from_millis(1500)).await;
            let ruling = ruled.borrow_and_update().clone();
            assert_eq!((ruling.serial, ruling.grant.is_some()), (serial, granted));
            if let Some(grant) = ruling.grant {
                let left = grant.until - clock::now();
                assert!(left >= PERMISSION - RENEWAL && grant.fence == grant.until + keep, "{left:?}");
            }
        };
        seen(1, true).await;
        seen(1, true).await;
        health.send_replace(Conditions { healthy: false, ..Conditions::FIT });
        seen(2, false).await;
        health.send_replace(Conditions::FIT);
        seen(3, true).await;
        health.send_replace(Conditions { drained: true, ..Conditions::FIT });
        seen(4, false).await;
        health.send_replace(Conditions::FIT);
        seen(5, true).await;
        health.send_replace(Conditions { stopping: true, ..Conditions::FIT });
        seen(6, false).await;
        vacancy.send_replace(Vacancy { serial: 5, vacated: true });
        seen(6, false).await;
        assert!(tasks.try_join_next().is_none());
        vacancy.send_replace(Vacancy { serial: 6, vacated: true });
        tasks.join_next().await.unwrap().unwrap();
    }

    struct Woken {
        passed: watch::Sender<Option<Instant>>,
        ruled: watch::Receiver<Ruling>,
        before: Instant,
        _ends: (watch::Sender<Conditions>, watch::Sender<Vacancy>, JoinSet<()>),
    }

    impl Woken {
        /// One that has announced, and then was frozen for longer than its permission.
        async fn new(conditions: Conditions, gated: bool) -> Self {
            let (health, conditions) = watch::channel(conditions);
            let (vacancy, vacated) = watch::channel(Vacancy::default());
            let (rulings, ruled) = watch::channel(Ruling::unknown());
            let (witness, _status) = Witness::for_tests();
            let before = clock::now();
            let (passed, proof) = watch::channel(Some(before));
            let mut tasks = JoinSet::new();
            let proof = gated.then_some(proof);
            tasks.spawn(run("n1".into(), Duration::ZERO, conditions, proof, vacated, rulings, witness));
            let mut woken = Self { passed, ruled, before, _ends: (health, vacancy, tasks) };
            assert_eq!(woken.ruling().await, (1, true, None));
            tokio::time::advance(Duration::from_secs(16)).await;
            woken
        }

        async fn ruling(&mut self) -> (u64, bool, Option<Bar>) {
            clock::pause(Duration::from_millis(1)).await;
            let ruling = self.ruled.borrow_and_update().clone();
            (ruling.serial, ruling.grant.is_some_and(|grant| grant.until > clock::now()), ruling.bar)
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_was_frozen_asks_for_its_health_before_it_announces_again() {
        let mut woken = Woken::new(Conditions::FIT, true).await;
        let waits = (2, false, Some(Bar::Unproven));
        assert_eq!(woken.ruling().await, waits);
        // Begun before, answered out of a buffer.
        woken.passed.send_replace(Some(woken.before + Duration::from_secs(1)));
        assert_eq!(woken.ruling().await, waits);
        woken.passed.send_replace(Some(clock::now()));
        assert_eq!(woken.ruling().await, (3, true, None));
        tokio::time::advance(PERMISSION - Duration::from_secs(1)).await;
        assert_eq!(woken.ruling().await, (3, true, None));
    }

    #[tokio::test(start_paused = true)]
    async fn who_asks_no_gate_or_is_alone_goes_on_after_a_freeze() {
        let alone = Conditions { rivals: Rivals::Nobody, ..Conditions::FIT };
        for (conditions, gated) in [(Conditions::FIT, false), (alone, true)] {
            assert_eq!(Woken::new(conditions, gated).await.ruling().await, (1, true, None));
        }
    }

    #[test]
    fn who_is_alone_begins_when_it_is_fit_and_goes_on_until_it_stops() {
        let unfit = Conditions { healthy: false, ..Conditions::FIT };
        let of = |rivals, holding| bar(Conditions { rivals, ..unfit }, holding);
        assert_eq!(
            [
                of(Rivals::Nobody, false),
                of(Rivals::Nobody, true),
                of(Rivals::Unknown, true),
                of(Rivals::Present, true)
            ],
            [Some(Bar::Health), None, Some(Bar::Health), Some(Bar::Health)]
        );
        let stopping = Conditions { rivals: Rivals::Nobody, stopping: true, ..Conditions::FIT };
        assert_eq!(bar(stopping, true), Some(Bar::Stopping));
    }
}
