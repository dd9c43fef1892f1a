//! Guards Service addresses: `loadBalancerSourceRanges` and "only the ports of the Service", by a table of our own in the
//! kernel's packet filter. What it should hold is decided in [`vipcast_proto::guard`]; why it is where it is, and what it
//! does not filter, in ADR 17.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::{debug, info, warn};
use vipcast_proto::guard::Rules;

use crate::change::{Told, publish};
use crate::clock::{now, until};
use crate::nf_tables::News;

mod layout;
mod look;
mod table;

use table::{Look, Outcome, Table};

/// What the kernel enforces.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct GuardState {
    /// The rules that are in force. Nothing is, before the first rules are known.
    pub in_force: Arc<Rules>,
    /// Why they are not those that are wanted.
    pub trouble: Option<String>,
}

impl GuardState {
    /// Whether an address is filtered exactly as `wanted` says: before that it must not be announced.
    #[must_use]
    pub fn may_announce(&self, wanted: &Rules, address: IpAddr) -> bool {
        let rule = wanted.rule(address);
        rule.is_none() || rule == self.in_force.rule(address)
    }

    /// Whether an address that is announced already may stay: it is filtered, be it by the rule that `wanted` is about
    /// to replace.
    #[must_use]
    pub fn may_stay(&self, wanted: &Rules, address: IpAddr) -> bool {
        wanted.rule(address).is_none() || self.in_force.rule(address).is_some()
    }
}

/// Keeps the rules in force.
#[derive(Debug)]
pub struct Guard {
    rules: watch::Receiver<Option<Arc<Rules>>>,
    state: watch::Sender<GuardState>,
    open: fn() -> io::Result<Table>,
    table: Option<Table>,
    news: Option<News>,
    troubles: Told<String>,
    /// When the table was last looked at closely.
    looked: Option<Instant>,
    /// When it is looked at next, if nothing is wanted before. Never, as long as nothing was wanted.
    due: Option<Instant>,
    /// When it was last said that somebody else had changed it.
    warned: Option<Instant>,
}

impl Guard {
    /// A guard of the calling thread's network namespace, and what it has in force. It has to be called in a runtime.
    ///
    /// As long as `rules` says `None`, nothing is done: what an earlier life left stays in force until the rules are
    /// known.
    #[must_use]
    pub fn new(rules: watch::Receiver<Option<Arc<Rules>>>) -> (Self, watch::Receiver<GuardState>) {
        Self::over(Table::open, News::open().ok(), rules)
    }

    fn over(
        open: fn() -> io::Result<Table>,
        news: Option<News>,
        rules: watch::Receiver<Option<Arc<Rules>>>,
    ) -> (Self, watch::Receiver<GuardState>) {
        let (state, in_force) = watch::channel(GuardState::default());
        let (table, troubles) = (open().ok(), Told::default());
        let guard = Self { rules, state, open, table, news, troubles, looked: None, due: None, warned: None };
        (guard, in_force)
    }

    /// Runs until the sender of the rules is dropped, and then removes the table that it has made: withdraw the addresses
    /// first.
    pub async fn run(mut self) {
        let mut look = Look::Away;
        loop {
            let wanted = self.rules.borrow_and_update().clone();
            if let Some(wanted) = wanted {
                self.settle(wanted, look).await;
            }
            match self.wait().await {
                Some(next) => look = next,
                None => return self.leave().await,
            }
        }
    }

    /// How closely to look next; `None` at the end.
    async fn wait(&mut self) -> Option<Look> {
        let port = self.table.as_ref().map_or(0, Table::port);
        loop {
            tokio::select! {
                changed = self.rules.changed() => return changed.ok().map(|()| Look::Away),
                touched = touched(&mut self.news, port) => match touched {
                    // Somebody who flushes again and again does not keep us busy.
                    Ok(()) => {
                        let now = now();
                        let calm = self.looked.map_or(now, |looked| now.max(looked + CALM));
                        self.due = self.due.map(|due| due.min(calm));
                    }
                    Err(error) => {
                        debug!(%error, "no more news of nf_tables: it is looked at from time to time");
                        self.news = None;
                    }
                },
                () = until(self.due) => return Some(Look::Closely),
            }
        }
    }

    async fn settle(&mut self, wanted: Arc<Rules>, look: Look) {
        let outcome = self.enforce(Arc::clone(&wanted), look).await;
        let now = now();
        self.looked = if look == Look::Closely { Some(now) } else { self.looked };
        self.due = Some(now + if outcome.is_ok() { LOOK } else { RETRY });
        match outcome {
            Ok(outcome) => {
                self.tell(outcome, wanted.len());
                self.troubles.is_over();
                publish(&self.state, GuardState { in_force: wanted, trouble: None });
            }
            Err(error) => self.refuse(&wanted, &error),
        }
    }

    async fn enforce(&mut self, wanted: Arc<Rules>, look: Look) -> io::Result<Outcome> {
        self.work(move |table| table.settle(&wanted, look)).await
    }

    async fn leave(mut self) {
        if self.table.as_ref().is_some_and(Table::holds) {
            match self.work(Table::leave).await {
                Ok(outcome) => self.tell(outcome, 0),
                Err(error) => warn!(%error, "the nftables table inet vipcast stays behind"),
            }
        }
        publish(&self.state, GuardState::default());
    }

    /// The kernel blocks for milliseconds, with thousands of addresses for more.
    async fn work(
        &mut self,
        work: impl FnOnce(&mut Table) -> io::Result<Outcome> + Send + 'static,
    ) -> io::Result<Outcome> {
        let mut table = self.table.take().map_or_else(self.open, Ok)?;
        let mut tasks = JoinSet::new();
        tasks.spawn_blocking(move || {
            let outcome = work(&mut table);
            (table, outcome)
        });
        let done = tasks.join_next().await.ok_or(io::ErrorKind::Other)?;
        let (table, outcome) = done.map_err(io::Error::other)?;
        self.table = Some(table);
        outcome
    }

    /// What cannot be filtered is not announced, by whoever asks the state.
    fn refuse(&mut self, wanted: &Rules, error: &io::Error) {
        if wanted.is_empty() {
            debug!(%error, "cannot look for a table of an earlier life");
            return publish(&self.state, GuardState::default());
        }
        let trouble = reason(error);
        if self.troubles.is_news(trouble.clone()) {
            warn!(
                reason = trouble,
                "Service addresses cannot be guarded: those that have to be are not announced"
            );
        }
        let holds = self.table.as_ref().is_some_and(Table::holds);
        let in_force = if holds { Arc::clone(&self.state.borrow().in_force) } else { Arc::default() };
        publish(&self.state, GuardState { in_force, trouble: Some(trouble) });
    }

    fn tell(&mut self, outcome: Outcome, addresses: usize) {
        match outcome {
            Outcome::AsItWas => {}
            Outcome::Built => info!(addresses, "Service addresses are guarded"),
            Outcome::Changed => debug!(addresses, "the guard of Service addresses has changed"),
            Outcome::Removed => info!("no Service address is guarded any more"),
            Outcome::Mended => {
                let now = now();
                if self.warned.is_none_or(|warned| now >= warned + QUIET) {
                    warn!("somebody else has changed the nftables table inet vipcast: it is made anew");
                    self.warned = Some(now);
                }
            }
        }
    }
}

async fn touched(news: &mut Option<News>, port: u32) -> io::Result<()> {
    match news {
        Some(news) => news.touched(layout::TABLE, port).await,
        None => std::future::pending().await,
    }
}

fn reason(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(libc::EPERM) => "the capability NET_ADMIN is missing".to_owned(),
        Some(libc::EPROTONOSUPPORT | libc::EOPNOTSUPP | libc::EAFNOSUPPORT) => {
            format!("the kernel has no nf_tables for the family inet: {error}")
        }
        _ => error.to_string(),
    }
}

/// Between two looks without a reason. One is a single question where nothing has changed in nf_tables.
const LOOK: Duration = Duration::from_secs(30);
/// Until what the kernel refused is tried again.
const RETRY: Duration = Duration::from_secs(5);
/// The least between two looks because of news.
const CALM: Duration = Duration::from_secs(1);
/// The least between two warnings about the same.
const QUIET: Duration = Duration::from_secs(600);

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures::FutureExt;
    use vipcast_proto::guard::{Demand, Others};
    use vipcast_proto::ipam::{Port, Protocol};

    use super::*;

    fn rules(address: &str, ranges: &[&str]) -> Rules {
        let ranges: Vec<_> = ranges.iter().map(|range| range.parse().unwrap()).collect();
        let ports = [Port { protocol: Protocol::Tcp, number: 80 }];
        let address = address.parse().unwrap();
        Rules::of([Demand { address, ports: &ports, source_ranges: &ranges, others: Others::Pass }])
    }

    #[test]
    fn an_address_waits_for_its_own_rule_and_stays_behind_an_older_one() {
        let address = "192.0.2.1".parse().unwrap();
        let (old, new) = (rules("192.0.2.1", &["10.0.0.0/8"]), rules("192.0.2.1", &["172.16.0.0/12"]));
        let (open, other) = (Rules::default(), rules("192.0.2.2", &["172.16.0.0/12"]));
        let told = |in_force: &Rules, wanted: &Rules| {
            let state = GuardState { in_force: Arc::new(in_force.clone()), trouble: None };
            (state.may_announce(wanted, address), state.may_stay(wanted, address))
        };
        let cases =
            [(&open, &new), (&other, &new), (&old, &new), (&new, &new), (&old, &open), (&open, &other)];
        let expected =
            [(false, false), (false, false), (false, true), (true, true), (true, true), (true, true)];
        assert_eq!(cases.map(|(in_force, wanted)| told(in_force, wanted)), expected);
    }

    #[tokio::test(start_paused = true)]
    async fn where_the_kernel_refuses_nothing_is_announced_that_has_to_be_filtered_and_it_is_asked_again() {
        static ASKED: AtomicUsize = AtomicUsize::new(0);
        let refuse = || {
            ASKED.fetch_add(1, Ordering::SeqCst);
            Err(io::Error::from_raw_os_error(libc::EPROTONOSUPPORT))
        };
        let (rules_out, wanted) = watch::channel(None);
        let (guard, mut state) = Guard::over(refuse, None, wanted);
        let mut task = JoinSet::new();
        task.spawn(guard.run());
        let restricted = rules("192.0.2.1", &["10.0.0.0/8"]);
        rules_out.send_replace(Some(Arc::new(restricted.clone())));
        state.changed().await.unwrap();
        let told = state.borrow_and_update().clone();
        assert_eq!(told.in_force, Arc::default());
        assert!(
            told.trouble.as_ref().unwrap().starts_with("the kernel has no nf_tables for the family inet")
        );
        let may = |address: &str| {
            let address = address.parse().unwrap();
            (told.may_announce(&restricted, address), told.may_stay(&restricted, address))
        };
        assert_eq!([may("192.0.2.1"), may("192.0.2.2")], [(false, false), (true, true)]);
        let before = ASKED.load(Ordering::SeqCst);
        crate::clock::pause(RETRY * 3 + CALM).await;
        assert_eq!((ASKED.load(Ordering::SeqCst) - before, state.has_changed().unwrap()), (3, false));
        // Who guards nothing needs no packet filter.
        rules_out.send_replace(Some(Arc::default()));
        state.changed().await.unwrap();
        assert_eq!(*state.borrow(), GuardState::default());
        drop(rules_out);
        task.join_next().await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn before_the_rules_are_known_there_is_nothing_to_do() {
        let (_rules, wanted) = watch::channel(None);
        let (mut guard, state) = Guard::new(wanted);
        assert_eq!(guard.wait().now_or_never(), None);
        assert_eq!(*state.borrow(), GuardState::default());
    }
}
