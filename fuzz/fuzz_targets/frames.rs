//! Any octets: the parser answers, and what it answers is an address that a station can have; what asks can be answered.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vipcast_proto::l2::ethernet::{heard, sighting};

fuzz_target!(|frame: &[u8]| {
    if let Ok(Some(seen)) = sighting(frame) {
        assert!(!seen.address.is_multicast() && !seen.address.is_unspecified());
        assert_eq!(
            sighting(frame),
            Ok(Some(seen)),
            "the answer depends on the frame alone"
        );
    }
    if let Ok(heard) = heard(frame)
        && let Some(asked) = heard.solicitation
    {
        assert!(!asked.target.is_multicast() && !asked.target.is_unspecified());
        assert!(asked.from.is_unicast() && !asked.sender.is_multicast());
        assert_eq!(asked.target.is_ipv4(), asked.sender.is_ipv4());
    }
});
