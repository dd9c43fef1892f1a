//! Protocol logic of vipcast: every decision and no effect.
//!
//! | module | decides |
//! |---|---|
//! | [`election`] | who may announce a scope, and until when |
//! | [`standing`] | whether this node may stand for election at all |
//! | [`health`] | when a probed server counts as healthy |
//! | [`advertiser`] | which VIPs this node may announce now, and when a scope is vacated |
//! | [`placement`] | which live member holds which Service VIP, and in which order it changes hands |
//! | [`l2`] | when to probe, hold, announce, defend and drop an address; what a frame says |
//! | [`service`] | what the cluster says of Services: who is to announce an address, and why not others |
//! | [`guard`] | what may reach Service addresses, as the content of a packet filter's sets |
//! | [`ipam`] | which Service gets which address: pools, requests, sharing, and what is kept |
//! | [`bfd`] | whether the other end of a path is alive |
//! | [`bgp`] | how a session with a router goes, what each peer should know, and what messages say |
//!
//! Time is an argument everywhere: nothing here reads a clock, sleeps, or performs an effect.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod advertiser;
pub mod bfd;
pub mod bgp;
pub mod data_path;
pub mod election;
pub mod guard;
pub mod health;
pub mod ipam;
pub mod l2;
pub mod placement;
pub mod service;
pub mod standing;
