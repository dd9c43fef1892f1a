//! What an operator gets to know of an interface: one line for each thing that changed.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use ipnet::IpNet;
use tracing::{info, warn};
use vipcast_proto::advertiser::Desired;
use vipcast_proto::l2::announcer::{Finding, Presence};
use vipcast_proto::l2::ethernet::MacAddr;

use crate::admin::board::{NO_GRANT, VipFact};
use crate::admin::metrics::{Check, Kind};
use crate::admin::status::VipState;
use crate::clock;
use crate::kube::events::Reason;
use crate::net::NetError;
use crate::witness::{CONTROL_PLANE, Witness};

/// Tells the witnesses of one interface.
#[derive(Debug)]
pub struct Reporter {
    interface: String,
    vips: BTreeMap<IpAddr, IpNet>,
    witness: Witness,
    before: BTreeMap<IpAddr, Presence>,
    shown: BTreeMap<IpAddr, VipFact>,
    /// Who claims what this node holds.
    claimants: Stations,
    /// Who has what this node was about to take.
    owners: Stations,
    /// Addresses whose frames do not leave, so that each trouble is one line.
    mute: BTreeSet<IpAddr>,
    trouble: BTreeMap<IpAddr, String>,
    announcing: Announcing,
}

/// How what is held is made known.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Announcing {
    /// By frames on the interface.
    Frames,
    /// By routes, elsewhere.
    Routes,
}

impl Reporter {
    /// A reporter for `vips` on `interface`, all of them absent.
    #[must_use]
    pub fn new(interface: String, vips: BTreeMap<IpAddr, IpNet>, witness: Witness) -> Self {
        let mut reporter = Self {
            interface,
            vips,
            witness,
            before: BTreeMap::new(),
            shown: BTreeMap::new(),
            claimants: Stations::default(),
            owners: Stations::default(),
            mute: BTreeSet::new(),
            trouble: BTreeMap::new(),
            announcing: Announcing::Frames,
        };
        reporter.presence(&BTreeMap::new(), &Desired::default());
        reporter
    }

    /// The same for addresses that are made known in this way.
    #[must_use]
    pub fn announcing(self, announcing: Announcing) -> Self {
        Self { announcing, ..self }
    }

    pub(super) fn presence(&mut self, presence: &BTreeMap<IpAddr, Presence>, desired: &Desired) {
        for vip in self.vips.keys().copied().collect::<Vec<_>>() {
            let now = presence.get(&vip).copied();
            self.settle(vip, now);
            let before = self.before.get(&vip).copied();
            if now != before {
                self.moved(vip, before, now);
            }
            let until = desired.vips.get(&vip).map(|grant| grant.until);
            let fact = self.fact(vip, now, until);
            if self.shown.get(&vip) != Some(&fact) {
                self.witness.board.vip(vip, fact.clone());
                self.shown.insert(vip, fact);
            }
        }
        self.before.clone_from(presence);
    }

    /// What is over is told again when it comes back.
    fn settle(&mut self, vip: IpAddr, presence: Option<Presence>) {
        if matches!(presence, None | Some(Presence::Held)) {
            self.trouble.remove(&vip);
        }
        if presence == Some(Presence::Held) {
            self.owners.forget(vip);
        }
    }

    fn moved(&self, vip: IpAddr, before: Option<Presence>, now: Option<Presence>) {
        let interface = self.interface.as_str();
        if now == Some(Presence::Held) {
            info!(%vip, interface, "address held");
            self.witness.event(Reason::VipAcquired, vip, format!("{vip} is held on {interface}"));
        } else if before == Some(Presence::Held) {
            info!(%vip, interface, "address let go");
            self.witness.event(Reason::VipLost, vip, format!("{vip} was let go on {interface}"));
        }
    }

    fn fact(&self, vip: IpAddr, presence: Option<Presence>, until: Option<Instant>) -> VipFact {
        let rival = match presence {
            Some(Presence::Blocked(by)) => Some(by),
            Some(Presence::Held) => self.claimants.latest(vip, clock::now()),
            Some(Presence::Checking | Presence::Refused | Presence::Stuck) | None => None,
        };
        VipFact {
            prefix_length: self.vips.get(&vip).map_or(0, IpNet::prefix_len),
            interface: self.interface.clone(),
            scope: CONTROL_PLANE.to_owned(),
            state: state(presence),
            until,
            rival: rival.map(|by| by.to_string()),
            why: self.why(vip, presence, rival),
        }
    }

    fn why(&self, vip: IpAddr, presence: Option<Presence>, rival: Option<MacAddr>) -> String {
        let trouble = || self.trouble.get(&vip).cloned().unwrap_or_default();
        match (presence, rival) {
            (None, _) => NO_GRANT.into(),
            (Some(Presence::Checking), _) => "asking the wire whether somebody else has it".into(),
            (Some(Presence::Blocked(by)), _) => format!("{by} answers for it"),
            (Some(Presence::Held), Some(by)) => format!("held and announced; {by} claims it too"),
            (Some(Presence::Held), None) => match self.announcing {
                Announcing::Frames => "held and announced".into(),
                // What routers know of it is theirs to say.
                Announcing::Routes => "held".into(),
            },
            (Some(Presence::Refused | Presence::Stuck), _) => trouble(),
        }
    }

    pub(super) fn probed(&mut self, vip: IpAddr, result: Result<(), NetError>) {
        self.sent(vip, result);
    }

    pub(super) fn announced(&mut self, vip: IpAddr, result: Result<(), NetError>) {
        if result.is_ok() && self.announcing == Announcing::Frames {
            let kind = if vip.is_ipv4() { Kind::Arp } else { Kind::Ndp };
            self.witness.metrics.announced(vip, kind);
        }
        self.sent(vip, result);
    }

    /// That frames do not leave is told once, and that they leave again.
    fn sent(&mut self, vip: IpAddr, result: Result<(), NetError>) {
        match result {
            Ok(()) if self.mute.remove(&vip) => info!(%vip, interface = self.interface, "frames leave again"),
            Ok(()) => {}
            Err(error) if self.mute.insert(vip) => {
                warn!(%vip, interface = self.interface, error = &error as &dyn std::error::Error, "no frame leaves");
            }
            Err(_) => {}
        }
    }

    pub(super) fn refused(&mut self, vip: IpAddr, error: &NetError) {
        self.troubled(vip, error, "kernel refuses the address");
    }

    pub(super) fn stuck(&mut self, vip: IpAddr, error: &NetError) {
        self.troubled(vip, error, "kernel keeps the address");
    }

    fn troubled(&mut self, vip: IpAddr, error: &NetError, what: &'static str) {
        let text = std::error::Error::source(error)
            .map_or_else(|| format!("{what}: {error}"), |source| format!("{what}: {error}: {source}"));
        if self.trouble.insert(vip, text.clone()).as_ref() != Some(&text) {
            warn!(%vip, interface = self.interface, error = error as &dyn std::error::Error, "{what}");
        }
    }

    pub(super) fn found(&mut self, finding: Finding) {
        match finding {
            Finding::Free(vip) => self.witness.metrics.wire_checked(vip, Check::Free),
            Finding::Taken { vip, by } => {
                self.taken(vip, by);
            }
            Finding::Conflict { vip, by, defended } => self.conflict(vip, by, defended),
        }
    }

    /// All are counted; each station is a line and an Event once in a while.
    fn taken(&mut self, vip: IpAddr, by: MacAddr) {
        self.witness.metrics.wire_checked(vip, Check::Taken);
        if self.owners.is_news(vip, by, clock::now()) {
            warn!(%vip, mac = %by, interface = self.interface, "another station has the address, not taking it");
            let note = format!("{by} answers for {vip}: not taking it");
            self.witness.event(Reason::VipConflict, vip, note);
        }
    }

    fn conflict(&mut self, vip: IpAddr, by: MacAddr, defended: bool) {
        self.witness.metrics.address_conflict(vip);
        if self.claimants.is_news(vip, by, clock::now()) {
            warn!(%vip, mac = %by, interface = self.interface, defended, "another station claims our address");
            let note = format!("{by} claims {vip}, which this node holds");
            self.witness.event(Reason::VipConflict, vip, note);
        }
    }
}

/// Other stations that were told of, each once and again after a pause.
#[derive(Debug, Default)]
pub(super) struct Stations(BTreeMap<(IpAddr, MacAddr), Instant>);

impl Stations {
    pub(super) fn is_news(&mut self, vip: IpAddr, by: MacAddr, now: Instant) -> bool {
        if self.0.get(&(vip, by)).is_some_and(|&at| now < at + STATION_PAUSE) {
            return false;
        }
        self.0.retain(|_, at| now < *at + STATION_PAUSE);
        let has_room = self.0.len() < MOST_STATIONS;
        if has_room {
            self.0.insert((vip, by), now);
        }
        has_room
    }

    /// One that goes on is news again after the pause; one that is not has fallen silent.
    fn latest(&self, vip: IpAddr, now: Instant) -> Option<MacAddr> {
        let recent = self.0.iter().filter(|((theirs, _), at)| *theirs == vip && now < **at + STATION_PAUSE);
        recent.max_by_key(|(_, at)| **at).map(|((_, by), _)| *by)
    }

    fn forget(&mut self, vip: IpAddr) {
        self.0.retain(|(theirs, _), _| *theirs != vip);
    }
}

fn state(presence: Option<Presence>) -> VipState {
    match presence {
        None => VipState::Absent,
        Some(Presence::Checking) => VipState::Checking,
        Some(Presence::Blocked(_) | Presence::Refused) => VipState::Blocked,
        Some(Presence::Held) => VipState::Held,
        Some(Presence::Stuck) => VipState::Releasing,
    }
}

/// A squatter that goes on is not told of every second.
const STATION_PAUSE: Duration = Duration::from_secs(300);

/// A station that invents senders fills neither the memory nor the log.
const MOST_STATIONS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::board::StatusReader;

    const CLAIM: Duration = Duration::from_secs(1);

    fn vip() -> IpAddr {
        "192.0.2.100".parse().unwrap()
    }

    fn holder() -> (Reporter, StatusReader) {
        let (witness, status) = Witness::for_tests();
        let mut reporter =
            Reporter::new("eth0".into(), BTreeMap::from([(vip(), IpNet::from(vip()))]), witness);
        show(&mut reporter);
        (reporter, status)
    }

    fn show(reporter: &mut Reporter) {
        reporter.presence(&BTreeMap::from([(vip(), Presence::Held)]), &Desired::default());
    }

    fn station(last: u8) -> MacAddr {
        MacAddr::from([2, 0, 0x5e, 0, 0, last])
    }

    #[tokio::test(start_paused = true)]
    async fn a_claimant_is_shown_while_it_goes_on_and_not_for_ever() {
        let (mut reporter, status) = holder();
        let mut shown = async |claims: bool, pause| {
            clock::pause(pause).await;
            if claims {
                reporter.found(Finding::Conflict { vip: vip(), by: station(7), defended: false });
            }
            show(&mut reporter);
            status.status().vips.into_iter().find_map(|vip| vip.rival)
        };
        let seven = Some(station(7).to_string());
        assert_eq!(shown(true, CLAIM).await, seven);
        assert_eq!(shown(true, STATION_PAUSE).await, seven);
        assert_eq!(shown(false, CLAIM).await, seven);
        assert_eq!(shown(false, STATION_PAUSE).await, None);
    }

    #[test]
    fn stations_that_take_turns_are_news_once_and_invented_ones_are_few() {
        let (now, mut stations) = (clock::now(), Stations::default());
        let news = [1, 2, 1, 2, 1].map(|last| stations.is_news(vip(), station(last), now));
        assert_eq!(news, [true, true, false, false, false]);
        let invented = (3..=u8::MAX).filter(|&last| stations.is_news(vip(), station(last), now)).count();
        assert_eq!(invented, MOST_STATIONS - 2);
        assert!(stations.is_news(vip(), station(1), now + STATION_PAUSE));
        stations.forget(vip());
        assert!(stations.is_news(vip(), station(2), now));
    }
}
