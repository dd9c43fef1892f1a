//! Everything that talks to a Kubernetes API server.
//!
//! | module | does |
//! |---|---|
//! | [`access`] | finds credentials and a server that accepts them, and publishes a [`access::Connection`] |
//! | [`lease`] | reads, writes and watches the one Lease of an election |
//! | [`catalog`] | tells what happens to Services, their endpoints and Nodes |
//! | [`members`] | writes the member Lease of this node, and watches those of all |
//! | [`nodes`] | publishes who is in the control plane |
//! | [`annotations`] | publishes what is written on this Node |
//! | [`cordon`] | publishes whether this Node is cordoned and others could take its work |
//! | [`secrets`] | publishes the passwords in Secrets |
//! | [`pools`] | publishes the pools of addresses that Services can have |
//! | [`networks`] | publishes from which networks cluster IPs come |
//! | [`servers`] | publishes where the API servers of all nodes are |
//! | [`events`] | tells operators through Kubernetes Events |
//! | [`health`] | probes the local API server |
//! | [`failure`] | says what became of a request that failed |

pub mod access;
pub mod annotations;
pub mod catalog;
mod client;
pub mod cordon;
pub mod events;
pub mod failure;
mod follow;
pub mod health;
pub mod lease;
pub mod members;
pub mod networks;
pub mod nodes;
mod optional;
pub mod pools;
pub mod secrets;
pub mod servers;
#[cfg(test)]
pub(crate) mod testing;

/// Under which name we write; what it begins with, too, is us.
pub(crate) const FIELD_MANAGER: &str = "vipcast";
