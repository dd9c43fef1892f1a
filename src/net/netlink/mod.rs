//! The kernel's addresses, links and routes, over rtnetlink.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "the kernel's vocabulary grows, and the crate's enums with it"
)]

use std::io;
use std::sync::{Arc, Weak};

use futures::{Stream, TryStreamExt};
use rtnetlink::{Handle, MulticastGroup, new_connection, new_multicast_connection};

use super::NetError;

mod addresses;
mod changes;
mod interfaces;

pub use addresses::{Leftover, LeftoverKind, MARK};
pub use changes::{Change, Changes};
pub use interfaces::{DefaultRoute, Interface};

/// A handle to the kernel's configuration of the network. Clones share one socket.
#[derive(Clone, Debug)]
pub struct Netlink {
    handle: Handle,
    driver: Weak<()>,
}

impl Netlink {
    /// Opens two sockets, one for requests and one for news, so that a flood of news cannot drown an answer.
    /// Nothing moves unless the driver is polled; it ends only when a socket breaks, and everything is to be
    /// connected anew then. It has to be called in a runtime.
    ///
    /// # Errors
    /// The kernel gives no netlink socket.
    pub fn connect() -> Result<(Self, Changes, impl Future<Output = ()> + Send + 'static), NetError> {
        let (requests, handle, _) = new_connection().map_err(NetError::Netlink)?;
        let (news, _, messages) = new_multicast_connection(&GROUPS).map_err(NetError::Netlink)?;
        let (changes, translation) = changes::translate(messages);
        let alive = Arc::new(());
        let netlink = Self { handle, driver: Arc::downgrade(&alive) };
        let driver = async move {
            tokio::select! {
                () = requests => {}
                () = news => {}
                () = translation => {}
            }
            drop(alive);
        };
        Ok((netlink, changes, driver))
    }

    /// rtnetlink takes an answer that never came for a success, if the connection breaks while it waits.
    fn confirmed<T>(&self, result: Result<T, rtnetlink::Error>) -> Result<io::Result<T>, NetError> {
        match self.driver.strong_count() {
            0 => Err(NetError::Closed),
            _ => Ok(result.map_err(io_error)),
        }
    }

    async fn dump<T>(
        &self,
        what: &'static str,
        answers: impl Stream<Item = Result<T, rtnetlink::Error>>,
    ) -> Result<Vec<T>, NetError> {
        let answers = answers.try_collect().await;
        self.confirmed(answers)?.map_err(|source| NetError::Read { what, source })
    }
}

pub(super) fn io_error(error: rtnetlink::Error) -> io::Error {
    match error {
        rtnetlink::Error::NetlinkError(message) => message.to_io(),
        other => io::Error::other(other),
    }
}

const GROUPS: [MulticastGroup; 3] =
    [MulticastGroup::Link, MulticastGroup::Ipv4Ifaddr, MulticastGroup::Ipv6Ifaddr];
