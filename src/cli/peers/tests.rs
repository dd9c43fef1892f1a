//! What operators see of sessions and routes.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::mpsc;

use super::*;
use crate::admin::fixture;
use crate::admin::listen::serve_unix;
use crate::admin::peers::{
    AbsentRoute, BfdWord, FamilyStatus, LastError, Omission, PeerStatus, RemoteAsWord, RouteStatus,
};
use crate::admin::timestamp::Timestamp;
use crate::announce::bgp::Command;
use crate::task::Tasks;

fn at(seconds: u64) -> Timestamp {
    let moment: SystemTime = UNIX_EPOCH + Duration::from_secs(1_795_225_783 + seconds);
    moment.into()
}

fn family(announced: usize) -> FamilyStatus {
    FamilyStatus { family: "ipv4-unicast".into(), announced, omitted: vec![] }
}

fn peer(name: &str, state: &str) -> PeerStatus {
    PeerStatus {
        peer: name.into(),
        local_as: 65000,
        peer_as: 65001,
        remote_as: None,
        address: name.into(),
        port: 179,
        local_address: None,
        state: state.into(),
        since: at(0),
        families: vec![family(0)],
        identifier: None,
        hold_time_seconds: None,
        received: 0,
        waiting_milliseconds: None,
        bfd: None,
        waits_for_bfd: false,
        draining: false,
        last_error: None,
    }
}

#[test]
fn a_session_that_is_down_says_why() {
    let omitted = Omission { routes: 1, why: "no next hop".into() };
    let up = PeerStatus {
        families: vec![family(2), FamilyStatus { omitted: vec![omitted], ..family(0) }],
        last_error: Some(LastError { at: at(0), why: "long ago".into() }),
        ..peer("10.0.0.1", "established")
    };
    let down = PeerStatus {
        received: 7,
        last_error: Some(LastError { at: at(0), why: "peer says AS 65001, configured 65002".into() }),
        ..peer("10.0.0.2", "active")
    };
    let strict = PeerStatus { bfd: Some(BfdWord::Down), waits_for_bfd: true, ..peer("10.0.0.3", "active") };
    let peers = Peers { node: "cp1".into(), now: at(123), peers: vec![up, down, strict], why_none: None };
    let expected = "\
NODE  LOCAL-AS  PEER-AS  PEER      STATE        UP/DOWN  FAMILY        RCVD-TOTAL  ADV  INFO
cp1   65000     65001    10.0.0.1  established  2m3s     ipv4-unicast  0           2    -
cp1   65000     65001    10.0.0.1  established  2m3s     ipv4-unicast  -           0    1 routes omitted: no next hop
cp1   65000     65001    10.0.0.2  active       2m3s     ipv4-unicast  7           0    peer says AS 65001, configured 65002
cp1   65000     65001    10.0.0.3  active       2m3s     ipv4-unicast  0           0    waits for BFD
";
    assert_eq!(table::peers(&peers, false), expected);
    let none = |why_none: Option<&str>| {
        let peers = Peers { peers: vec![], why_none: why_none.map(ToOwned::to_owned), ..peers.clone() };
        table::peers(&peers, false)
    };
    assert_eq!(
        [none(None), none(Some("Node cp1 has no annotations bgp.example.org/"))],
        [
            "no BGP peers: none are configured\n",
            "no BGP peers: Node cp1 has no annotations bgp.example.org/\n"
        ]
    );
}

#[test]
fn an_autonomous_system_that_is_not_known_yet_is_the_word_that_is_configured() {
    let shown = |peer_as, remote_as| {
        let peer = PeerStatus { peer_as, remote_as, ..peer("10.0.0.1", "active") };
        let peers = Peers { node: "cp1".into(), now: at(0), peers: vec![peer], why_none: None };
        let table = table::peers(&peers, false);
        table.lines().nth(1).and_then(|line| line.split_whitespace().nth(2)).map(ToOwned::to_owned).unwrap()
    };
    let (external, any) = (Some(RemoteAsWord::External), Some(RemoteAsWord::Any));
    assert_eq!(
        [shown(0, external), shown(0, any), shown(65001, any), shown(65001, None)],
        ["external", "any", "65001", "65001"]
    );
}

#[test]
fn a_route_says_who_knows_it_and_what_nobody_knows_says_why() {
    let route = RouteStatus {
        prefix: "192.0.2.10/32".parse().unwrap(),
        peer: "10.0.0.1".into(),
        next_hop: "10.0.0.9".parse().unwrap(),
        as_path: vec![65000],
        med: None,
        local_preference: None,
        communities: vec!["65535:0".into()],
        large_communities: vec![],
        extended_communities: vec!["4004fde84e9502f9".into(), "000200010000000a".into()],
        since: at(0),
        why: "control-plane".into(),
    };
    let absent = |peer: Option<&str>, why: &str| AbsentRoute {
        prefix: "192.0.2.11/32".parse().unwrap(),
        peer: peer.map(Into::into),
        why: why.into(),
    };
    let absent =
        vec![absent(None, "this node has no grant for it"), absent(Some("10.0.0.2"), "not told yet")];
    let routes = Routes { node: "cp1".into(), now: at(61), routes: vec![route], absent };
    let expected = "    PREFIX         NEXTHOP   PEER      AGE   WHY
*>  192.0.2.10/32  10.0.0.9  10.0.0.1  1m1s  control-plane
    192.0.2.11/32  -         -         -     this node has no grant for it
    192.0.2.11/32  -         10.0.0.2  -     not told yet
";
    assert_eq!(table::routes(&routes, false), expected);
    assert!(
        table::routes(&routes, true).contains(
            "65000    -    -           65535:0 link-bandwidth:65000:10G 0x000200010000000a  control-plane"
        ),
        "{}",
        table::routes(&routes, true)
    );
}

#[test]
fn names_of_peers_are_made_safe_for_a_path() {
    assert_eq!(
        ["10.0.0.1", "[2001:db8::1]:1790", "fe80::1%eth0"].map(escaped),
        ["10.0.0.1", "%5B2001:db8::1%5D:1790", "fe80::1%25eth0"]
    );
}

#[tokio::test]
async fn the_daemon_says_what_its_speaker_knows_and_passes_orders_on() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("admin.sock");
    let (mut admin, board, _beat) = fixture::admin();
    board.peer("fe80::1%eth0", Some(fixture::session()));
    let (commands, mut commanded) = mpsc::channel(1);
    admin.speaker = Some(commands);
    let metrics = admin.metrics.render();
    for series in [
        "vipcast_bgp_session_established{peer=\"fe80::1%eth0\"} 1.0",
        "vipcast_bgp_session_state{peer=\"fe80::1%eth0\"} 6.0",
        "vipcast_bgp_routes_announced{peer=\"fe80::1%eth0\",family=\"ipv4-unicast\"} 0.0",
        "vipcast_bgp_last_notification{peer=\"fe80::1%eth0\",direction=\"received\",code=\"6\",subcode=\"2\"} 1.0",
        "vipcast_bgp_bfd_up{peer=\"fe80::1%eth0\"} 1.0",
    ] {
        assert!(metrics.contains(series), "{series} is not in\n{metrics}");
    }
    let mut tasks = Tasks::default();
    tasks.spawn("status", serve_unix(path.clone(), admin.private()));
    tasks.spawn("speaker", async move {
        while let Some(Command::Reset(peer, answer)) = commanded.recv().await {
            answer.send(peer == "fe80::1%eth0").unwrap();
        }
    });
    while !path.exists() {
        tokio::task::yield_now().await;
    }
    let peers: Peers = client::fetch(&path, "/v1/peers").await.unwrap();
    assert_eq!((peers.node.as_str(), peers.peers[0].peer.as_str()), ("cp1", "fe80::1%eth0"));
    let routes: Routes = client::fetch(&path, "/v1/routes/fe80::1%25eth0").await.unwrap();
    let ignorant = AbsentRoute {
        prefix: "10.0.0.1/32".parse().unwrap(),
        peer: Some("fe80::1%eth0".into()),
        why: "not told yet".into(),
    };
    assert_eq!((routes.routes, routes.absent), (vec![], vec![ignorant]));
    reset(&path, "fe80::1%eth0").await.unwrap();
    assert_eq!(reset(&path, "10.0.0.7").await.unwrap_err().to_string(), "there is no peer 10.0.0.7");
    let unknown = client::fetch::<Routes>(&path, "/v1/routes/10.0.0.7").await;
    assert_eq!(unknown.unwrap_err().to_string(), "there is no peer 10.0.0.7");
}
