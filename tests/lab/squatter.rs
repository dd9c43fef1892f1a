//! Another station that has the VIP: found before a take-over, and noticed while it is held.

use std::time::Duration;

use serde_json::Value;
use vipcast::clock;
use vipcast::demo::lab::lan::Host;
use vipcast::net::frames;
use vipcast::net::socket::FrameSocket;

use super::bed::{Bed, SLACK, SOON, VIP, VIP6, http, ms, throughout, wait};
use super::support::{Test, trial};
use super::wire::{Recording, text};
use super::{LAN, WIRE};

pub(crate) fn all() -> Vec<Test> {
    vec![
        trial("squatter::an_address_that_a_station_has_is_taken_only_when_it_leaves", LAN, || {
            was_there_first(VIP)
        }),
        trial("squatter::an_ipv6_address_that_a_station_has_is_taken_only_when_it_leaves", LAN, || {
            was_there_first(VIP6)
        }),
        trial("squatter::a_station_that_claims_a_held_address_is_counted_and_warded_off", WIRE, comes_later),
    ]
}

fn was_there_first(address: &str) {
    let mut bed = Bed::embedded(1);
    let vip = address.parse().unwrap();
    let mac = text(bed.lan.client.mac);
    bed.lan.client.add_address(vip, None).unwrap();
    bed.start(0, &[("address", address), ("prometheus_server", ":2112")]);
    let taken = "another station has the address, not taking it";
    wait("the squatter is found", SOON, || (!bed.logged(0, taken).is_empty()).then_some(()));
    throughout(ms(3500), || assert!(!bed.has(0, address)));
    assert_eq!(named(&bed.logged(0, taken)), [mac.as_str()]);
    let status = bed.status(0);
    assert_eq!(blocked(&status), ("holding", "blocked", mac.as_str()));
    assert_eq!(bed.status_command(0).status.code(), Some(3));
    let checks = format!("vipcast_wire_checks_total{{vip=\"{address}\",result=\"taken\"}}");
    assert!(metric(&bed, &checks) >= 1.0);
    event(&bed, "VIPConflict", &mac);
    bed.lan.client.remove_address(vip).unwrap();
    let left = clock::now();
    let held = bed.wait_address(0, address, SOON) - left;
    assert!(held < ms(1500) + SLACK, "{held:?}");
}

fn comes_later() {
    let mut bed = Bed::embedded(1);
    let mac = text(bed.lan.client.mac);
    let recording = Recording::start(&bed.lan.observer, &bed.directory);
    bed.start(0, &[("prometheus_server", ":2112")]);
    bed.wait_held(0);
    throughout(ms(5500), || assert!(bed.has(0, VIP)));
    let claims = claim(&bed.lan.client, ms(250), ms(11_500));
    throughout(ms(500), || assert!(bed.has(0, VIP), "the VIP stays"));
    assert_eq!(named(&bed.logged(0, "another station claims our address")), [mac.as_str()]);
    let counted = metric(&bed, &format!("vipcast_address_conflicts_total{{vip=\"{VIP}\"}}"));
    // A claim is a request and a reply.
    assert!(counted >= f64::from(claims) && counted <= f64::from(2 * claims), "{counted} of {claims}");
    assert_eq!(bed.status(0)["vips"][0]["rival"], mac.as_str());
    event(&bed, "VIPConflict", &mac);
    let filter = format!("arp.opcode == 1 && arp.src.proto_ipv4 == {VIP} && arp.dst.proto_ipv4 == {VIP}");
    let said = recording.stop().frames(&filter, &["arp.opcode"]);
    let ours: Vec<f64> = said
        .iter()
        .filter(|(_, source, _)| *source == text(bed.lan.nodes[0].mac))
        .map(|(at, ..)| *at)
        .collect();
    let [once, _, thrice, first, second] = ours[..] else {
        panic!("three announcements and two defences: {ours:?}")
    };
    assert!(first > thrice && thrice - once < 5.2, "{ours:?}");
    assert!(second - first >= 10.0, "RFC 5227 §2.4: {ours:?}");
}

/// Says every `interval` for `span` that the VIP is the host's; says how often.
fn claim(host: &Host, interval: Duration, span: Duration) -> u32 {
    let end = clock::now() + span;
    let claiming = async {
        let socket = FrameSocket::open(host.interface, host.mac.into()).unwrap();
        let mut claims = 0;
        while clock::now() < end {
            for frame in frames::announcement(host.mac.into(), VIP.parse().unwrap()) {
                socket.send(&frame).await.unwrap();
            }
            claims += 1;
            clock::pause(interval).await;
        }
        claims
    };
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    host.namespace.run(|| runtime().block_on(claiming)).unwrap()
}

fn named(lines: &[Value]) -> Vec<&str> {
    lines.iter().map(|line| line["mac"].as_str().unwrap()).collect()
}

fn blocked(status: &Value) -> (&str, &str, &str) {
    let vip = &status["vips"][0];
    let words = [&status["scopes"][0]["state"], &vip["state"], &vip["rival"]];
    let [scope, state, rival] = words.map(|word| word.as_str().unwrap());
    (scope, state, rival)
}

fn metric(bed: &Bed, name: &str) -> f64 {
    let (code, text) = http(&bed.lan.nodes[0].namespace, "127.0.0.1:2112", "/metrics");
    assert_eq!(code, 200);
    let line =
        text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("{name}: {text}"));
    line.trim().parse().unwrap()
}

fn event(bed: &Bed, reason: &str, word: &str) {
    wait("the Event is there", SOON, || {
        let events = bed.kubernetes().get("/apis/events.k8s.io/v1/events")?;
        let events = events["items"].as_array()?.clone();
        events
            .iter()
            .any(|event| {
                event["reason"] == reason && event["note"].as_str().is_some_and(|note| note.contains(word))
            })
            .then_some(())
    });
}
