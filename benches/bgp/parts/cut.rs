//! The link of a node of three in ECMP loses everything, and nobody loses the carrier; then it is mended.

use std::net::IpAddr;
use std::thread;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use vipcast::clock;

use super::{longest, median, millis};
use crate::figure::Figure;
use crate::net::Net;
use crate::rack::{Ground, Plan, Rack, Who, address_of};
use crate::router::Brand;
use crate::wait::{SOON, ms, wait};

pub(super) fn measure(runs: usize) -> Vec<Figure> {
    let bird = Who::Other(Brand::Bird);
    let quick = [Who::Vipcast, bird].map(|who| cuts(runs, &Plan::new(who, Some(100))));
    let usual =
        [Who::Vipcast, bird, Who::Other(Brand::Frr)].map(|who| cuts(runs, &Plan::new(who, Some(300))));
    let gobgp = cuts(1, &Plan { hold: 9, ..Plan::new(Who::Other(Brand::GoBgp), None) });
    let mut figures = figures(QUICK, 290.0, &quick[0], &[("BIRD", &quick[1])]);
    let others = [("BIRD", &usual[1]), ("FRR", &usual[2]), ("GoBGP without BFD, hold time 9 s", &gobgp)];
    let mut slow = self::figures(USUAL, 800.0, &usual[0], &others);
    slow[0] = slow[0].clone().beside_words("kube-vip 900 ms, without BFD 6.4 to 24 s");
    slow[2] = slow[2].clone().beside_words("kube-vip 7 to 30 s");
    figures.extend(slow);
    figures
}

fn figures(of: &'static str, bound: f64, ours: &Cuts, others: &[(&str, &Cuts)]) -> Vec<Figure> {
    let runs = ours.gaps.len();
    let beside = |figure: Figure, value: &dyn Fn(&Cuts) -> Duration| {
        others.iter().fold(figure, |figure, (who, cuts)| figure.beside(who, millis(value(cuts))))
    };
    let gap = Figure::millis(of, format!("client's gap, median of {runs}"), median(&ours.gaps));
    let most = Figure::millis(of, "client's gap, longest", longest(&ours.gaps));
    let back = Figure::millis(of, "route back after the link, latest", longest(&ours.back));
    vec![
        beside(gap.at_most(bound), &|cuts| median(&cuts.gaps)),
        beside(most, &|cuts| longest(&cuts.gaps)),
        beside(back.at_most(2000.0), &|cuts| longest(&cuts.back)),
    ]
}

#[derive(Debug, Default)]
struct Cuts {
    gaps: Vec<Duration>,
    back: Vec<Duration>,
}

fn cuts(runs: usize, plan: &Plan) -> Cuts {
    let (mut cuts, mut rack) = (Cuts::default(), Rack::start(Ground::build(), plan.clone()));
    for run in 0..runs {
        let victim = rack.victim();
        if let Some(interval) = plan.bfd {
            packet(&rack.ground.top, address_of(victim));
            thread::sleep(phase(interval, run, runs));
        }
        let begin = clock::now();
        rack.ground.cut(victim);
        let gone = rack.wait_gone(begin);
        thread::sleep(if run == 0 { LONG } else { SHORT }.saturating_sub(gone));
        let seen = rack.flows.seen(begin, clock::now() - SETTLED);
        let mended = clock::now();
        rack.ground.mend(victim);
        wait("the route is back", SOON * 2, || rack.is_whole().then_some(()));
        let back = clock::now() - mended;
        eprintln!(
            "    {:?}, BFD {:?}, {}: gap {:?}, {} lost, route gone after {gone:?}, back after {back:?}, client late by {:?}",
            plan.who,
            plan.bfd,
            run + 1,
            seen.gap,
            seen.lost,
            seen.late
        );
        cuts.gaps.push(seen.gap);
        cuts.back.push(back);
        rack.settle();
    }
    cuts
}

/// Moments after a packet, spread evenly until the next one, which comes an eighth early on average (RFC 5880 §6.8.7).
fn phase(interval: u32, run: usize, runs: usize) -> Duration {
    let between = ms(interval.into()).mul_f64(7.0 / 8.0);
    between.mul_f64((run as f64 + 0.5) / runs as f64)
}

/// Waits for BFD's next one from `from`.
fn packet(net: &Net, from: IpAddr) {
    let socket = net.run(|| Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::UDP)).unwrap()).unwrap();
    socket.set_read_timeout(Some(SOON)).unwrap();
    let mut socket = std::io::BufReader::with_capacity(2048, socket);
    loop {
        let datagram = std::io::BufRead::fill_buf(&mut socket).unwrap();
        let (source, port) = (&datagram[12..16], &datagram[22..24]);
        let found = IpAddr::from(<[u8; 4]>::try_from(source).unwrap()) == from && port == BFD;
        let length = datagram.len();
        std::io::BufRead::consume(&mut socket, length);
        if found {
            return;
        }
    }
}

/// Long enough for whoever backs off to have done so.
const LONG: Duration = ms(20_000);
const SHORT: Duration = ms(3000);
/// Port 3784 (RFC 5881 §4).
const BFD: [u8; 2] = 3784_u16.to_be_bytes();
/// What has just left may still be answered.
const SETTLED: Duration = ms(100);
const QUICK: &str = "link cut, carrier stays, ECMP, BFD 100 ms x 3";
const USUAL: &str = "link cut, carrier stays, ECMP, BFD 300 ms x 3";
