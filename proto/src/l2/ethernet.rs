//! Ethernet II frames, as far as ARP and NDP need them.
/// x
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct MacAddr(pub [u8; 6]);
impl From<[u8; 6]> for MacAddr {
    fn from(x: [u8; 6]) -> Self {
        Self(x)
    }
}
/// x
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SightingKind {
    /// x
    Claim,
    /// x
    Probe,
}
