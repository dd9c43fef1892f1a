//! Protocol logic of vipcast: every decision and no effect.
//!
//! | module | decides |
//! |---|---|
//! | [`election`] | who may announce a scope, and until when |
//! | [`standing`] | whether this node may stand for election at all |
//! | [`health`] | when a probed server counts as healthy |
//! | [`advertiser`] | which VIPs this node may announce now, and when a scope is vacated |
//! | [`l2`] | when to probe, hold, announce, defend and drop an address; what a frame says |
//! | [`bfd`] | whether the other end of a path is alive |
//! | [`bgp`] | how a session with a router goes, what each peer should know, and what messages say |
//!
//! Time is an argument everywhere: nothing here reads a clock, sleeps, or performs an effect.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod advertiser;
pub mod bfd;
pub mod bgp;
pub mod election;
pub mod health;
pub mod l2;
pub mod standing;
