//! One file per subcommand.

pub mod config;
pub mod status;
pub mod version;
