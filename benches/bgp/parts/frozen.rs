//! SIGSTOP to the holder of the Lease until another one has taken it, then SIGCONT: it announces nothing more.

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use vipcast::clock;

use super::handover::Elected;
use crate::figure::Figure;
use crate::rack::{Rack, address_of};
use crate::wait::{SOON, ms, wait};

pub(super) fn measure() -> Vec<Figure> {
    let with_bfd = freeze(WITH_BFD, Some(300));
    let without = freeze(WITHOUT, None);
    [with_bfd, without].concat()
}

fn freeze(of: &'static str, bfd: Option<u32>) -> Vec<Figure> {
    let mut rack = Elected::start(bfd);
    let rack = &mut rack.rack;
    let holder = rack.victim();
    let begin = clock::now();
    rack.speakers[holder].freeze();
    wait("another node announces", SOON, || {
        rack.announcers().iter().any(|node| *node != holder).then_some(())
    });
    let taken = clock::now() - begin;
    thread::sleep(FROZEN.saturating_sub(taken));
    let mut heard = Heard::default();
    heard.look(rack, holder);
    let before = heard.announcements();
    rack.speakers[holder].thaw();
    let thawed = clock::now();
    let gone = wait_gone(rack, holder, thawed);
    while clock::now() < thawed + WATCHED {
        heard.look(rack, holder);
    }
    assert!(rack.router.session(address_of(holder)).established, "it does not speak again");
    let after = heard.announcements() - before;
    eprintln!("    {of}: another announced after {taken:?}, {after} announced, withdrawn after {gone:?}");
    let announced = Figure::count(of, "routes announced after its permission", after).at_most(0.0);
    let mut figures = vec![announced.kube_vip("kube-vip for 3.3 s")];
    if bfd.is_none() {
        // The session has outlived the freeze, and with it the old route.
        figures.push(Figure::millis(of, "old route withdrawn after it was resumed", gone));
    }
    figures.push(Figure::millis(of, "another node announced after the freeze", taken));
    figures
}

fn wait_gone(rack: &Rack, holder: usize, thawed: Instant) -> Duration {
    while rack.announcers().contains(&holder) {
        assert!(clock::now() < thawed + SOON, "the route stays");
    }
    clock::now() - thawed
}

/// How many routes came in each session; the router counts them, so that none is missed between two looks.
#[derive(Debug, Default)]
struct Heard(BTreeMap<String, u64>);

impl Heard {
    fn look(&mut self, rack: &Rack, node: usize) {
        let peer = address_of(node);
        if rack.router.session(peer).established {
            let count = self.0.entry(rack.router.era(peer)).or_default();
            *count = rack.router.announced(peer).max(*count);
        }
    }

    fn announcements(&self) -> usize {
        self.0.values().sum::<u64>() as usize
    }
}

/// Longer than any grant, and than the Lease.
const FROZEN: Duration = ms(8000);
const WATCHED: Duration = ms(6000);
const WITH_BFD: &str = "holder frozen 8 s, then resumed, BFD 300 ms x 3";
const WITHOUT: &str = "holder frozen 8 s, then resumed, without BFD";
