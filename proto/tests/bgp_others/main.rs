//! What two other implementations read in our BGP messages, and what we read in theirs.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "a test fails by panicking, and the enums are others'"
)]

mod netgauze;
mod said;
mod zettabgp;
