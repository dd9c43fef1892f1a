//! The layer 2 announcer.

use crate::config::reader::Reader;
use crate::config::table as t;
use crate::config::types::{Layer2, WireCheck};

pub(super) fn layer2(r: &mut Reader<'_>) -> Option<Layer2> {
    let interface = r.optional(&t::INTERFACE);
    let address_lifetime = r.value(&t::ADDRESS_LIFETIME);
    let refresh = r.value(&t::REFRESH);
    let wire_check = wire_check(r);
    Some(Layer2 {
        interface: interface?,
        address_lifetime: address_lifetime?,
        refresh: refresh?,
        wire_check: wire_check?,
    })
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
