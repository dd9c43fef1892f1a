//! Octets as RFCs print them, and a peer that sends one octet at a time.

use bytes::{Bytes, BytesMut};
use vipcast_proto::bgp::types::{Message, Notification, Update};
use vipcast_proto::bgp::wire::{AsNumbers, Decoder, Parameters};

/// An eBGP session between speakers of four octets.
pub(crate) const EXTERNAL: Parameters = Parameters {
    as_numbers: AsNumbers::FourOctets,
    external: true,
    extended_next_hop: false,
    enhanced_route_refresh: false,
};
/// An iBGP session between speakers of four octets.
pub(crate) const INTERNAL: Parameters = Parameters { external: false, ..EXTERNAL };
/// An eBGP session with a speaker of two octets.
pub(crate) const OLD: Parameters = Parameters { as_numbers: AsNumbers::TwoOctets, ..EXTERNAL };

/// From hexadecimal; what is no digit only makes it readable.
pub(crate) fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.chars().filter_map(|c| c.to_digit(16)).map(|d| d as u8).collect();
    assert!(digits.len().is_multiple_of(2), "half an octet in {text}");
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

/// A message of that type with a right header.
pub(crate) fn message(message_type: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(19 + body.len()).unwrap().to_be_bytes();
    [&[0xff; 16][..], &length, &[message_type], body].concat()
}

/// An UPDATE with right lengths from its three fields in hexadecimal.
pub(crate) fn update(withdrawn: &str, attributes: &str, nlri: &str) -> Vec<u8> {
    let (withdrawn, attributes) = (hex(withdrawn), hex(attributes));
    message(2, &[&sized(&withdrawn)[..], &sized(&attributes), &hex(nlri)].concat())
}

fn sized(field: &[u8]) -> Vec<u8> {
    [&u16::try_from(field.len()).unwrap().to_be_bytes()[..], field].concat()
}

/// What a peer that sends `octets` is answered with: a message, or a NOTIFICATION; and after how many octets.
pub(crate) fn feed(parameters: Parameters, octets: &[u8]) -> (Option<Result<Message, Notification>>, usize) {
    let mut decoder = Decoder::new();
    decoder.set(parameters);
    let mut buffer = BytesMut::new();
    for (before, octet) in octets.iter().enumerate() {
        buffer.extend([*octet]);
        match decoder.decode(&mut buffer) {
            Ok(None) => {}
            Ok(Some(message)) => {
                assert_eq!(&*buffer, [0_u8; 0], "all of the message is taken");
                return (Some(Ok(message)), before + 1);
            }
            Err(refused) => return (Some(Err(refused.notification())), before + 1),
        }
    }
    (None, octets.len())
}

/// The same, where it is answered at the end of `octets` and not before.
pub(crate) fn answer(parameters: Parameters, octets: &[u8]) -> Result<Message, Notification> {
    let (answer, after) = feed(parameters, octets);
    assert_eq!(after, octets.len(), "answered at the end of the message");
    answer.expect("answered")
}

/// A NOTIFICATION with Data in hexadecimal.
pub(crate) fn notification(code: u8, subcode: u8, data: &str) -> Notification {
    Notification { code, subcode, data: Bytes::from(hex(data)) }
}

/// The answer to an UPDATE that ends the session.
pub(crate) fn reset(subcode: u8, data: &str) -> Result<Message, Notification> {
    Err(notification(3, subcode, data))
}

/// The answer to an UPDATE that does not.
pub(crate) fn taken(update: Update) -> Result<Message, Notification> {
    Ok(Message::Update(update))
}

/// An UPDATE without a flaw.
pub(crate) fn announced(routes: usize) -> Update {
    Update { announced: routes, ..Update::default() }
}

/// An UPDATE whose routes count as withdrawn.
pub(crate) fn treated_as_withdraw(routes: usize) -> Update {
    Update { withdrawn: routes, treated_as_withdraw: true, ..Update::default() }
}
