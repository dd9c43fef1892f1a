//! Layer 2: hold an address, tell the segment where it lives, and notice who else claims it.

pub mod announcer;
pub mod arp;
pub mod ethernet;
pub mod ndp;
pub mod responder;
