//! A node of three in ECMP ends: in order, killed, or with the carrier of its link.

use std::thread;
use std::time::{Duration, Instant};

use rtnetlink::LinkUnspec;
use vipcast::clock;

use super::{longest, millis};
use crate::figure::Figure;
use crate::net::Net;
use crate::rack::{Ground, Plan, Rack, Who};
use crate::router::Brand;
use crate::wait::ms;

pub(super) fn measure(runs: usize) -> Vec<Figure> {
    [(Event::Stop, STOP), (Event::Kill, KILL), (Event::Carrier, CARRIER)]
        .into_iter()
        .flat_map(|(event, of)| {
            let (ours, bird) = (ends(runs, Who::Vipcast, event), ends(runs, Who::Other(Brand::Bird), event));
            let withdrawn =
                Figure::millis(of, format!("route withdrawn, latest of {runs}"), longest(&ours.gone));
            [
                Figure::count(of, format!("datagrams lost, in {runs} together"), ours.lost)
                    .at_most(0.0)
                    .beside("BIRD", bird.lost as f64),
                withdrawn.at_most(10.0).beside("BIRD", millis(longest(&bird.gone))),
            ]
        })
        .collect()
}

/// How the node ends.
#[derive(Clone, Copy, Debug)]
enum Event {
    Stop,
    Kill,
    Carrier,
}

#[derive(Debug, Default)]
struct Ends {
    lost: usize,
    gone: Vec<Duration>,
}

fn ends(runs: usize, who: Who, event: Event) -> Ends {
    let mut ends = Ends::default();
    for run in 1..=runs {
        let (lost, gone) = end(who, event);
        eprintln!("    {who:?}, {event:?} {run}: {lost} lost, route gone after {gone:?}");
        ends.lost += lost;
        ends.gone.push(gone);
    }
    ends
}

fn end(who: Who, event: Event) -> (usize, Duration) {
    let mut rack = Rack::start(Ground::build(), Plan::new(who, Some(100)));
    let victim = rack.victim();
    let begin = match event {
        Event::Stop => now(|| rack.speakers[victim].ask_to_end()),
        Event::Kill => now(|| rack.speakers[victim].kill()),
        Event::Carrier => down(rack.ground.node(victim)),
    };
    let gone = rack.wait_gone(begin);
    thread::sleep(ms(1000));
    (rack.flows.seen(begin, clock::now() - SETTLED).lost, gone)
}

fn now(deed: impl FnOnce()) -> Instant {
    let begin = clock::now();
    deed();
    begin
}

/// Its end of the cable is set down, and both lose the carrier. Starting a program for that would take longer than all else.
fn down(net: &Net) -> Instant {
    let index = net.run(|| std::fs::read_to_string("/proc/thread-self/net/dev_snmp6/eth0").unwrap()).unwrap();
    let index = index.split_whitespace().nth(1).unwrap().parse().unwrap();
    let set = async |handle: rtnetlink::Handle| {
        let begin = clock::now();
        let down = LinkUnspec::new_with_index(index).down().build();
        handle.link().change(down).execute().await.map(|()| begin)
    };
    net.netlink(set, "setting a link down").unwrap()
}

/// What has just left may still be answered.
const SETTLED: Duration = ms(100);
const STOP: &str = "planned stop, three nodes in ECMP";
const KILL: &str = "kill -9, three nodes in ECMP";
const CARRIER: &str = "carrier lost, three nodes in ECMP";
