//! Any octets in any session: each message is taken or refused with a NOTIFICATION that RFC 4271, 7313 or 7606 has.
#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use vipcast_proto::bgp::types::Message;
use vipcast_proto::bgp::wire::{AsNumbers, Decoder, Parameters, encode};

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    four_octets: bool,
    external: bool,
    extended_next_hop: bool,
    enhanced_route_refresh: bool,
    /// A marker and a length of its own make it a message; otherwise it is taken as a stream.
    message_type: Option<u8>,
    octets: &'a [u8],
}

fuzz_target!(|input: Input<'_>| {
    let mut decoder = Decoder::new();
    decoder.set(Parameters {
        as_numbers: if input.four_octets { AsNumbers::FourOctets } else { AsNumbers::TwoOctets },
        external: input.external,
        extended_next_hop: input.extended_next_hop,
        enhanced_route_refresh: input.enhanced_route_refresh,
    });
    let mut buffer = stream(&input);
    loop {
        let before = buffer.clone();
        match decoder.decode(&mut buffer) {
            Ok(None) => break assert!(buffer.len() < 4096, "a whole message is there"),
            Ok(Some(message)) => {
                assert!(before.len() - buffer.len() >= 19, "a header is taken");
                read_again(message);
            }
            Err(refused) => {
                let notification = refused.notification();
                assert!(matches!(
                    (notification.code, notification.subcode),
                    (1, 1..=3) | (2, 0 | 1 | 4) | (3, 1 | 2 | 4..=6 | 8..=11) | (7, 1)
                ));
                let data = &notification.data;
                let received = before.windows(data.len().max(1)).any(|octets| octets == data);
                assert!(data.is_empty() || received || notification.subcode == 1, "{refused}");
                break;
            }
        }
    }
});

fn stream(input: &Input<'_>) -> BytesMut {
    let mut buffer = BytesMut::new();
    if let Some(message_type) = input.message_type {
        let length = u16::try_from(19 + input.octets.len()).unwrap_or(u16::MAX);
        buffer.extend([0xff; 16]);
        buffer.extend(length.to_be_bytes());
        buffer.extend([message_type]);
    }
    buffer.extend(input.octets);
    buffer
}

/// What we could have said reads the same once we have said it.
fn read_again(message: Message) {
    let mut octets = BytesMut::new();
    let mut decoder = Decoder::new();
    match &message {
        Message::Open(open) => encode::open(open, &mut octets),
        Message::Notification(notification) => {
            assert!(!notification.to_string().is_empty());
            encode::notification(notification, &mut octets);
        }
        Message::RouteRefresh(refresh) => {
            decoder.set(Parameters { enhanced_route_refresh: true, ..Parameters::default() });
            encode::route_refresh(refresh, &mut octets);
        }
        Message::Keepalive => encode::keepalive(&mut octets),
        Message::Update(update) => {
            assert!(update.announced + update.withdrawn < 4096, "a route takes an octet");
            return assert!(!update.treated_as_withdraw || update.announced == 0);
        }
    }
    assert_eq!(decoder.decode(&mut octets), Ok(Some(message)));
}
