//! Attribute Flags (RFC 4271 §4.3).

/// Not well-known.
pub(super) const OPTIONAL: u8 = 0x80;
/// Passed on by those who do not know it.
pub(super) const TRANSITIVE: u8 = 0x40;
/// Two octets of length.
pub(super) const EXTENDED_LENGTH: u8 = 0x10;
