//! What became of a request that failed: what the server said, or how far it got.

use std::error::Error as StdError;
use std::fmt;

/// Why a request failed, as far as it matters to whoever sent it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Failure {
    /// The server answered with a status that is not a success.
    Status {
        /// The HTTP status code.
        code: u16,
        /// `message` of the `Status` object, shortened.
        message: String,
    },
    /// There is nobody to ask yet.
    NoServer,
    /// The request never left: no credentials, no connection, no TLS session.
    NotSent(String),
    /// It may have left: the connection broke or the answer made no sense.
    Broken(String),
    /// It may have left: nothing came back in time.
    TimedOut,
}

impl Failure {
    /// The status code that the server answered with.
    #[must_use]
    pub fn code(&self) -> Option<u16> {
        match self {
            Self::Status { code, .. } => Some(*code),
            Self::NoServer | Self::NotSent(_) | Self::Broken(_) | Self::TimedOut => None,
        }
    }

    /// Whether a write that failed so is certain not to have happened. A server error is not:
    /// "etcdserver: request timed out" comes as a 500, and the write may still be applied.
    #[must_use]
    pub fn certainly_not_applied(&self) -> bool {
        match self {
            Self::Status { code, .. } => (400..500).contains(code) && *code != REQUEST_TIMEOUT,
            Self::NoServer | Self::NotSent(_) => true,
            Self::Broken(_) | Self::TimedOut => false,
        }
    }
}

impl From<kube::Error> for Failure {
    #[expect(clippy::wildcard_enum_match_arm, reason = "another crate's enum, of which we know enough")]
    fn from(error: kube::Error) -> Self {
        let text = || innermost(&error);
        match &error {
            kube::Error::Api(status) => Self::Status { code: status.code, message: shorten(&status.message) },
            kube::Error::Service(source) if never_connected(source.as_ref()) => Self::NotSent(text()),
            kube::Error::Auth(_) | kube::Error::BuildRequest(_) | kube::Error::HttpError(_) => {
                Self::NotSent(text())
            }
            // The text of these two can quote what the server sent.
            kube::Error::SerdeError(_) | kube::Error::FromUtf8(_) => Self::Broken("unreadable answer".into()),
            _ => Self::Broken(text()),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status { code, message } if message.is_empty() => write!(f, "status {code}"),
            Self::Status { code, message } => write!(f, "status {code}: {message}"),
            Self::NoServer => f.write_str("no API server yet"),
            Self::NotSent(text) | Self::Broken(text) => f.write_str(text),
            Self::TimedOut => f.write_str("timed out"),
        }
    }
}

impl StdError for Failure {}

/// What to do where an API server refuses what the daemon needs.
pub(crate) const PERMIT: &str = "permit what `vipcast manifest rbac` prints for the same settings";

/// The cause at the end of the chain, in words that need no stack of "error trying to".
#[must_use]
pub fn innermost(error: &(dyn StdError + 'static)) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    match last.downcast_ref::<std::io::Error>() {
        Some(io) => io_text(io),
        None => shorten(&last.to_string()),
    }
}

/// An I/O error by its kind, which reads the same on every system and never quotes data.
#[must_use]
pub fn io_text(error: &std::io::Error) -> String {
    match error.get_ref() {
        Some(custom) => shorten(&custom.to_string()),
        None => error.kind().to_string(),
    }
}

fn never_connected(source: &(dyn StdError + 'static)) -> bool {
    let client = source.downcast_ref::<hyper_util::client::legacy::Error>();
    client.is_some_and(hyper_util::client::legacy::Error::is_connect)
        || source.is::<kube::client::AuthError>()
}

/// One line, and not the whole story: a server can send anything as its message.
fn shorten(text: &str) -> String {
    text.lines().next().unwrap_or_default().trim().chars().take(MESSAGE).collect()
}

/// A proxy's or the server's own time-out: the one client error that says nothing about the outcome.
const REQUEST_TIMEOUT: u16 = 408;

const MESSAGE: usize = 240;
