//! Asks a LAN once for many addresses, and hears everybody who answers.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use vipcast::clock;
use vipcast::demo::lab::frame::{self, Heard};
use vipcast::demo::lab::lan::{Host, Mac};
use vipcast::demo::lab::sys;

/// Who answers for each of `addresses`, as far as answers come within `patience` after the last question.
pub(crate) fn ask(from: &Host, addresses: &[IpAddr], patience: Duration) -> BTreeMap<IpAddr, BTreeSet<Mac>> {
    from.namespace.run(|| count(from, addresses, patience)).unwrap()
}

fn count(from: &Host, addresses: &[IpAddr], patience: Duration) -> BTreeMap<IpAddr, BTreeSet<Mac>> {
    let mut socket = Socket::new(Domain::PACKET, Type::RAW, Some(Protocol::from(0))).unwrap();
    let any = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    socket.bind(&sys::packet_address(from.interface, frame::ethertype(any)).unwrap()).unwrap();
    let mut answers = BTreeMap::new();
    let asked: BTreeSet<_> = addresses.iter().copied().collect();
    for address in addresses {
        socket.send(&frame::question(from.mac, from.v4.into(), *address).unwrap()).unwrap();
    }
    let until = clock::now() + patience;
    let mut frame = [0; 1514];
    loop {
        let left = until.saturating_duration_since(clock::now());
        if left.is_zero() || answers.len() == addresses.len() && addresses.len() > 1 {
            return answers;
        }
        socket.set_read_timeout(Some(left)).unwrap();
        let Ok(length) = socket.read(&mut frame) else { continue };
        let Some((address, Heard::Answer { owner, .. })) = heard(&frame[..length]) else { continue };
        if asked.contains(&address) {
            answers.entry(address).or_insert_with(BTreeSet::new).insert(owner);
        }
    }
}

/// Which address an ARP frame is about, and what it says.
pub(crate) fn heard(octets: &[u8]) -> Option<(IpAddr, Heard)> {
    let address: [u8; 4] = octets.get(28..32)?.try_into().ok()?;
    let address = IpAddr::from(address);
    Some((address, frame::parse(octets, address)?))
}
