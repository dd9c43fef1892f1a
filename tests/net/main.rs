//! What the kernel really does with the addresses, frames and links that `vipcast::net` asks for; in network
//! namespaces that each test makes for itself.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod addresses;
mod data_path;
mod frames;
mod guard;
mod lan;
mod links;
mod ports;
mod responder;
mod speaker;
