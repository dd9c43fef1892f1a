//! ROUTE-REFRESH by RFC 2918 and RFC 7313, both ways.

use bytes::BytesMut;
use vipcast_proto::bgp::types::{Family, Message, Notification, RouteRefresh};
use vipcast_proto::bgp::wire::{Parameters, encode};

use crate::support::{EXTERNAL, answer, hex, message, notification};

const ENHANCED: Parameters = Parameters { enhanced_route_refresh: true, ..EXTERNAL };

fn refresh(family: Family, subtype: u8) -> Result<Message, Notification> {
    Ok(Message::RouteRefresh(RouteRefresh { family, subtype }))
}

#[test]
fn requests_and_demarcations_read_as_they_are_written() {
    for (body, family, subtype) in [
        ("0001 00 01", Family::IPV4_UNICAST, 0),
        ("0002 00 01", Family::IPV6_UNICAST, 0),
        ("0001 01 01", Family::IPV4_UNICAST, 1),
        ("0002 02 01", Family::IPV6_UNICAST, 2),
        ("4004 ff 47", Family { afi: 0x4004, safi: 0x47 }, 255),
    ] {
        let octets = message(5, &hex(body));
        assert_eq!(answer(ENHANCED, &octets), refresh(family, subtype), "{body}");
        let mut written = BytesMut::new();
        encode::route_refresh(&RouteRefresh { family, subtype }, &mut written);
        assert_eq!(written, octets, "{body}");
    }
}

#[test]
fn without_the_enhanced_capability_the_subtype_is_a_reserved_octet() {
    for subtype in [0, 1, 2, 99] {
        let octets = message(5, &[0, 1, subtype, 1]);
        assert_eq!(answer(EXTERNAL, &octets), refresh(Family::IPV4_UNICAST, 0));
    }
}

#[test]
fn a_demarcation_of_another_length_is_refused_with_the_whole_message() {
    for body in [
        "0001 01",
        "0001 02",
        "0001 01 01 00",
        "0001 02 01 00",
        "0002 01 01 0000000000000000",
        "0002 02 01 0102",
        "0001 01 01 01 80 05 01 18 c63364",
    ] {
        let octets = message(5, &hex(body));
        let complete: String = octets.iter().map(|octet| format!("{octet:02x}")).collect();
        assert_eq!(answer(ENHANCED, &octets), Err(notification(7, 1, &complete)), "{body}");
    }
    let longest = message(5, &[&hex("0001 01 01")[..], &[0xaa; 4073]].concat());
    let complete: String = longest.iter().map(|octet| format!("{octet:02x}")).collect();
    assert_eq!(answer(ENHANCED, &longest), Err(notification(7, 1, &complete)));
}

#[test]
fn what_is_no_demarcation_is_not_refused_for_its_length_by_rfc_7313() {
    let filtered = hex("0001 00 01 01 80 05 01 18 c63364");
    assert_eq!(answer(ENHANCED, &message(5, &filtered)), refresh(Family::IPV4_UNICAST, 0));
    assert_eq!(answer(EXTERNAL, &message(5, &hex("0001 01 01 00"))), refresh(Family::IPV4_UNICAST, 0));
    let short = message(5, &hex("0001 00"));
    assert_eq!(answer(ENHANCED, &short), Err(notification(1, 2, "0016")));
    for length in 19..22_u16 {
        let header = [&[0xff; 16][..], &length.to_be_bytes(), &[5]].concat();
        assert_eq!(answer(ENHANCED, &header), Err(notification(1, 2, &format!("{length:04x}"))));
    }
}

/// RFC 4271 lets a message have 4096 octets, and a NOTIFICATION with all of them as its Data would have more.
#[test]
fn data_that_a_notification_has_no_room_for_is_cut() {
    let mut written = BytesMut::new();
    let whole = Notification { code: 7, subcode: 1, data: vec![0xab; 4096].into() };
    encode::notification(&whole, &mut written);
    assert_eq!(written, message(3, &[&[7, 1][..], &[0xab; 4075]].concat()));
}
