//! Service addresses that no interface has, as their neighbours see them.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;
use vipcast::clock::{now, pause};
use vipcast::net::frames::{announcement, probe};
use vipcast::net::wiring::LinkState;
use vipcast_proto::advertiser::Report;
use vipcast_proto::election::Predecessor;
use vipcast_proto::l2::announcer::Link;
use vipcast_proto::l2::responder::Config;

use crate::lan::{Lan, SOON, V4, V6, ip, net, shell};
use crate::speaker::{Asker, CONFIG, Speaker, v4, v6};

const LONG: Duration = Duration::from_secs(600);
const MOMENT: Duration = Duration::from_millis(200);

fn both() -> BTreeSet<IpAddr> {
    [ip(V4), ip(V6)].into()
}

#[tokio::test]
#[ignore = "needs root, for network namespaces: tools/test runs it"]
async fn a_neighbours_kernel_finds_what_no_interface_has_and_nothing_that_is_not_granted() {
    let lan = Lan::new();
    let mut speaker = Speaker::start(&lan.a, CONFIG);
    let script = "ip address add 192.0.2.7/24 dev eth0; ip address add 2001:db8::7/64 dev eth0 nodad";
    lan.b.run(|| shell(script)).unwrap();
    speaker.want(&both(), now() + LONG, Predecessor::Left);
    speaker.held(2).await;
    let find = || {
        let ping = |vip: &str| {
            format!("ip neigh flush dev eth0; ping -c1 -W1 {vip} >/dev/null; ip neigh show {vip}")
        };
        let all = ["192.0.2.100", "2001:db8::100", "192.0.2.101", "2001:db8::101"];
        lan.b.run(|| all.map(|vip| shell(&ping(vip)).contains(&lan.mac_a.to_string()))).unwrap()
    };
    assert_eq!(find(), [true, true, false, false]);
    assert_eq!(
        lan.a.run(|| shell("ip -o address show dev eth0 | grep -c -e .100/ -e ::100/ || true")).unwrap(),
        "0\n"
    );
    speaker.permit(&BTreeSet::new(), now() + LONG, Predecessor::Left);
    speaker.held(0).await;
    assert_eq!(find(), [false; 4]);
}

#[tokio::test]
#[ignore = "needs root, for network namespaces: tools/test runs it"]
async fn a_process_that_was_frozen_answers_neither_after_its_grant_nor_what_is_long_past() {
    let lan = Lan::new();
    let mut asker = Asker::new(&lan);
    let mut speaker = Speaker::start(&lan.a, CONFIG);
    let vips = both();
    speaker.want(&vips, now() + LONG, Predecessor::Left);
    speaker.held(2).await;
    assert_eq!(asker.answered(&vips, lan.mac_a, MOMENT).await, vips);

    // The grant outlasts the freeze: what is fresh is answered, and what is stale is not.
    speaker.freeze(Duration::from_millis(2500));
    pause(MOMENT).await;
    assert_eq!(asker.answered(&[ip(V4)].into(), lan.mac_a, MOMENT).await, [].into(), "frozen");
    pause(Duration::from_millis(1800)).await;
    asker.ask([ip(V6)]).await;
    let claims: BTreeSet<IpAddr> =
        asker.claims(Duration::from_millis(900)).await.into_iter().map(|(vip, _)| vip).collect();
    assert!(claims.contains(&ip(V6)), "{claims:?}");
    // The kernel's own questions after the link came up may be among them.
    let none = "service_frames_lost_total{interface=\"eth0\",reason=\"stale\"} 0";
    assert!(!speaker.metrics.render().contains(none), "the stale question was answered");

    // It ends within: questions that came before and after its end are in the queue, and none is answered.
    pause(Duration::from_secs(5)).await;
    speaker.permit(&vips, now() + Duration::from_millis(600), Predecessor::Left);
    pause(MOMENT).await;
    drop(asker.claims(Duration::from_millis(1)).await);
    speaker.freeze(Duration::from_secs(1));
    pause(Duration::from_millis(100)).await;
    for _ in 0..8 {
        asker.ask(vips.clone()).await;
        pause(Duration::from_millis(100)).await;
    }
    assert_eq!(asker.claims(Duration::from_secs(2)).await, []);
    assert!(std::iter::from_fn(|| speaker.reports.try_recv().ok()).last().unwrap().present.is_empty());
}

#[tokio::test]
#[ignore = "needs root, for network namespaces: tools/test runs it"]
async fn with_the_process_all_answers_end() {
    let lan = Lan::new();
    let mut asker = Asker::new(&lan);
    let mut speaker = Speaker::start(&lan.a, CONFIG);
    speaker.want(&both(), now() + LONG, Predecessor::Left);
    speaker.held(2).await;
    speaker.kill();
    assert_eq!(asker.answered(&both(), lan.mac_a, MOMENT).await, [].into());
}

#[tokio::test]
#[ignore = "needs root, for network namespaces: tools/test runs it"]
async fn ten_thousand_addresses_of_either_family_all_answer_within_five_seconds() {
    for (vips, predecessor) in [
        (v4(10_000), Predecessor::Left),
        (v4(10_000), Predecessor::Unknown),
        (v6(10_000), Predecessor::Unknown),
    ] {
        let lan = Lan::new();
        let mut asker = Asker::new(&lan);
        let speaker = Speaker::start(&lan.a, CONFIG);
        let started = now();
        speaker.want(&vips, now() + LONG, predecessor);
        let mut announced = BTreeSet::new();
        while announced.len() < vips.len() {
            let claims = asker.claims(Duration::from_millis(20)).await;
            announced.extend(claims.into_iter().filter(|(_, by)| *by == lan.mac_a).map(|(vip, _)| vip));
            assert!(now() - started < Duration::from_secs(5), "{} announced", announced.len());
        }
        let took = now() - started;
        let mut silent = vips.clone();
        while !silent.is_empty() {
            let some: BTreeSet<IpAddr> = silent.iter().take(2000).copied().collect();
            let answered = asker.answered(&some, lan.mac_a, Duration::from_millis(100)).await;
            silent.retain(|vip| !answered.contains(vip));
            assert!(now() - started < SOON, "{} are silent", silent.len());
        }
        println!(
            "10,000 addresses, predecessor {predecessor:?}: announced in {took:?}, all asked for and answered after {:?}, {:?} of processor time",
            now() - started,
            speaker.cpu(),
        );
        drop(speaker);
    }
}

#[tokio::test]
#[ignore = "needs root, for network namespaces: tools/test runs it"]
async fn repetitions_keep_to_their_pace_and_renewals_of_thousands_cost_little() {
    let lan = Lan::new();
    let mut asker = Asker::new(&lan);
    let speaker_config = Config { refresh: Duration::from_secs(6), ..CONFIG };
    let mut speaker = Speaker::start(&lan.a, speaker_config);
    let vips = v4(10_000);
    speaker.want(&vips, now() + LONG, Predecessor::Left);
    speaker.held(vips.len()).await;
    // The second and the third announcement of each.
    pause(Duration::from_secs(9)).await;
    drop(asker.claims(Duration::from_millis(1)).await);
    let (cpu, started) = (speaker.cpu(), now());
    let mut frames = 0;
    for _ in 0..5 {
        speaker.permit(&vips, now() + LONG, Predecessor::Left);
        frames += asker.claims(Duration::from_secs(1)).await.len();
    }
    let span = now() - started;
    let burnt = (speaker.cpu() - cpu).as_secs_f64() / span.as_secs_f64();
    let rate = frames as f64 / span.as_secs_f64();
    println!(
        "10,000 addresses renewed each second: {:.2} % of a core, {rate:.0} frames a second",
        burnt * 100.0
    );
    assert!((300.0..=360.0).contains(&rate), "{rate} frames a second");
}

#[tokio::test]
#[ignore = "needs root, for network namespaces: tools/test runs it"]
async fn a_flood_of_questions_holds_up_neither_an_announcement_nor_a_withdrawal() {
    let lan = Lan::new();
    let mut speaker = Speaker::start(&lan.a, CONFIG);
    let vips = v4(1000);
    speaker.want(&vips, now() + LONG, Predecessor::Left);
    speaker.held(vips.len()).await;
    let resident = || {
        let status = std::fs::read_to_string("/proc/self/statm").unwrap();
        status.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4
    };
    let flood = lan.b.run(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let asker = Asker::new(&lan);
            let questions = v4(1000);
            let end = now() + Duration::from_secs(3);
            let (mut asked, before) = (0_u64, resident());
            let mut more = v4(1001);
            let mut took = None;
            while now() < end {
                asker.ask(questions.iter().copied()).await;
                asked += 1000;
                if asked == 20_000 {
                    more.insert(ip(V4));
                    let begun = now();
                    speaker.want(&more, now() + LONG, Predecessor::Unknown);
                    let held = |standings: &std::collections::BTreeMap<Arc<str>, _>| {
                        let standing: Option<&vipcast::announce::responder::Standing> = standings.get("eth0");
                        standing.is_some_and(|standing| standing.tally.held == 1002)
                    };
                    let mut standings = speaker.standings.clone();
                    let ask = async {
                        loop {
                            asker.ask(questions.iter().copied()).await;
                            tokio::task::yield_now().await;
                        }
                    };
                    tokio::select! {
                        held = timeout(Duration::from_secs(3), standings.wait_for(held)) => drop(held.unwrap().unwrap()),
                        () = ask => {}
                    }
                    took = Some(now() - begun);
                }
            }
            speaker.permit(&BTreeSet::new(), now() + LONG, Predecessor::Left);
            (asked, took.unwrap(), resident().saturating_sub(before))
        })
    });
    let (asked, took, grown) = flood.unwrap();
    println!("{asked} questions in 3 s; two more addresses took {took:?}; {grown} KiB more resident");
    assert!(took < Duration::from_secs(1), "{took:?}");
    assert!(grown < 8 * 1024, "{grown} KiB");
    timeout(SOON, async { while !speaker.reports.recv().await.unwrap().present.is_empty() {} })
        .await
        .expect("the withdrawal is applied");
}

#[tokio::test]
#[ignore = "needs root, for network namespaces: tools/test runs it"]
async fn an_interface_that_goes_and_returns_is_announced_on_again() {
    let lan = Lan::new();
    let mut speaker = Speaker::start(&lan.a, CONFIG);
    speaker.want(&both(), now() + LONG, Predecessor::Left);
    speaker.held(2).await;
    let linked = |link: Link| {
        move |links: &std::collections::BTreeMap<Arc<str>, Link>| links.get("eth0") == Some(&link)
    };
    lan.b.set_link("eth0", LinkState::Down).unwrap();
    timeout(SOON, speaker.links.wait_for(linked(Link::Down))).await.unwrap().unwrap();
    pause(Duration::from_secs(6)).await;
    let mut asker = Asker::new(&lan);
    lan.b.set_link("eth0", LinkState::Up).unwrap();
    timeout(SOON, speaker.links.wait_for(linked(Link::Up))).await.unwrap().unwrap();
    let claimed = |claims: Vec<(IpAddr, _)>| claims.into_iter().map(|(vip, _)| vip).collect::<BTreeSet<_>>();
    // A second time after 1.1 seconds; the first may have come before anybody could hear it.
    assert_eq!(claimed(asker.claims(Duration::from_millis(1500)).await), both(), "announced again");

    lan.a.delete_link("eth0").unwrap();
    timeout(SOON, speaker.links.wait_for(linked(Link::Down))).await.unwrap().unwrap();
    lan.a.add_veth("eth0", &lan.b, "eth0").unwrap();
    for end in [&lan.a, &lan.b] {
        end.set_link("eth0", LinkState::Up).unwrap();
    }
    lan.b.set_mac("eth0", lan.mac_b).unwrap();
    lan.carrier(&lan.b);
    timeout(SOON, speaker.links.wait_for(linked(Link::Up))).await.unwrap().unwrap();
    let mut asker = Asker::new(&lan);
    asker.ask(both()).await;
    assert_eq!(claimed(asker.claims(MOMENT).await), both(), "answered on another interface of the name");
}

#[tokio::test]
#[ignore = "needs root, for network namespaces: tools/test runs it"]
async fn what_somebody_else_has_is_not_taken_and_what_we_have_is_defended() {
    let lan = Lan::new();
    let mut asker = Asker::new(&lan);
    let mut speaker = Speaker::start(&lan.a, CONFIG);
    for vip in [V4, V6] {
        lan.b.add_address("eth0", net(vip)).unwrap();
    }
    let more = [ip(V4), ip(V6), ip("192.0.2.50")].into();
    speaker.want(&more, now() + LONG, Predecessor::Unknown);
    speaker.held(1).await;
    let blocked = |standings: &std::collections::BTreeMap<
        Arc<str>,
        vipcast::announce::responder::Standing,
    >| { standings["eth0"].rivals.keys().copied().collect::<BTreeSet<_>>() == both() };
    timeout(SOON, speaker.standings.wait_for(blocked)).await.unwrap().unwrap();
    pause(Duration::from_secs(6)).await;
    drop(asker.claims(Duration::from_millis(1)).await);
    asker.send(&announcement(lan.mac_b, ip("192.0.2.50"))).await;
    let defended = asker.claims(MOMENT).await;
    assert!(defended.contains(&(ip("192.0.2.50"), lan.mac_a)), "{defended:?}");
    for vip in [V4, V6] {
        lan.b.run(|| shell(&format!("ip address del {vip} dev eth0"))).unwrap();
    }
    speaker.held(3).await;
}

#[tokio::test]
#[ignore = "needs root, for network namespaces: tools/test runs it"]
async fn a_probe_for_another_station_that_strays_here_is_not_answered() {
    let lan = Lan::new();
    let mut asker = Asker::new(&lan);
    let mut speaker = Speaker::start(&lan.a, CONFIG);
    speaker.want(&both(), now() + LONG, Predecessor::Left);
    speaker.held(2).await;
    pause(Duration::from_secs(6)).await;
    drop(asker.claims(Duration::from_millis(1)).await);
    for vip in both() {
        let mut stray = probe(lan.mac_b, vip);
        stray[..6].copy_from_slice(&[2, 0, 0x5e, 0, 0, 0xc]);
        asker.send(&[stray]).await;
        let mut direct = probe(lan.mac_b, vip);
        direct[..6].copy_from_slice(&lan.mac_a.octets());
        if vip.is_ipv4() {
            asker.send(&[direct]).await;
        }
    }
    assert_eq!(asker.claims(MOMENT).await, [(ip(V4), lan.mac_a)]);
}

#[tokio::test]
#[ignore = "needs root, for network namespaces: tools/test runs it"]
async fn a_report_follows_every_change_and_names_what_may_still_be_answered_for() {
    let lan = Lan::new();
    let mut speaker = Speaker::start(&lan.a, CONFIG);
    speaker.want(&both(), now() + LONG, Predecessor::Left);
    let mut until = async |expected: Report| {
        timeout(SOON, async { while speaker.reports.recv().await.unwrap() != expected {} })
            .await
            .unwrap_or_else(|_| panic!("{expected:?} within ten seconds"));
        speaker.permit(&[ip(V6)].into(), now() + Duration::from_millis(300), Predecessor::Left);
    };
    until(Report::new(1, both())).await;
    until(Report::new(2, [ip(V6)])).await;
    until(Report::new(3, [])).await;
}
