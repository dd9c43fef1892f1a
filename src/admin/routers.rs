//! What routers know of the VIPs of this node: in `vipcast status`, and why one of them does not know an address.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use vipcast_proto::bgp::types::family_of;

use super::peers::{PeerFact, PeerStatus, family_name};
use super::timestamp::Timestamp;

/// The sessions with routers, as far as they matter for the VIPs.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BgpStatus {
    /// How many there should be.
    pub configured: usize,
    /// One per session that there is or that is tried, in order of their names.
    pub peers: Vec<SessionStatus>,
}

/// A session with a router.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionStatus {
    /// The name that commands take.
    pub peer: String,
    /// `idle`, `connect`, `active`, `opensent`, `openconfirm` or `established`.
    pub state: String,
    /// When it came up or went down.
    pub since: Timestamp,
    /// Why there is none; absent while there is one, and before the first attempt has ended.
    pub why: Option<String>,
}

/// What the board knows of BGP beside the sessions.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Speaking {
    /// Nothing but routes makes VIPs known.
    pub(super) alone: bool,
    /// How many peers there should be.
    pub(super) configured: usize,
}

impl Speaking {
    /// WHY of a VIP that is held, when so many routers have been told. `barred`: why none should be.
    pub(super) fn held(self, why: &str, told: usize, barred: Option<&str>) -> String {
        let Self { alone, configured } = self;
        match (told, alone) {
            (0, _) => format!("{why}; {}", barred.unwrap_or("no router has been told")),
            (_, true) => format!("{why}, and announced to {told} of {configured} routers"),
            (_, false) => format!("{why}, and to {told} of {configured} routers"),
        }
    }
}

impl BgpStatus {
    /// What an operator should look at: the first few in full.
    pub(super) fn problems(&self) -> Vec<String> {
        if self.configured == 0 {
            return vec!["no BGP peers are configured".into()];
        }
        let down: Vec<String> = self.peers.iter().filter_map(SessionStatus::problem).collect();
        let more = down.len().saturating_sub(MOST_PROBLEMS);
        let more = (more > 0).then(|| format!("and {more} more BGP sessions are down"));
        down.into_iter().take(MOST_PROBLEMS).chain(more).collect()
    }
}

impl SessionStatus {
    pub(super) fn of(peer: PeerStatus) -> Self {
        let why = peer.last_error.filter(|_| peer.state != ESTABLISHED).map(|error| error.why);
        Self { peer: peer.peer, state: peer.state, since: peer.since, why }
    }

    fn problem(&self) -> Option<String> {
        let Self { peer, state, .. } = self;
        let why = self.why.as_ref().unwrap_or(state);
        (state != ESTABLISHED).then(|| format!("no BGP session with {peer}: {why}"))
    }
}

impl PeerFact {
    /// Whether it has been told of the address.
    pub(super) fn knows(&self, vip: IpAddr) -> bool {
        self.told.get(&IpNet::from(vip)).is_some()
    }

    /// Why it has not, where it should be.
    pub(super) fn why_untold(&self, vip: IpAddr) -> String {
        let family = family_of(vip);
        if self.established.is_none() {
            let why = self.last_error.as_ref().map(|(_, why)| format!(": {why}"));
            return format!("not told, no session is established{}", why.unwrap_or_default());
        }
        if !self.families.contains(&family) {
            return format!("not told, the session does not carry {}", family_name(family));
        }
        match self.told.omitted().iter().find(|omitted| omitted.family == family) {
            Some(omitted) => format!("not told: {}", omitted.why),
            None => "not told yet".into(),
        }
    }
}

const ESTABLISHED: &str = "established";

/// Where all routers of a rack are down, one line says as much as ten.
const MOST_PROBLEMS: usize = 3;

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::sync::Arc;
    use std::time::SystemTime;

    use vipcast_proto::bgp::adj_rib_out::{Export, Local, Policy, Routes, Snapshot};
    use vipcast_proto::bgp::fsm::{Negotiated, Peering, State};
    use vipcast_proto::bgp::types::{Asn, Family, HoldTime};
    use vipcast_proto::bgp::wire::AsNumbers;

    use super::*;
    use crate::admin::board::{NO_GRANT, ScopeFact, StatusBoard, StatusReader, VipFact};
    use crate::admin::fixture::{held, holding, session};
    use crate::admin::status::{NO_LEASE, ScopeState, VipState};
    use crate::clock;

    /// That of the board of the fixture, and one of the other family.
    fn vips() -> [IpAddr; 2] {
        ["10.0.0.1", "2001:db8::1"].map(|vip| vip.parse().unwrap())
    }

    /// What a session with both families and an IPv4 next hop says of them.
    fn told() -> Arc<Snapshot> {
        let negotiated = Negotiated {
            peer_as: Asn(65001),
            peer_identifier: Ipv4Addr::new(192, 0, 2, 254),
            peering: Peering::External,
            hold_time: HoldTime::new(9).unwrap(),
            families: [Family::IPV4_UNICAST, Family::IPV6_UNICAST].into(),
            as_numbers: AsNumbers::FourOctets,
            extended_next_hop: false,
            route_refresh: true,
            enhanced_route_refresh: false,
            graceful_restart: None,
            preserved: [].into(),
            notification: false,
        };
        let local = Local { v4: Some(Ipv4Addr::new(10, 0, 0, 9)), ..Local::default() };
        let plain = Policy::default();
        let routes = Routes::new(vips().map(|vip| (IpNet::from(vip), &plain)));
        routes.export(&Export::new(Asn(65000), plain.clone(), &negotiated, &local))
    }

    fn down(why: Option<&str>) -> PeerFact {
        PeerFact {
            state: State::Active,
            established: None,
            last_error: why.map(|why| (SystemTime::UNIX_EPOCH, why.to_owned())),
            ..session()
        }
    }

    fn why(reader: &StatusReader) -> String {
        reader.status().vips.remove(0).why
    }

    fn routers(alone: bool, peers: &[(&str, PeerFact)]) -> (StatusBoard, StatusReader) {
        let (board, reader) = holding(clock::now());
        board.vip(vips()[0], VipFact { why: "held".into(), ..held(None) });
        board.speaks(alone, peers.len());
        peers.iter().for_each(|(name, fact)| board.peer(name, Some(fact.clone())));
        (board, reader)
    }

    #[test]
    fn a_vip_that_no_router_knows_is_not_said_to_be_announced() {
        let up = PeerFact { told: told(), ..session() };
        let none: [(&str, PeerFact); 0] = [];
        let said = [
            why(&routers(true, &none).1),
            why(&routers(true, &[("r1", down(None))]).1),
            why(&routers(true, &[("r1", session())]).1),
            why(&routers(true, &[("r1", down(None)), ("r2", up.clone())]).1),
            why(&routers(false, &[("r1", up.clone())]).1),
        ];
        let expected = [
            "held; no router has been told",
            "held; no router has been told",
            "held; no router has been told",
            "held, and announced to 1 of 2 routers",
            "held, and to 1 of 1 routers",
        ];
        assert_eq!(said, expected);
    }

    #[test]
    fn sessions_that_are_down_are_problems_and_the_first_few_are_named() {
        let problems = |peers: &[(&str, PeerFact)]| routers(true, peers).1.status().problems();
        assert_eq!(problems(&[]), ["no BGP peers are configured"]);
        assert_eq!(problems(&[("r1", session())]), Vec::<String>::new());
        let refused = down(Some("connection refused"));
        let many: Vec<_> = ["r1", "r2", "r3", "r4", "r5"].map(|name| (name, refused.clone())).into();
        assert_eq!(
            problems(&many),
            [
                "no BGP session with r1: connection refused",
                "no BGP session with r2: connection refused",
                "no BGP session with r3: connection refused",
                "and 2 more BGP sessions are down",
            ]
        );
        assert_eq!(problems(&[("r1", down(None))]), ["no BGP session with r1: active"]);
    }

    #[test]
    fn a_daemon_without_bgp_misses_no_peers_and_one_that_ends_neither() {
        let (board, reader) = holding(clock::now());
        assert_eq!((reader.status().bgp, reader.status().problems()), (None, vec![]));
        board.speaks(true, 1);
        assert_eq!(reader.status().problems(), Vec::<String>::new());
        board.routers(0);
        assert_eq!(reader.status().problems(), ["no BGP peers are configured"]);
    }

    #[test]
    fn a_route_that_is_not_told_says_to_whom_and_why() {
        let both: PeerFact = PeerFact {
            families: [Family::IPV4_UNICAST, Family::IPV6_UNICAST].into(),
            told: told(),
            ..session()
        };
        let ipv4 = PeerFact { families: [Family::IPV4_UNICAST].into(), ..both.clone() };
        let fresh = PeerFact { told: Arc::default(), ..both.clone() };
        let peers = [("r1", both), ("r2", ipv4), ("r3", fresh), ("r4", down(Some("hold timer expired")))];
        let (board, reader) = routers(true, &peers);
        board.vip(vips()[1], held(None));
        let absent = |only| -> Vec<String> {
            let word = |peer: Option<String>| peer.unwrap_or_else(|| "-".into());
            let absent = reader.routes(only).absent.into_iter();
            absent.map(|it| format!("{} {} {}", it.prefix, word(it.peer), it.why)).collect()
        };
        let expired = "r4 not told, no session is established: hold timer expired";
        let expected = [
            "10.0.0.1/32 r3 not told yet".to_owned(),
            format!("10.0.0.1/32 {expired}"),
            "2001:db8::1/128 r1 not told: no next hop of this address family is configured or found on the link"
                .to_owned(),
            "2001:db8::1/128 r2 not told, the session does not carry ipv6-unicast".to_owned(),
            "2001:db8::1/128 r3 not told yet".to_owned(),
            format!("2001:db8::1/128 {expired}"),
        ];
        assert_eq!(absent(None), expected);
        assert_eq!(absent(Some("r3")), [&expected[0], &expected[4]].map(String::as_str));
        let nobody = |speaks: bool| {
            let (board, reader) = holding(clock::now());
            if speaks {
                board.speaks(true, 0);
            }
            reader.routes(None).absent.remove(0).why
        };
        assert_eq!([true, false].map(nobody), ["no BGP peers are configured", "BGP is not switched on"]);
    }

    #[test]
    fn a_vip_without_a_grant_says_what_the_scope_says() {
        let (board, reader) = routers(true, &[("r1", session())]);
        board.vip(vips()[0], VipFact { state: VipState::Absent, why: NO_GRANT.into(), ..held(None) });
        let fact = |state, why: &str| ScopeFact {
            lease: NO_LEASE.into(),
            state,
            holder: None,
            until: None,
            why: why.into(),
        };
        let cordoned = "this node is cordoned, and others announce";
        board.scope("control-plane", fact(ScopeState::Ineligible, cordoned));
        assert_eq!([why(&reader), reader.routes(None).absent.remove(0).why], [cordoned; 2]);
        // Its packets are still taken for a moment.
        board.vip(vips()[0], VipFact { why: "held".into(), ..held(None) });
        let leaving = format!("held; {cordoned}");
        assert_eq!([why(&reader), reader.routes(None).absent.remove(0).why], [leaving.clone(), leaving]);
        board.vip(vips()[0], VipFact { state: VipState::Absent, why: NO_GRANT.into(), ..held(None) });
        // Permission is there, and the announcer has not followed yet.
        board.scope("control-plane", fact(ScopeState::Holding, "renewed on time"));
        assert_eq!(why(&reader), NO_GRANT);
        board.vip(
            vips()[0],
            VipFact { state: VipState::Absent, why: "waiting for the interface".into(), ..held(None) },
        );
        board.scope("control-plane", fact(ScopeState::Ineligible, cordoned));
        assert_eq!(why(&reader), "waiting for the interface");
    }
}
