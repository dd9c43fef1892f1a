//! Permission without an election: every node that is fit may announce, and routers choose (ECMP).
//!
//! It is a deadline all the same: a process that was frozen has lost it when it wakes up.

use std::time::Duration;

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

/// Runs until the process is stopping and nothing is announced any more, or nobody listens. `keep`: how much longer
/// than the permission an address may stay on this node.
pub async fn run(
    node: String,
    keep: Duration,
    mut conditions: watch::Receiver<Conditions>,
    mut vacancy: watch::Receiver<Vacancy>,
    rulings: watch::Sender<Ruling>,
    witness: Witness,
) {
    loop {
        let now = *conditions.borrow_and_update();
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
            () = clock::pause(RENEWAL), if bar.is_none() => {}
        }
    }
}

/// Where others announce as well, there is no reason to go on against a bar. Who is alone goes on: a node that joins while etcd has
/// no majority needs the VIP.
fn bar(conditions: Conditions, holding: bool) -> Option<Bar> {
    let Conditions { healthy, proven: _, link_up, refused, rivals, stopping, drained } = conditions;
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

    const FIT: Conditions = Conditions {
        healthy: true,
        proven: true,
        link_up: true,
        refused: false,
        rivals: Rivals::Present,
        stopping: false,
        drained: false,
    };

    #[tokio::test(start_paused = true)]
    async fn the_permission_of_a_fit_node_is_renewed_and_ends_with_its_fitness() {
        let (health, conditions) = watch::channel(FIT);
        let (vacancy, vacated) = watch::channel(Vacancy::default());
        let (rulings, mut ruled) = watch::channel(Ruling::unknown());
        let (witness, _status) = Witness::for_tests();
        let mut tasks = JoinSet::new();
        let keep = Duration::from_secs(30);
        tasks.spawn(run("n1".into(), keep, conditions, vacated, rulings, witness));
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
        health.send_replace(Conditions { healthy: false, ..FIT });
        seen(2, false).await;
        health.send_replace(FIT);
        seen(3, true).await;
        health.send_replace(Conditions { drained: true, ..FIT });
        seen(4, false).await;
        health.send_replace(FIT);
        seen(5, true).await;
        health.send_replace(Conditions { stopping: true, ..FIT });
        seen(6, false).await;
        vacancy.send_replace(Vacancy { serial: 5, vacated: true });
        seen(6, false).await;
        assert!(tasks.try_join_next().is_none());
        vacancy.send_replace(Vacancy { serial: 6, vacated: true });
        tasks.join_next().await.unwrap().unwrap();
    }

    #[test]
    fn who_is_alone_begins_when_it_is_fit_and_goes_on_until_it_stops() {
        let unfit = Conditions { healthy: false, ..FIT };
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
        let stopping = Conditions { rivals: Rivals::Nobody, stopping: true, ..FIT };
        assert_eq!(bar(stopping, true), Some(Bar::Stopping));
    }
}
