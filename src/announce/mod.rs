//! Drivers of the announcers.

pub mod layer2;
pub mod port;
mod report;

pub use report::Reporter;
