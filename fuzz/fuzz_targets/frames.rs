//! Any octets: the parser answers, and what it answers is an address that a station can have.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vipcast_proto::l2::ethernet::sighting;

fuzz_target!(|frame: &[u8]| {
    if let Ok(Some(seen)) = sighting(frame) {
        assert!(!seen.address.is_multicast() && !seen.address.is_unspecified());
        assert_eq!(
            sighting(frame),
            Ok(Some(seen)),
            "the answer depends on the frame alone"
        );
    }
});
