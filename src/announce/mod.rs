//! Drivers of the announcers.

pub mod bgp;
pub mod layer2;
pub mod port;
mod report;
pub mod responder;

pub use report::{Announcing, Reporter};
