//! The laboratory: a LAN in network namespaces, a client and an observer on it, and real processes in its nodes.
//!
//! Used by `vipcast demo`, by the benchmarks and by the lab tests. Making namespaces needs root, or a user
//! namespace of one's own (which `vipcast demo` makes itself).

pub mod address;
pub mod api_call;
pub mod cable;
pub mod client;
pub mod echo;
pub mod error;
pub mod frame;
pub mod interrupt;
pub mod lan;
pub mod namespace;
pub mod observer;
pub mod process;
pub mod sightings;
pub mod sys;
pub mod trace;
pub mod work_dir;

#[cfg(test)]
mod tests;
