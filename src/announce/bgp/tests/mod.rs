//! The speaker against scripted routers on this host.

mod router;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use vipcast_proto::advertiser::{Desired, Report};
use vipcast_proto::bgp::adj_rib_out::Policy;
use vipcast_proto::election::{Grant, Predecessor};
use vipcast_proto::l2::announcer::Link;

use self::router::{Router, within};
use super::dial::Surroundings;
use super::fixture;
use super::settings::{Authentication, Password, PeerSettings, Settings};
use super::speaker::{self, Command, NAME, Stage, Wires};
use crate::admin::board::StatusReader;
use crate::clock;
use crate::witness::Witness;

struct Bench {
    settings: watch::Sender<Arc<Settings>>,
    desired: watch::Sender<Desired>,
    holders: mpsc::Sender<(String, Report)>,
    bind: watch::Receiver<Desired>,
    reports: mpsc::Receiver<(String, Report)>,
    commands: mpsc::Sender<Command>,
    stage: watch::Sender<Stage>,
    links: watch::Sender<u64>,
    status: StatusReader,
    tasks: JoinSet<()>,
    serial: u64,
}

impl Bench {
    /// A speaker that announces these addresses to these peers, named by their numbers.
    fn new(peers: &[PeerSettings], vips: &[IpAddr]) -> Self {
        let (settings, configured) = watch::channel(Arc::new(named(peers)));
        let (desired, wanted) = watch::channel(Desired::default());
        let (holders, held) = mpsc::channel(8);
        let (bind_out, bind) = watch::channel(Desired::default());
        let (report_out, reports) = mpsc::channel(64);
        let (commands, command_in) = mpsc::channel(8);
        let (stage, stages) = watch::channel(Stage::Running);
        let (witness, status) = Witness::for_tests();
        let wires = Wires {
            settings: configured,
            desired: wanted,
            holders: held,
            bind: bind_out,
            reachable: watch::channel(Link::Down).0,
            reports: report_out,
            commands: command_in,
            stage: stages,
        };
        let (_, secrets) = watch::channel(BTreeMap::new());
        let (links, linked) = watch::channel(0);
        let bound = Arc::new((0..=u8::MAX).map(vip).collect());
        let surroundings = Surroundings { vips: bound, secrets, links: linked };
        let mut tasks = JoinSet::new();
        tasks.spawn(speaker::run(wires, surroundings, Arc::new(|_, _, _| None), witness));
        let mut bench = Self {
            settings,
            desired,
            holders,
            bind,
            reports,
            commands,
            stage,
            links,
            status,
            tasks,
            serial: 0,
        };
        bench.want(vips);
        bench.hold(vips);
        bench
    }

    fn want(&mut self, vips: &[IpAddr]) {
        self.serial += 1;
        let vips = vips.iter().map(|vip| (*vip, grant(60))).collect();
        self.desired.send_replace(Desired { serial: self.serial, vips: Arc::new(vips) });
    }

    fn hold(&self, vips: &[IpAddr]) {
        let report = Report::new(1, vips.iter().copied());
        self.holders.try_send(("lo".into(), report)).unwrap();
    }

    fn configure(&self, peers: &[PeerSettings]) {
        self.settings.send_replace(Arc::new(named(peers)));
    }

    /// Waits for a report that says so.
    async fn reported(&mut self, applied: u64, present: &[IpAddr]) {
        let present: BTreeSet<_> = present.iter().copied().collect();
        loop {
            let (name, report) = within(self.reports.recv()).await.unwrap();
            assert_eq!(name, NAME);
            if report == Report::new(applied, present.clone()) {
                return;
            }
        }
    }

    /// Waits until the last error of the first peer is as it should be, and returns it.
    async fn trouble(&self, expected: impl Fn(&str) -> bool) -> String {
        let patience = clock::now() + Duration::from_secs(4);
        let look = async {
            loop {
                let peers = self.status.peers().peers;
                let why = peers.first().and_then(|peer| peer.last_error.clone()).map(|error| error.why);
                if let Some(why) = why.clone().filter(|why| expected(why)) {
                    return why;
                }
                assert!(clock::now() < patience, "last error: {why:?}");
                clock::pause(Duration::from_millis(5)).await;
            }
        };
        within(look).await
    }
}

fn named(peers: &[PeerSettings]) -> Settings {
    let peers = peers.iter().enumerate().map(|(number, peer)| (format!("r{}", number + 1), peer.clone()));
    Settings { peers: peers.collect(), communication: Some("bye".into()), ..Settings::default() }
}

fn grant(seconds: u64) -> Grant {
    let until = clock::now() + Duration::from_secs(seconds);
    Grant { until, fence: until, predecessor: Predecessor::Left }
}

fn vip(last: u8) -> IpAddr {
    [192, 0, 2, last].into()
}

#[tokio::test]
async fn a_session_comes_up_and_routes_are_told_octet_for_octet() {
    let router = Router::new().await;
    let mut bench = Bench::new(&[fixture::peer(router.port())], &[vip(10)]);
    let mut side = router.session().await;
    assert_eq!(side.next().await.as_deref(), Some(ANNOUNCE_10));
    assert_eq!(side.next().await.as_deref(), Some(END_OF_RIB));
    bench.reported(1, &[vip(10)]).await;
    bench.want(&[vip(10), vip(11)]);
    bench.hold(&[vip(10), vip(11)]);
    assert_eq!(side.next().await.as_deref(), Some(ANNOUNCE_11));
    let peers = bench.status.peers().peers;
    let seen: Vec<_> = peers.iter().map(|peer| (peer.peer.as_str(), peer.state.as_str())).collect();
    assert_eq!(seen, [("r1", "established")]);
}

#[tokio::test]
async fn what_no_interface_has_is_not_announced() {
    let router = Router::new().await;
    let bench = Bench::new(&[fixture::peer(router.port())], &[vip(10)]);
    bench.hold(&[]);
    let mut side = router.session().await;
    assert_eq!(side.next().await.as_deref(), Some(END_OF_RIB));
    bench.hold(&[vip(10)]);
    assert_eq!(side.next().await.as_deref(), Some(ANNOUNCE_10));
    bench.hold(&[]);
    assert_eq!(side.next().await.as_deref(), Some(WITHDRAW_10));
}

#[tokio::test]
async fn the_address_of_a_service_is_announced_though_no_interface_has_it() {
    let router = Router::new().await;
    let service: IpAddr = [203, 0, 113, 1].into();
    let mut bench = Bench::new(&[fixture::peer(router.port())], &[]);
    let _side = router.session().await;
    bench.want(&[vip(10), service]);
    bench.reported(2, &[service]).await;
    assert_eq!(bench.bind.borrow_and_update().vips.keys().collect::<Vec<_>>(), [&vip(10)]);
    bench.want(&[]);
    bench.reported(3, &[]).await;
}

#[tokio::test]
async fn an_address_is_gone_when_its_withdrawal_is_written_to_every_peer_and_stays_bound_a_little_longer() {
    let routers = [Router::new().await, Router::new().await];
    let peers = [0, 1].map(|number: usize| fixture::peer(routers[number].port()));
    let mut bench = Bench::new(&peers, &[vip(10)]);
    let mut sides = [routers[0].session().await, routers[1].session().await];
    for side in &mut sides {
        assert_eq!(side.next().await.as_deref(), Some(ANNOUNCE_10));
        assert_eq!(side.next().await.as_deref(), Some(END_OF_RIB));
    }
    bench.reported(1, &[vip(10)]).await;
    bench.want(&[]);
    bench.reported(2, &[]).await;
    assert_eq!(bench.bind.borrow_and_update().vips.keys().collect::<Vec<_>>(), [&vip(10)]);
    for side in &mut sides {
        assert_eq!(side.next().await.as_deref(), Some(WITHDRAW_10));
    }
    within(bench.bind.wait_for(|bind| bind.vips.is_empty())).await.unwrap();
}

#[tokio::test]
async fn a_peer_that_reads_nothing_is_cut_off_when_a_withdrawal_waits() {
    let router = Router::narrow();
    let many: Vec<IpAddr> =
        (0..20_000_u32).map(|number| (0x0a00_0000 + number).to_be_bytes().into()).collect();
    let mut bench = Bench::new(&[fixture::peer(router.port())], &many);
    let side = router.session().await;
    let stuck = async {
        while bench.status.peers().peers[0].waiting_milliseconds.is_none_or(|waiting| waiting < 50) {
            clock::pause(Duration::from_millis(5)).await;
        }
    };
    within(stuck).await;
    bench.want(&[]);
    let before = clock::now();
    bench.reported(2, &[]).await;
    assert!(clock::now() - before < Duration::from_secs(2));
    bench.trouble(|why| why == "the peer does not take a withdrawal").await;
    drop(side);
}

#[tokio::test]
async fn the_peers_last_word_is_shown_in_words_and_it_is_tried_again() {
    let router = Router::new().await;
    let bench = Bench::new(&[fixture::peer(router.port())], &[vip(10)]);
    let mut side = router.session().await;
    assert_eq!(side.next().await.as_deref(), Some(ANNOUNCE_10));
    side.notify(6, 2, b"\x0cmaintenance!").await;
    bench.trouble(|why| why == "peer sent cease: administrative shutdown: \"maintenance!\"").await;
    drop(side);
    let mut side = router.session().await;
    assert_eq!(side.next().await.as_deref(), Some(ANNOUNCE_10));
    side.linger_zero();
    drop(side);
    bench.trouble(|why| why == "peer reset the connection").await;
    let mut side = router.session_as(65002, None).await;
    // Bad Peer AS.
    assert_eq!(side.next().await.as_deref(), Some("0015030202"));
    bench.trouble(|why| why == "peer says AS 65002, configured 65001").await;
}

#[tokio::test]
async fn a_peer_that_is_not_there_is_tried_again_and_again_with_longer_waits() {
    let router = Router::new().await;
    let port = router.port();
    drop(router);
    let bench = Bench::new(&[fixture::peer(port)], &[vip(10)]);
    bench.trouble(|why| why.starts_with("connection refused by 127.0.0.1:")).await;
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    let router = Router { listener };
    let mut gaps = vec![];
    for _ in 0..4 {
        let before = clock::now();
        drop(router.accept().await);
        gaps.push(clock::now() - before);
    }
    // The first waits are 0.1, 0.2, 0.4, … s, each shortened by up to a quarter.
    assert!(gaps.windows(2).skip(1).all(|gap| gap[0] < gap[1]), "{gaps:?}");
    let mut side = router.session().await;
    assert_eq!(side.next().await.as_deref(), Some(ANNOUNCE_10));
}

#[tokio::test]
async fn a_router_that_accepts_and_says_nothing_is_shown_as_such_though_nothing_happens() {
    let router = Router::new().await;
    let bench = Bench::new(&[fixture::peer(router.port())], &[vip(10)]);
    let _side = router.accept().await;
    let shown = async {
        loop {
            let error = bench.status.peers().peers.pop().and_then(|peer| peer.last_error);
            if let Some(error) = error {
                return error.why;
            }
            clock::pause(Duration::from_millis(20)).await;
        }
    };
    // It is said after five seconds.
    let why = tokio::time::timeout(Duration::from_secs(9), shown).await.unwrap();
    assert!(why.starts_with("the peer has accepted the connection and says nothing"), "{why}");
}

#[tokio::test]
async fn an_interface_that_comes_up_ends_the_wait() {
    let router = Router::new().await;
    let mut peer = fixture::peer(router.port());
    peer.session.connect_retry.first = Duration::from_secs(60);
    peer.session.connect_retry.cap = Duration::from_secs(60);
    drop(router);
    let bench = Bench::new(std::slice::from_ref(&peer), &[vip(10)]);
    bench.trouble(|why| why.starts_with("connection refused by 127.0.0.1:")).await;
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", peer.reach.port)).await.unwrap();
    bench.links.send_modify(|ups| *ups += 1);
    let mut side = Router { listener }.session().await;
    assert_eq!(side.next().await.as_deref(), Some(ANNOUNCE_10));
}

#[tokio::test]
async fn a_wrong_password_is_named_as_what_it_may_be() {
    let router = Router::new().await;
    let mut peer = fixture::peer(router.port());
    peer.reach.authentication = Some(Authentication::Md5(Password::Given("hunter2".into())));
    let bench = Bench::new(&[peer], &[vip(10)]);
    // The listener has no password at all, and this host's counters show what it answers.
    let why = bench.trouble(|why| why.contains("within 500ms")).await;
    assert!(why.contains("TCP MD5 password") || why.contains("TCP signature"), "{why}");
    assert!(!why.contains("hunter2"));
}

#[tokio::test]
async fn a_change_of_configuration_moves_only_what_has_changed() {
    let routers = [Router::new().await, Router::new().await];
    let peers = [0, 1].map(|number: usize| fixture::peer(routers[number].port()));
    let bench = Bench::new(&peers, &[vip(10)]);
    let mut sides = [routers[0].session().await, routers[1].session().await];
    for side in &mut sides {
        assert_eq!(side.next().await.as_deref(), Some(ANNOUNCE_10));
        assert_eq!(side.next().await.as_deref(), Some(END_OF_RIB));
    }
    let [mut first, second] = peers;
    first.policy = Policy { med: Some(5), ..Policy::default() };
    bench.configure(&[first.clone(), second]);
    assert_eq!(sides[0].next().await.as_deref(), Some(ANNOUNCE_10_MED_5));
    bench.configure(&[first]);
    // Peer De-configured.
    assert_eq!(sides[1].next().await.as_deref(), Some("0015030603"));
    assert_eq!(sides[1].next().await, None);
    let left = async {
        while bench.status.peers().peers.len() != 1 {
            clock::pause(Duration::from_millis(5)).await;
        }
    };
    within(left).await;
    assert_eq!(bench.status.peers().peers[0].state, "established");
}

#[tokio::test]
async fn an_operator_resets_a_session_by_name() {
    let router = Router::new().await;
    let bench = Bench::new(&[fixture::peer(router.port())], &[vip(10)]);
    let mut side = router.session().await;
    assert_eq!(side.next().await.as_deref(), Some(ANNOUNCE_10));
    assert_eq!(side.next().await.as_deref(), Some(END_OF_RIB));
    let mut answers = vec![];
    for name in ["r7", "r1"] {
        let (answer, answered) = oneshot::channel();
        bench.commands.send(Command::Reset(name.into(), answer)).await.unwrap();
        answers.push(within(answered).await.unwrap());
    }
    assert_eq!(answers, [false, true]);
    let reset = side.next().await.unwrap();
    assert!(reset.ends_with(&["03060415", &hex("reset by the operator")].concat()), "{reset}");
    let mut side = router.session().await;
    assert_eq!(side.next().await.as_deref(), Some(ANNOUNCE_10));
}

#[tokio::test]
async fn routes_are_made_unattractive_then_withdrawn_then_the_session_ends() {
    let router = Router::new().await;
    let mut bench = Bench::new(&[fixture::peer(router.port())], &[vip(10)]);
    let mut side = router.session().await;
    assert_eq!(side.next().await.as_deref(), Some(ANNOUNCE_10));
    assert_eq!(side.next().await.as_deref(), Some(END_OF_RIB));
    bench.stage.send_replace(Stage::Draining);
    assert_eq!(side.next().await.as_deref(), Some(ANNOUNCE_10_GRACEFUL_SHUTDOWN));
    bench.want(&[]);
    assert_eq!(side.next().await.as_deref(), Some(WITHDRAW_10));
    bench.stage.send_replace(Stage::Stopping);
    // Administrative Shutdown, and why.
    assert_eq!(side.next().await, Some(["0019030602", "03", &hex("bye")].concat()));
    drop(side);
    within(bench.tasks.join_next()).await.unwrap().unwrap();
}

#[tokio::test]
async fn peers_are_told_why_when_the_core_has_ended_before_the_speaker() {
    for first in [Gone::Desired, Gone::Reports] {
        let router = Router::new().await;
        let mut bench = Bench::new(&[fixture::peer(router.port())], &[vip(10)]);
        let mut side = router.session().await;
        assert_eq!(side.next().await.as_deref(), Some(ANNOUNCE_10));
        assert_eq!(side.next().await.as_deref(), Some(END_OF_RIB));
        match first {
            Gone::Desired => {
                drop(std::mem::replace(&mut bench.desired, watch::channel(Desired::default()).0))
            }
            Gone::Reports => {
                bench.reports.close();
                bench.hold(&[]);
                assert_eq!(side.next().await.as_deref(), Some(WITHDRAW_10));
            }
        }
        assert_eq!(side.next().await, Some(["0019030602", "03", &hex("bye")].concat()), "{first:?}");
        drop(side);
        within(bench.tasks.join_next()).await.unwrap().unwrap();
    }
}

#[derive(Clone, Copy, Debug)]
enum Gone {
    Desired,
    Reports,
}

#[tokio::test]
async fn permission_that_ends_is_a_withdrawal_though_nobody_has_said_so() {
    let router = Router::new().await;
    let mut bench = Bench::new(&[fixture::peer(router.port())], &[vip(10)]);
    bench.serial += 1;
    let short = Grant { until: clock::now() + Duration::from_millis(400), ..grant(60) };
    bench.desired.send_replace(Desired { serial: bench.serial, vips: Arc::new([(vip(10), short)].into()) });
    let mut side = router.session().await;
    assert_eq!(side.next().await.as_deref(), Some(ANNOUNCE_10));
    assert_eq!(side.next().await.as_deref(), Some(END_OF_RIB));
    assert_eq!(side.next().await.as_deref(), Some(WITHDRAW_10));
    let late = clock::now().saturating_duration_since(short.until);
    assert!(clock::now() >= short.until && late < Duration::from_millis(50), "{late:?}");
}

fn hex(text: &str) -> String {
    text.bytes().map(|octet| format!("{octet:02x}")).collect()
}

/// Length, type, no withdrawn routes; ORIGIN IGP, AS_PATH 65000, NEXT_HOP 127.0.0.1; 192.0.2.10/32.
const ANNOUNCE_10: &str = "0030020000001440010100400206020100\
                           00fde84003047f00000120c000020a";
const ANNOUNCE_11: &str = "0030020000001440010100400206020100\
                           00fde84003047f00000120c000020b";
/// The same with MULTI_EXIT_DISC 5.
const ANNOUNCE_10_MED_5: &str = "0037020000001b40010100400206020100\
                                 00fde84003047f00000180040400000005\
                                 20c000020a";
/// The same with the community 65535:0.
const ANNOUNCE_10_GRACEFUL_SHUTDOWN: &str = "0037020000001b40010100400206020100\
                                             00fde84003047f000001c00804ffff0000\
                                             20c000020a";
const WITHDRAW_10: &str = "001c02000520c000020a0000";
const END_OF_RIB: &str = "00170200000000";
