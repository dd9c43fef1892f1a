//! A frozen daemon loses its VIP without its own help, and has none when it wakes.

use vipcast::clock;
use vipcast::demo::lab::observer::Observer;

use super::WIRE;
use super::bed::{Bed, SLACK, VIP, ms, throughout};
use super::support::{Test, trial};
use super::wire::{Recording, epoch, text};

pub(crate) fn all() -> Vec<Test> {
    vec![trial("freeze::a_frozen_holder_loses_its_vip_and_is_silent_when_it_wakes", WIRE, freeze)]
}

fn freeze() {
    let mut bed = Bed::embedded(2);
    bed.start(0, &[]);
    bed.wait_held(0);
    bed.start(1, &[]);
    bed.wait_standby(1);
    let mut observer = Observer::start(&bed.lan.observer, VIP.parse().unwrap()).unwrap();
    let recording = Recording::start(&bed.lan.observer, &bed.directory);
    let frozen = clock::now();
    bed.daemon(0).stop().unwrap();
    let gone = bed.wait_gone(0, VIP, ms(10_000)) - frozen;
    assert!(gone <= ms(3000) + SLACK, "{gone:?}");
    let taken = bed.wait_held(1) - frozen;
    assert!(taken <= ms(6000) + SLACK, "{taken:?}");
    let woken = epoch();
    bed.daemon(0).cont().unwrap();
    throughout(ms(4000), || assert!(!bed.has(0, VIP), "it is not put there again"));
    let seen = observer.sightings(frozen, clock::now());
    assert!(seen.answered > 0 && seen.double == 0, "{seen:?}");
    let said = recording.stop().frames(&format!("arp.src.proto_ipv4 == {VIP}"), &["arp.opcode"]);
    let old = text(bed.lan.nodes[0].mac);
    assert!(said.iter().any(|(_, source, _)| *source != old), "the recording heard the new holder");
    let late: Vec<_> = said.iter().filter(|(at, source, _)| *at > woken && *source == old).collect();
    assert!(late.is_empty(), "{late:?}");
}
