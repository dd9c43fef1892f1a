//! The speaker alone in a process, with as many addresses as one likes: nothing that is configured has so many.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use vipcast::admin::board::StatusBoard;
use vipcast::admin::metrics::Metrics;
use vipcast::announce::bgp::settings::{At, NextHop, PeerSettings, Reach, RemoteAs, Settings};
use vipcast::announce::bgp::{self, Stage, Surroundings, Wires};
use vipcast::clock;
use vipcast::kube::events::Events;
use vipcast::witness::Witness;
use vipcast_proto::advertiser::{Desired, Report};
use vipcast_proto::bgp::adj_rib_out::Policy;
use vipcast_proto::bgp::fsm::{Bfd, Config, ConnectRetry, SendHold};
use vipcast_proto::bgp::types::{Asn, Family, HoldTime};
use vipcast_proto::election::{Grant, Predecessor};
use vipcast_proto::l2::announcer::Link;

use super::plan::{ROUTER_AS, SPEAKER_AS};

/// `announce COUNT LOCAL ROUTER...`: until it is killed.
pub(crate) fn run(words: &[String]) -> ! {
    let [count, local, routers @ ..] = words else { panic!("{WORD} COUNT LOCAL ROUTER...") };
    let (count, local): (u32, IpAddr) = (count.parse().unwrap(), local.parse().unwrap());
    let peers = routers.iter().map(|router| (router.clone(), peer(local, router.parse().unwrap())));
    let settings = Settings { peers: peers.collect(), ..Settings::default() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(speak(settings, count));
    std::process::exit(0)
}

async fn speak(settings: Settings, count: u32) {
    let (_settings, configured) = watch::channel(Arc::new(settings));
    let until = clock::now() + Duration::from_secs(86_400);
    let grant = Grant { until, fence: until, predecessor: Predecessor::Left };
    let present = (0..count).map(address);
    let vips: BTreeMap<IpAddr, Grant> = (0..count).map(|number| (address(number), grant)).collect();
    let (_desired, desired) = watch::channel(Desired { serial: 1, vips: vips.into() });
    let (holders, held) = mpsc::channel(1);
    holders.try_send(("lo".to_owned(), Report::new(1, present))).unwrap();
    let (bind, _bound) = watch::channel(Desired::default());
    let (reachable, _reached) = watch::channel(Link::Down);
    let (reports, mut reported) = mpsc::channel(16);
    let (_commands, commands) = mpsc::channel(1);
    let (_stage, stage) = watch::channel(Stage::Running);
    let (board, status) = StatusBoard::new("bench", "node1");
    let metrics = Metrics::new("bench", None, status);
    let (events, _events) = Events::channel();
    let witness = Witness { board, metrics, events };
    let (_secrets, secrets) = watch::channel(BTreeMap::new());
    let wires =
        Wires { settings: configured, desired, holders: held, bind, reachable, reports, commands, stage };
    let surroundings = Surroundings { vips: Arc::default(), secrets, links: watch::channel(0).1 };
    tokio::select! {
        () = bgp::run(wires, surroundings, Arc::new(|_, _, _| None), witness) => (),
        () = async { while reported.recv().await.is_some() {} } => (),
    }
}

fn peer(local: IpAddr, router: IpAddr) -> PeerSettings {
    PeerSettings {
        session: Config {
            local_as: Asn(SPEAKER_AS),
            peer_as: Asn(ROUTER_AS),
            identifier: Ipv4Addr::new(10, 88, 0, 2),
            hold_time: HoldTime::new(90).unwrap(),
            keepalive: None,
            families: [Family::IPV4_UNICAST].into(),
            extended_next_hop: false,
            graceful_restart: None,
            connect_retry: ConnectRetry {
                first: Duration::from_secs(1),
                cap: Duration::from_secs(1),
                attempt: Duration::from_secs(1),
            },
            send_hold: SendHold::Default,
            bfd: Bfd::Ignored,
        },
        remote_as: RemoteAs::Is,
        reach: Reach {
            at: At::Address(router),
            port: 179,
            source: Some(local),
            interface: None,
            ttl: None,
            minimum_ttl: None,
            authentication: None,
        },
        policy: Policy::default(),
        link_bandwidth: None,
        next_hop: NextHop::Own,
        coalesce: Duration::from_millis(5),
        bfd: None,
    }
}

/// 10.128.0.0 and those after it.
pub(crate) fn address(number: u32) -> IpAddr {
    Ipv4Addr::from_bits(u32::from_be_bytes([10, 128, 0, 0]) + number).into()
}

pub(crate) const WORD: &str = "announce";
