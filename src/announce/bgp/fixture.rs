//! Settings for tests.

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use vipcast_proto::bgp::adj_rib_out::Policy;
use vipcast_proto::bgp::fsm::{Bfd, Config, ConnectRetry, SendHold};
use vipcast_proto::bgp::types::{Asn, Family, HoldTime};
use vipcast_proto::election::{Grant, Predecessor};

use super::origin::Vips;
use super::settings::{At, NextHop, PeerSettings, Reach, RemoteAs};

/// Addresses with permission until then.
pub(super) fn granted(vips: impl IntoIterator<Item = (IpAddr, Instant)>) -> Vips {
    let grant = |until| Grant { until, fence: until, predecessor: Predecessor::Left };
    Vips::new(vips.into_iter().map(|(vip, until)| (vip, grant(until))).collect())
}

/// AS 65001 at a port of this host.
pub(crate) fn peer(port: u16) -> PeerSettings {
    PeerSettings {
        session: Config {
            local_as: Asn(65000),
            peer_as: Asn(65001),
            identifier: Ipv4Addr::new(192, 0, 2, 1),
            hold_time: HoldTime::new(9).unwrap(),
            keepalive: None,
            families: [Family::IPV4_UNICAST].into(),
            extended_next_hop: false,
            graceful_restart: None,
            connect_retry: ConnectRetry {
                first: Duration::from_millis(100),
                cap: Duration::from_secs(1),
                attempt: Duration::from_millis(500),
            },
            send_hold: SendHold::Default,
            bfd: Bfd::Ignored,
        },
        remote_as: RemoteAs::Is,
        reach: Reach {
            at: At::Address(Ipv4Addr::LOCALHOST.into()),
            port,
            source: None,
            interface: None,
            ttl: None,
            minimum_ttl: None,
            authentication: None,
        },
        policy: Policy::default(),
        link_bandwidth: None,
        next_hop: NextHop::Own,
        coalesce: Duration::from_millis(20),
        bfd: None,
    }
}
