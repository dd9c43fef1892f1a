//! BGP-4 for a speaker that only originates routes (RFC 4271).

pub mod adj_rib_out;
pub mod fsm;
pub mod negotiation;
pub mod types;
pub mod wire;
