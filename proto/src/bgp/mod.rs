//! BGP-4 for a speaker that only originates routes (RFC 4271).

pub mod types;
pub mod wire;
