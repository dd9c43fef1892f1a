//! The Adj-RIB-Out: what a peer's table is after it has read our octets, and how many those are.

#![expect(clippy::disallowed_methods, reason = "a test needs some instant to start from")]
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "the helpers of tests are tests too")]

mod export;
mod pacing;
mod packing;
mod peer;
mod properties;
mod rig;
