//! One file per subcommand.

pub mod status;
pub mod version;
