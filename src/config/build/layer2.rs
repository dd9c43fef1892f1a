//! The layer 2 announcer.

use super::Ways;
use crate::config::problem::Notice;
use crate::config::reader::{Reader, Settings};
use crate::config::table as t;
use crate::config::types::{Layer2, WireCheck};

pub(super) fn layer2(r: &mut Reader<'_>, ways: Ways) -> Option<Option<Layer2>> {
    let interface = r.optional(&t::INTERFACE);
    let address_lifetime = r.value(&t::ADDRESS_LIFETIME);
    let refresh = r.value(&t::REFRESH);
    let wire_check = wire_check(r);
    let layer2 = Layer2 {
        interface: interface?,
        address_lifetime: address_lifetime?,
        refresh: refresh?,
        wire_check: wire_check?,
    };
    let name = layer2.interface.as_deref();
    if ways.arp && name == Some("lo") {
        let reason = "nobody asks for addresses on the loopback interface";
        r.blame(&t::INTERFACE.spec, reason, "name a LAN interface");
    }
    if !ways.arp && name.is_some_and(|name| name != "lo") {
        let text = "without use: where only BGP announces, the VIP is bound to lo";
        r.notices.push(Notice::info(r.name(&t::INTERFACE.spec), text));
    }
    Some(ways.arp.then_some(layer2))
}

fn wire_check(r: &mut Reader<'_>) -> Option<Option<WireCheck>> {
    let enabled = r.value(&t::WIRE_CHECK);
    let probes = r.value(&t::WIRE_PROBES);
    let interval = r.value(&t::WIRE_INTERVAL);
    let wait = r.value(&t::WIRE_WAIT);
    let retry = r.value(&t::WIRE_RETRY);
    let check = WireCheck { probes: probes?, interval: interval?, wait: wait?, retry: retry? };
    Some(enabled?.then_some(check))
}
