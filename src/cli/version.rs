//! `vipcast version`.

/// The version of this program.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The commit it was built from, where the build says so by `VIPCAST_REVISION`.
pub const REVISION: Option<&str> = option_env!("VIPCAST_REVISION");

/// One line for people.
#[must_use]
pub fn line() -> String {
    match REVISION {
        Some(revision) => format!("vipcast {VERSION} ({revision})"),
        None => format!("vipcast {VERSION}"),
    }
}
