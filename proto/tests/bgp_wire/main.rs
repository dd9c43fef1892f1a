//! BGP messages, octet by octet: both ways, every error, and what others read in them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "a test fails by panicking"
)]

mod attributes;
#[path = "../bgp_malformed/cases/mod.rs"]
#[allow(dead_code, reason = "only single attributes are looked at here")]
mod cases;
mod headers;
mod notifications;
mod opens;
mod packing;
mod properties;
mod refreshes;
mod support;
mod updates;
mod vectors;
