//! The session in which a malformed message comes, and what in the octets depends on where it is.

use std::net::Ipv4Addr;

use super::message;

/// What the OPENs say. The speaker that is tested has AS 65002, and offers what it can.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Session {
    /// With AS 65001, by the capabilities of RFC 4760, 2918, 6793 and 7313.
    External,
    /// With its own AS.
    Internal,
    /// External, without RFC 6793.
    TwoOctets,
    /// Internal, without RFC 6793.
    TwoOctetsInternal,
    /// External, without RFC 7313.
    PlainRefresh,
    /// External, and the speaker is configured for IPv6 alone, and knows all else as before.
    Ipv6,
}

/// What the letters in a case mean.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    /// `R`: the three octets of a /24, with its length.
    pub(crate) route: [u8; 4],
    /// `N`: the one who sends it, as a next hop and as its BGP Identifier.
    pub(crate) sender: Ipv4Addr,
    /// `I`: the BGP Identifier of the speaker that is tested.
    pub(crate) identifier: Ipv4Addr,
    /// `P`: the sender's AS in two octets.
    pub(crate) system: u16,
}

impl Session {
    pub(crate) fn is_internal(self) -> bool {
        matches!(self, Self::Internal | Self::TwoOctetsInternal)
    }

    /// The sender's.
    pub(crate) fn system(self) -> u16 {
        if self.is_internal() { SPEAKER_AS } else { SENDER_AS }
    }

    /// The capabilities of the sender, in hexadecimal.
    fn capabilities(self) -> &'static str {
        match self {
            Self::External | Self::Ipv6 => "0104 0001 00 01  0104 0002 00 01  0200  4600  4104 0000P",
            Self::Internal => "0104 0001 00 01  0104 0002 00 01  0200  4600  4104 0000P",
            Self::TwoOctets | Self::TwoOctetsInternal => "0104 0001 00 01  0104 0002 00 01  0200  4600",
            Self::PlainRefresh => "0104 0001 00 01  0104 0002 00 01  0200  4104 0000P",
        }
    }

    /// The OPEN of the sender.
    pub(crate) fn open(self, place: &Place) -> Vec<u8> {
        let capabilities = place.hex(self.capabilities());
        let length = u8::try_from(capabilities.len()).unwrap();
        let head = place.hex("04 P 005a N");
        message(1, &[&head[..], &[length + 2, 2, length], &capabilities].concat())
    }

    /// What an UPDATE needs, but for the attribute of that type.
    pub(crate) fn mandatory(self, but: u8) -> String {
        let as_path = match (self, self.is_internal()) {
            (Self::TwoOctets | Self::TwoOctetsInternal, _) => "40 02 04 02 01 fde9",
            _ => "40 02 06 02 01 0000fde9",
        };
        let local_pref = self.is_internal().then_some((5, "40 05 04 00000064"));
        let all = [(1, "40 01 01 00"), (2, as_path), (3, "40 03 04 N")].into_iter().chain(local_pref);
        all.filter(|(code, _)| *code != but).map(|(_, octets)| octets).collect::<Vec<_>>().join(" ")
    }

    /// An UPDATE without a flaw that announces the route.
    pub(crate) fn announcement(self, place: &Place) -> Vec<u8> {
        let attributes = place.hex(&self.mandatory(0));
        message(2, &[&[0, 0], &super::sized(&attributes)[..], &place.route].concat())
    }
}

impl Place {
    pub(crate) fn hex(&self, text: &str) -> Vec<u8> {
        let plain = |octets: &[u8]| octets.iter().map(|octet| format!("{octet:02x}")).collect::<String>();
        let text = text
            .replace('R', &plain(&self.route))
            .replace('N', &plain(&self.sender.octets()))
            .replace('I', &plain(&self.identifier.octets()))
            .replace('P', &plain(&self.system.to_be_bytes()));
        let digits: Vec<u8> = text.chars().filter_map(|c| c.to_digit(16)).map(|d| d as u8).collect();
        assert!(digits.len().is_multiple_of(2), "half an octet in {text}");
        digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
    }
}

pub(crate) const SPEAKER_AS: u16 = 65002;
const SENDER_AS: u16 = 65001;
