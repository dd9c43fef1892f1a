//! What can go wrong in the laboratory, by what was being done.

use std::io;

/// A failure of the laboratory itself, never of what is measured in it.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// A network namespace could not be made or entered.
    #[error("network namespace: {what}")]
    Namespace {
        /// What was being done.
        what: &'static str,
        /// Why the kernel refused.
        source: io::Error,
    },
    /// The kernel refused a request about a link or an address.
    #[error("netlink: {what}")]
    Netlink {
        /// What was being done.
        what: &'static str,
        /// What the kernel said.
        source: rtnetlink::Error,
    },
    /// The netlink socket closed while a request was under way.
    #[error("netlink socket closed")]
    NetlinkClosed,
    /// A link that was just made is not there.
    #[error("interface {0} does not exist")]
    NoInterface(String),
    /// More nodes than the LAN has addresses for.
    #[error("a LAN of {0} nodes: at least 1 and at most {max} are possible", max = super::lan::MAX_NODES)]
    Nodes(usize),
    /// A socket of the client, the observer or a responder failed.
    #[error("{what}")]
    Socket {
        /// What was being done.
        what: &'static str,
        /// Why the kernel refused.
        source: io::Error,
    },
    /// A process could not be started, signalled or awaited.
    #[error("process {name}: {what}")]
    Process {
        /// Which one.
        name: String,
        /// What was being done.
        what: &'static str,
        /// Why the kernel refused.
        source: io::Error,
    },
    /// A file of the laboratory could not be written.
    #[error("{path}")]
    File {
        /// Which one.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// The API server of the laboratory refused to create a Node.
    #[error("the API server answers {status} to the creation of a Node")]
    Api {
        /// The HTTP status.
        status: u16,
    },
    /// The API server is the caller's own.
    #[error("the laboratory has no API server of its own")]
    NoApiServer,
    /// Nobody has created them.
    #[error("the laboratory has no Services")]
    NoServices,
    /// Something that had to happen did not.
    #[error("waited in vain until {0}")]
    Waited(String),
    /// The user wants it to end.
    #[error("interrupted")]
    Interrupted,
}

/// Shorthand for what the laboratory returns.
pub type Result<T> = std::result::Result<T, LabError>;
