//! Any octets as a BFD packet: what is read is what is written back, and padding changes nothing.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vipcast_proto::bfd::wire::{LEN, Packet, decode, encode};

fuzz_target!(|payload: &[u8]| {
    let Ok(packet) = decode(payload) else { return };
    let written = encode(&packet);
    assert_eq!(
        decode(&written),
        Ok(Packet {
            authenticated: false,
            ..packet
        })
    );
    assert_eq!(written[4..], payload[4..LEN]);
    let padded = [payload, &[0xff; 7]].concat();
    assert_eq!(decode(&padded), Ok(packet));
});
