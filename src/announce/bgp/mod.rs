//! The BGP speaker: drives the sessions with routers, and tells each what this node originates.

mod connection;
mod dial;
#[cfg(test)]
pub(crate) mod fixture;
pub mod links;
pub mod loopback;
mod origin;
mod outbox;
mod peer;
mod report;
pub mod settings;
mod speaker;
mod table;
#[cfg(test)]
mod tests;
mod versions;
mod watched;
mod words;

pub use dial::Surroundings;
pub use speaker::{Command, NAME, Stage, Wires, run};
pub use watched::Watch;
