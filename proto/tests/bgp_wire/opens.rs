//! OPEN: RFC 4271 §6.2, RFC 5492, RFC 9072, and every capability that we know, both ways.

use bytes::{Bytes, BytesMut};
use vipcast_proto::bgp::types::{Asn, Capability, Family, GracefulRestart, Message, Notification, Open};
use vipcast_proto::bgp::wire::{Parameters, encode};

use crate::support::{answer, hex, message, notification};

/// Version 4, AS 65001, hold time 90, identifier 192.0.2.1; then what follows from Opt Parm Len on.
fn octets(parameters: &str) -> Vec<u8> {
    message(1, &hex(&format!("04 fde9 005a c0000201 {parameters}")))
}

fn open(capabilities: Vec<Capability>) -> Open {
    let identifier = "192.0.2.1".parse().unwrap();
    Open { my_as: 65001, hold_time: 90, identifier, capabilities }
}

fn read(octets: &[u8]) -> Result<Message, Notification> {
    answer(Parameters::default(), octets)
}

fn written(open: &Open) -> Vec<u8> {
    let mut written = BytesMut::new();
    encode::open(open, &mut written);
    written.to_vec()
}

#[test]
fn every_capability_reads_as_it_is_written() {
    let restart = GracefulRestart {
        restarting: true,
        notification: true,
        restart_time: 120,
        families: vec![(Family::IPV4_UNICAST, true), (Family::IPV6_UNICAST, false)],
    };
    let end_of_rib_only = GracefulRestart { restart_time: 4095, ..GracefulRestart::default() };
    for (parameters, capability) in [
        ("08 02 06 01 04 0001 00 01", Capability::MultiProtocol(Family::IPV4_UNICAST)),
        ("08 02 06 01 04 0002 00 01", Capability::MultiProtocol(Family::IPV6_UNICAST)),
        ("04 02 02 02 00", Capability::RouteRefresh),
        ("0a 02 08 05 06 0001 0001 0002", Capability::ExtendedNextHop(vec![(Family::IPV4_UNICAST, 2)])),
        (
            "10 02 0e 05 0c 0001 0001 0002 0001 0002 0002",
            Capability::ExtendedNextHop(vec![(Family::IPV4_UNICAST, 2), (Family { afi: 1, safi: 2 }, 2)]),
        ),
        ("0e 02 0c 40 0a c078 0001 01 80 0002 01 00", Capability::GracefulRestart(restart)),
        ("06 02 04 40 02 0fff", Capability::GracefulRestart(end_of_rib_only)),
        ("08 02 06 41 04 fffffffe", Capability::FourOctetAs(Asn(0xffff_fffe))),
        ("04 02 02 46 00", Capability::EnhancedRouteRefresh),
        ("05 02 03 09 01 03", Capability::Unknown { code: 9, value: Bytes::from_static(&[3]) }),
        ("04 02 02 c8 00", Capability::Unknown { code: 200, value: Bytes::new() }),
    ] {
        let open = open(vec![capability]);
        assert_eq!(written(&open), octets(parameters), "{parameters}");
        assert_eq!(read(&octets(parameters)), Ok(Message::Open(open)), "{parameters}");
    }
}

#[test]
fn all_capabilities_are_written_into_one_parameter() {
    let open = open(vec![
        Capability::MultiProtocol(Family::IPV4_UNICAST),
        Capability::RouteRefresh,
        Capability::FourOctetAs(Asn(65001)),
    ]);
    let expected = octets("10 02 0e 0104 0001 00 01 0200 4104 0000fde9");
    assert_eq!(written(&open), expected);
    assert_eq!(read(&expected), Ok(Message::Open(open)));
}

#[test]
fn capabilities_in_any_number_of_parameters_keep_their_order() {
    let expected =
        open(vec![Capability::RouteRefresh, Capability::EnhancedRouteRefresh, Capability::RouteRefresh]);
    for parameters in [
        "0c 02 02 0200 02 02 4600 02 02 0200",
        "0a 02 04 0200 4600 02 02 0200",
        "0e 02 02 0200 02 00 02 02 4600 02 02 0200",
    ] {
        assert_eq!(read(&octets(parameters)), Ok(Message::Open(expected.clone())), "{parameters}");
    }
}

#[test]
fn no_capabilities_is_no_parameter() {
    assert_eq!(written(&open(vec![])), octets("00"));
    assert_eq!(read(&octets("00")), Ok(Message::Open(open(vec![]))));
    assert_eq!(read(&octets("02 02 00")), Ok(Message::Open(open(vec![]))));
}

/// The session judges AS, hold time and identifier: here they only pass.
#[test]
fn every_value_of_the_fixed_fields_is_read() {
    for (my_as, hold_time, identifier) in [(0, 0, 0), (0xffff, 0xffff, 0xffff_ffff), (23456, 1, 0xe000_0001)]
    {
        let expected = Open { my_as, hold_time, identifier: u32::into(identifier), capabilities: vec![] };
        assert_eq!(read(&written(&expected)), Ok(Message::Open(expected)));
    }
}

#[test]
fn another_version_is_refused_with_the_largest_that_we_know() {
    for version in (0..=255).filter(|version| *version != 4) {
        // Whatever else is wrong with it.
        for parameters in ["00", "04 63 02 0000", "ff ff ffff"] {
            let mut octets = octets(parameters);
            octets[19] = version;
            assert_eq!(read(&octets), Err(notification(2, 1, "0004")), "version {version}, {parameters}");
        }
    }
}

#[test]
fn an_optional_parameter_that_is_not_known_is_refused() {
    for parameter_type in [0, 1, 3, 4, 99, 254] {
        for parameters in [
            format!("02 {parameter_type:02x} 00"),
            format!("04 {parameter_type:02x} 02 0200"),
            format!("08 02 02 0200 {parameter_type:02x} 02 0200"),
            format!("ff ff 0005 {parameter_type:02x} 0002 0200"),
        ] {
            assert_eq!(read(&octets(&parameters)), Err(notification(2, 4, "")), "{parameters}");
        }
    }
    // Only the first parameter's type says that the format is the extended one.
    for parameters in ["06 02 02 0200 ff 00", "ff ff 0003 ff 0000"] {
        assert_eq!(read(&octets(parameters)), Err(notification(2, 4, "")), "{parameters}");
    }
}

#[test]
fn lengths_that_do_not_fit_each_other_are_an_unspecific_error() {
    for parameters in [
        "01",                    // a parameter that is not there
        "04 02 02 02",           // and of which an octet is not there
        "00 02 02 0200",         // more than was said
        "04 02 02 0200 00",      //
        "03 02 02 0200",         //
        "01 02",                 // a parameter without a length
        "02 02 02",              // or without a value
        "03 02 02 02",           // or half of it
        "05 02 02 0200 02",      // a second one without a length
        "04 02 03 0200",         // a value beyond the end
        "03 02 01 02",           // a capability without a length
        "04 02 02 02 01",        // or without a value
        "07 02 05 41 04 0000fd", // or half of it
        "ff 02 02 0200",         // not extended, and too short
    ] {
        assert_eq!(read(&octets(parameters)), Err(notification(2, 0, "")), "{parameters}");
    }
}

#[test]
fn a_capability_of_a_length_that_its_code_does_not_have_is_an_unspecific_error() {
    let lengths = |allowed: &'static [usize]| (0..=20).filter(|length| !allowed.contains(length));
    let tables: [(u8, &[usize]); 6] =
        [(1, &[4]), (2, &[0]), (5, &[0, 6, 12, 18]), (64, &[2, 6, 10, 14, 18]), (65, &[4]), (70, &[0])];
    for (code, allowed) in tables {
        for length in lengths(allowed) {
            let zeros = "00".repeat(length);
            let parameters =
                format!("{:02x} 02 {:02x} {code:02x} {length:02x} {zeros}", length + 4, length + 2);
            assert_eq!(read(&octets(&parameters)), Err(notification(2, 0, "")), "{code}: {length}");
        }
    }
}

#[test]
fn the_extended_format_is_read_whatever_the_length_before_it_says() {
    let expected = || Ok(Message::Open(open(vec![Capability::RouteRefresh])));
    for length in ["ff", "01", "05", "fe"] {
        let parameters = format!("{length} ff 0005 02 0002 0200");
        assert_eq!(read(&octets(&parameters)), expected(), "{length}");
    }
    assert_eq!(read(&octets("ff ff 0000")), Ok(Message::Open(open(vec![]))));
    assert_eq!(read(&octets("ff ff 0008 02 0000 02 0002 0200")), expected());
    // "MUST NOT be set to 0" (RFC 9072 §2): then there are no parameters, and what follows is too much.
    assert_eq!(read(&octets("00 ff 0005 02 0002 0200")), Err(notification(2, 0, "")));
}

#[test]
fn lengths_in_the_extended_format_must_fit_too() {
    for parameters in [
        "ff ff",
        "ff ff 00",
        "ff ff 0001",
        "ff ff 0000 02",
        "ff ff 0006 02 0002 0200",
        "ff ff 0004 02 0002 0200",
        "ff ff ffff 02 0002 0200",
        "ff ff 0001 02",
        "ff ff 0002 02 00",
        "ff ff 0005 02 0003 0200",
        "ff ff 0004 02 0001 02",
        "ff ff 0005 02 0002 0201",
    ] {
        assert_eq!(read(&octets(parameters)), Err(notification(2, 0, "")), "{parameters}");
    }
}

#[test]
fn what_one_octet_cannot_count_is_written_in_the_extended_format() {
    let unknown = |length: usize| Capability::Unknown { code: 200, value: vec![7; length].into() };
    let fits = open(vec![unknown(251)]);
    assert_eq!(written(&fits), octets(&format!("ff 02 fd c8 fb {}", "07".repeat(251))));
    let exceeds = open(vec![unknown(252)]);
    assert_eq!(written(&exceeds), octets(&format!("ff ff 0101 02 00fe c8 fc {}", "07".repeat(252))));
    let many = open(vec![unknown(255); 15]);
    for open in [fits, exceeds, many] {
        assert_eq!(read(&written(&open)), Ok(Message::Open(open)));
    }
}

#[test]
fn capabilities_for_which_there_is_no_room_are_left_out() {
    let unknown = Capability::Unknown { code: 200, value: vec![7; 255].into() };
    let octets = written(&open(vec![unknown.clone(); 100]));
    assert_eq!(octets.len(), 4096 - (4096 - 19 - 16) % 257);
    assert_eq!(read(&octets), Ok(Message::Open(open(vec![unknown; 15]))));
}

#[test]
fn capabilities_fill_an_open_to_its_last_octet() {
    let unknown = |length: usize| Capability::Unknown { code: 200, value: vec![7; length].into() };
    let last = |length| open([vec![unknown(255); 15], vec![unknown(length)]].concat());
    assert_eq!(written(&last(204)).len(), 4096);
    assert_eq!(read(&written(&last(204))), Ok(Message::Open(last(204))));
    assert_eq!(read(&written(&last(205))), Ok(Message::Open(open(vec![unknown(255); 15]))));
}

#[test]
fn what_a_value_has_no_room_for_is_left_out() {
    let family = Family::IPV4_UNICAST;
    let too_long = |restart_time| {
        let families = vec![(family, true); 100];
        Capability::GracefulRestart(GracefulRestart { restart_time, families, ..GracefulRestart::default() })
    };
    let open_of = |capability| open(vec![capability]);
    let GracefulRestart { restarting, notification, .. } = GracefulRestart::default();
    let cut =
        GracefulRestart { restarting, notification, restart_time: 4095, families: vec![(family, true); 63] };
    let expected = open_of(Capability::GracefulRestart(cut));
    assert_eq!(read(&written(&open_of(too_long(0xffff)))), Ok(Message::Open(expected)));
    let next_hops = open_of(Capability::ExtendedNextHop(vec![(family, 2); 100]));
    let expected = open_of(Capability::ExtendedNextHop(vec![(family, 2); 42]));
    assert_eq!(read(&written(&next_hops)), Ok(Message::Open(expected)));
    let unknown = |length: usize| open_of(Capability::Unknown { code: 99, value: vec![1; length].into() });
    assert_eq!(read(&written(&unknown(300))), Ok(Message::Open(unknown(255))));
}
