//! What a member and an address weigh together: FNV-1a with MurmurHash3's 64-bit finaliser, in every version.

use std::fmt;
use std::net::IpAddr;

/// A member in a view: 32 bits of the hash of its name.
///
/// Two names with one id claim the same addresses; the order of their claims keeps them apart.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct MemberId(pub u32);

/// What is hashed: an address, or the name of a group that stays together.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Key(u64);

impl MemberId {
    /// The id of the member of this name.
    #[must_use]
    pub fn of(name: &str) -> Self {
        Self((stable(b'm', name.as_bytes()) >> 32) as u32)
    }

    /// One of the tickets that a member draws with; it has as many as its weight.
    pub(super) fn ticket(self, number: u8) -> u64 {
        mix(u64::from(self.0) << 32 | u64::from(number))
    }
}

impl Key {
    /// The key of an address that stands for itself.
    #[must_use]
    pub fn of_address(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => Self(stable(b'4', &address.octets())),
            IpAddr::V6(address) => Self(stable(b'6', &address.octets())),
        }
    }

    /// The key of a group, whose addresses go where its name goes.
    #[must_use]
    pub fn of_group(name: &str) -> Self {
        Self(stable(b'g', name.as_bytes()))
    }

    /// What a ticket scores for this key: the highest one wins.
    pub(super) fn score(self, ticket: u64) -> u64 {
        mix(ticket ^ self.0)
    }
}

impl fmt::Display for MemberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

/// FNV-1a over a tag and the bytes; the finaliser spreads what FNV leaves in the low bits.
fn stable(tag: u8, bytes: &[u8]) -> u64 {
    let step = |hash: u64, &byte: &u8| (hash ^ u64::from(byte)).wrapping_mul(FNV_PRIME);
    mix(bytes.iter().fold(step(FNV_OFFSET, &tag), step))
}

/// `fmix64` of MurmurHash3: every bit of the input reaches every bit of the output, and no two inputs collide.
const fn mix(mut x: u64) -> u64 {
    x ^= x >> 33;
    x = x.wrapping_mul(0xff51_afd7_ed55_8ccd);
    x ^= x >> 33;
    x = x.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    x ^ (x >> 33)
}

const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0100_0000_01b3;

#[cfg(test)]
mod tests {
    use super::*;

    /// Computed by a second implementation. They must never change: members of different versions agree by them.
    #[test]
    fn hashes_are_what_they_have_always_been() {
        let members = ["node-a", "node-b", "worker-1"].map(MemberId::of);
        assert_eq!(members, [MemberId(0xa6cc_1cce), MemberId(0x7a69_699f), MemberId(0x213d_2c24)]);
        let tickets = [0, 1].map(|number| MemberId::of("node-a").ticket(number));
        assert_eq!(tickets, [0x2823_b8b3_367c_2d9e, 0xdd1b_23c8_9ee0_97f8]);
        let keys = ["192.0.2.1", "2001:db8::1"].map(|text| Key::of_address(text.parse().unwrap()));
        assert_eq!(keys, [Key(0xe548_45aa_4546_d3e0), Key(0xceea_5c91_06e8_9737)]);
        assert_eq!(Key::of_group("web/shared"), Key(0x0e6d_add9_206a_1612));
        let scores = keys.map(|key| key.score(MemberId::of("node-a").ticket(0)));
        assert_eq!(scores, [0xeb4f_3033_ffcc_63db, 0x4e2a_4b82_797a_2d1e]);
    }
}
