//! What one peer knows of our routes, what it should know, and whether the permission for what is on its way has ended.

use std::sync::Arc;
use std::time::{Duration, Instant};

use vipcast_proto::bgp::adj_rib_out::{AdjRibOut, Batch, Export, Local, Routes, Snapshot};
use vipcast_proto::bgp::fsm::Negotiated;
use vipcast_proto::bgp::types::Family;

use super::origin::Origin;
use super::outbox::Wrote;
use super::settings::{NextHop, PeerSettings};

/// Of an established session.
#[derive(Debug)]
pub(super) struct Table {
    rib: AdjRibOut,
    local: Local,
    export: Export,
    /// What it should know, and until when that is right.
    wanted: Option<Wanted>,
    /// What is being written.
    batch: Option<UnderWay>,
    /// What is known to have been written.
    told: u64,
    known: Arc<Snapshot>,
    /// Since when something waits to be told.
    waiting: Option<Instant>,
    /// Since when a withdrawal waits and not one octet is taken.
    stuck: Option<Instant>,
    /// Until then nothing is said if there is nothing to announce: the peer has our routes of before.
    hold_back: Option<Instant>,
    restart: Option<Duration>,
}

#[derive(Debug)]
struct Wanted {
    origin: Arc<Origin>,
    routes: Arc<Routes>,
    snapshot: Arc<Snapshot>,
    until: Option<Instant>,
}

#[derive(Debug)]
struct UnderWay {
    serial: u64,
    /// When the first permission ends for what is announced in it.
    until: Option<Instant>,
}

/// What to do now.
#[derive(Debug)]
pub(super) enum Next {
    /// These octets.
    Write(Batch),
    /// Nothing.
    Wait,
    /// End the connection, for this reason.
    Abandon(&'static str),
}

impl Table {
    pub(super) fn new(
        settings: &PeerSettings,
        negotiated: &Negotiated,
        local: Local,
        draining: bool,
    ) -> Self {
        let restart = settings.session.graceful_restart.filter(|_| !negotiated.preserved.is_empty());
        Self {
            rib: AdjRibOut::new(negotiated.families.clone(), settings.coalesce),
            local,
            export: export(settings, negotiated, local, draining),
            wanted: None,
            batch: None,
            told: 0,
            known: Arc::default(),
            waiting: None,
            stuck: None,
            hold_back: None,
            restart: restart.map(|restart| Duration::from_secs(restart.time.into()) / 2),
        }
    }

    /// Something else is to be said of the routes.
    pub(super) fn adjust(&mut self, settings: &PeerSettings, negotiated: &Negotiated, draining: bool) {
        let export = export(settings, negotiated, self.local, draining);
        if export != self.export {
            self.export = export;
            self.wanted = None;
        }
    }

    pub(super) fn resend(&mut self, family: Family, enhanced: bool) {
        self.rib.resend(family, enhanced);
    }

    /// TCP took octets.
    pub(super) fn wrote(&mut self, now: Instant, wrote: Wrote) {
        self.stuck = self.stuck.map(|_| now);
        if wrote == Wrote::Batch
            && let Some(batch) = self.batch.take()
        {
            self.told = batch.serial;
            self.known = self.rib.known().clone();
        }
    }

    /// What to do about `origin`, which is the newest. `writing`: what was to be written before is not written yet.
    pub(super) fn next(&mut self, now: Instant, origin: &Arc<Origin>, writing: bool) -> Next {
        self.want(now, origin);
        if let Some(words) = self.is_over(now) {
            return Next::Abandon(words);
        }
        let serial = self.wanted.as_ref().map_or(0, |wanted| wanted.origin.serial);
        if writing {
            return Next::Wait;
        }
        if self.holds_back(now) {
            self.told = serial;
            return Next::Wait;
        }
        if let Some(batch) = self.rib.take(now) {
            let until = self.wanted.as_ref().and_then(|wanted| wanted.until);
            self.batch = Some(UnderWay { serial, until: until.filter(|_| batch.announced > 0) });
            return Next::Write(batch);
        }
        if self.rib.is_settled() {
            (self.told, self.waiting, self.stuck) = (serial, None, None);
            self.known = self.rib.known().clone();
        }
        Next::Wait
    }

    /// When to look again although nothing happened.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let window = if self.batch.is_none() { self.rib.deadline() } else { None };
        let wanted = self.wanted.as_ref().and_then(|wanted| wanted.until);
        let batch = self.batch.as_ref().and_then(|batch| batch.until);
        let stuck = self.stuck.map(|since| since + PATIENCE);
        [window, wanted, batch, stuck, self.hold_back].into_iter().flatten().min()
    }

    /// Until when what is being written may be.
    pub(super) fn permitted(&self) -> Option<Instant> {
        self.batch.as_ref().and_then(|batch| batch.until)
    }

    /// The serial of the origin that the peer knows whole.
    pub(super) fn told(&self) -> u64 {
        self.told
    }

    /// What it knows.
    pub(super) fn known(&self) -> &Arc<Snapshot> {
        &self.known
    }

    /// What it should know.
    pub(super) fn wanted(&self) -> &Snapshot {
        self.wanted.as_ref().map_or(&self.known, |wanted| &wanted.snapshot)
    }

    /// Since when something waits to be told.
    pub(super) fn waiting(&self) -> Option<Instant> {
        self.waiting
    }

    fn want(&mut self, now: Instant, origin: &Arc<Origin>) {
        if self.wanted.as_ref().is_some_and(|it| it.is_right(now, origin)) {
            return;
        }
        let routes = origin.live(now);
        let until = origin.deadline(now);
        let mut shrinks = false;
        if let Some(before) = &self.wanted {
            let expired = before.until.is_some_and(|until| until <= now);
            shrinks = expired || !origin.covers(&before.origin);
            if let Some(batch) = &mut self.batch
                && !shrinks
            {
                // Its permission was renewed.
                batch.until = batch.until.max(until).filter(|_| batch.until.is_some());
            }
        }
        let same = self.wanted.as_ref().filter(|before| Arc::ptr_eq(&before.routes, &routes));
        let snapshot = same.map_or_else(|| routes.export(&self.export), |before| before.snapshot.clone());
        self.rib.want(snapshot.clone());
        self.wanted = Some(Wanted { origin: origin.clone(), routes, snapshot, until });
        if !self.rib.is_settled() {
            self.waiting = self.waiting.or(Some(now));
            if shrinks {
                self.rib.hurry();
                self.stuck = self.stuck.or(Some(now));
            }
        }
    }

    /// Why nothing may be written any more, not even the rest of what has been begun.
    fn is_over(&self, now: Instant) -> Option<&'static str> {
        let over = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if over(self.batch.as_ref().and_then(|batch| batch.until)) {
            return Some("permission ended while routes were being announced");
        }
        over(self.stuck.map(|since| since + PATIENCE)).then_some("the peer does not take a withdrawal")
    }

    /// After a restart, End-of-RIB before the first route would make the peer drop those of before (RFC 4724 §4.2).
    fn holds_back(&mut self, now: Instant) -> bool {
        let Some(restart) = self.restart else { return false };
        if self.wanted().is_empty() {
            let until = *self.hold_back.get_or_insert(now + restart);
            if now < until {
                return true;
            }
        }
        (self.restart, self.hold_back) = (None, None);
        false
    }
}

impl Wanted {
    fn is_right(&self, now: Instant, origin: &Arc<Origin>) -> bool {
        self.origin.serial == origin.serial && self.until.is_none_or(|until| now < until)
    }
}

fn export(settings: &PeerSettings, negotiated: &Negotiated, mut local: Local, draining: bool) -> Export {
    // The session's own address is IPv6: IPv4 routes go there too, where the peer takes that.
    let over_ipv6 = local.v4.is_none() || !settings.reach.address().is_some_and(|at| at.is_ipv4());
    let own = matches!(settings.next_hop, NextHop::Own | NextHop::Fixed(..));
    if own && over_ipv6 && negotiated.extended_next_hop {
        local.v4 = None;
    }
    let export = Export::new(settings.session.local_as, settings.policy_for(negotiated), negotiated, &local);
    if draining { export.graceful_shutdown() } else { export }
}

/// How long a peer may take nothing while a withdrawal waits for it: after that, it forgets everything at once.
const PATIENCE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use vipcast_proto::bgp::fsm::{Peering, Restart};
    use vipcast_proto::bgp::types::{Asn, HoldTime};
    use vipcast_proto::bgp::wire::AsNumbers;

    use super::super::fixture;
    use super::*;
    use crate::clock;

    const MILLIS: Duration = Duration::from_millis(1);

    fn negotiated() -> Negotiated {
        Negotiated {
            peer_as: Asn(65001),
            peer_identifier: Ipv4Addr::new(192, 0, 2, 254),
            peering: Peering::External,
            hold_time: HoldTime::new(9).unwrap(),
            families: [Family::IPV4_UNICAST].into(),
            as_numbers: AsNumbers::FourOctets,
            extended_next_hop: false,
            route_refresh: true,
            enhanced_route_refresh: false,
            graceful_restart: None,
            preserved: [].into(),
            notification: false,
        }
    }

    fn table(settings: &PeerSettings, negotiated: &Negotiated) -> Table {
        let local = Local { v4: Some(Ipv4Addr::LOCALHOST), ..Local::default() };
        Table::new(settings, negotiated, local, false)
    }

    fn next(origin: &Arc<Origin>, vips: &[(u8, Instant)]) -> Arc<Origin> {
        let until = vips.iter().map(|(last, until)| (IpAddr::from([192, 0, 2, *last]), *until));
        Arc::new(origin.next(fixture::granted(until), &Arc::default()))
    }

    /// What is to be done, as counts of announced and withdrawn routes.
    fn done(next: Next) -> Result<(usize, usize), &'static str> {
        match next {
            Next::Write(batch) => Ok((batch.announced, batch.withdrawn)),
            Next::Wait => Err("wait"),
            Next::Abandon(words) => Err(words),
        }
    }

    #[test]
    fn a_process_that_was_frozen_withdraws_what_is_over_before_anybody_tells_it() {
        let t0 = clock::now();
        let mut table = table(&fixture::peer(1), &negotiated());
        let origin = next(&Arc::default(), &[(1, t0 + 1000 * MILLIS), (2, t0 + 9000 * MILLIS)]);
        assert_eq!(done(table.next(t0, &origin, false)), Ok((2, 0)));
        table.wrote(t0, Wrote::Batch);
        assert_eq!((done(table.next(t0, &origin, false)), table.told()), (Err("wait"), 1));
        assert_eq!(table.deadline(), Some(t0 + 1000 * MILLIS));
        // Nobody has told it anything, and the window for changes counts for nothing.
        assert_eq!(done(table.next(t0 + 1000 * MILLIS, &origin, false)), Ok((0, 1)));
    }

    #[test]
    fn an_announcement_that_is_on_its_way_when_its_permission_ends_is_not_finished() {
        let t0 = clock::now();
        let mut table = table(&fixture::peer(1), &negotiated());
        let origin = next(&Arc::default(), &[(1, t0 + 1000 * MILLIS)]);
        assert_eq!(done(table.next(t0, &origin, false)), Ok((1, 0)));
        assert_eq!(table.permitted(), Some(t0 + 1000 * MILLIS));
        // A renewal counts.
        let renewed = next(&origin, &[(1, t0 + 2000 * MILLIS)]);
        assert_eq!(done(table.next(t0 + 999 * MILLIS, &renewed, true)), Err("wait"));
        assert_eq!(table.permitted(), Some(t0 + 2000 * MILLIS));
        let over = "permission ended while routes were being announced";
        assert_eq!(done(table.next(t0 + 2000 * MILLIS, &renewed, true)), Err(over));
    }

    #[test]
    fn a_withdrawal_waits_no_longer_than_a_second_for_a_peer_that_takes_nothing() {
        let t0 = clock::now();
        let mut table = table(&fixture::peer(1), &negotiated());
        let origin = next(&Arc::default(), &[(1, t0 + 60_000 * MILLIS)]);
        assert_eq!(done(table.next(t0, &origin, false)), Ok((1, 0)));
        let gone = next(&origin, &[]);
        let at = |millis| t0 + millis * MILLIS;
        assert_eq!(done(table.next(at(1), &gone, true)), Err("wait"));
        // As long as it takes anything, it is only slow.
        table.wrote(at(900), Wrote::Something);
        assert_eq!(done(table.next(at(1001), &gone, true)), Err("wait"));
        assert_eq!(table.deadline(), Some(at(1900)));
        assert_eq!(done(table.next(at(1900), &gone, true)), Err("the peer does not take a withdrawal"));
    }

    #[test]
    fn after_a_restart_end_of_rib_waits_for_the_first_route() {
        let t0 = clock::now();
        let mut settings = fixture::peer(1);
        settings.session.graceful_restart = Some(Restart { time: 20, forwarding_preserved: true });
        let kept = Negotiated { preserved: [Family::IPV4_UNICAST].into(), ..negotiated() };
        let at = |seconds| t0 + Duration::from_secs(seconds);
        let nothing = next(&Arc::default(), &[]);
        let mut with_route = table(&settings, &kept);
        assert_eq!(done(with_route.next(at(0), &nothing, false)), Err("wait"));
        let origin = next(&nothing, &[(1, at(60))]);
        assert_eq!(done(with_route.next(at(1), &origin, false)), Ok((1, 0)));
        let mut without = table(&settings, &kept);
        assert_eq!(done(without.next(at(0), &nothing, false)), Err("wait"));
        assert_eq!(without.deadline(), Some(at(10)));
        assert_eq!(done(without.next(at(10), &nothing, false)), Ok((0, 0)));
        let mut plain = table(&fixture::peer(1), &negotiated());
        assert_eq!(done(plain.next(at(0), &nothing, false)), Ok((0, 0)));
    }
}
