//! Which multicast frames an interface delivers: those to the solicited-node groups of a few addresses, or all.

use std::collections::BTreeSet;
use std::io;
use std::net::Ipv6Addr;

use socket2::{Domain, Protocol, Socket, Type};

use super::burst::BurstSocket;
use super::frames::solicited_node;

/// What makes an interface deliver solicitations for addresses that it does not have. Ends with the value and the
/// socket.
#[derive(Debug)]
pub struct Groups {
    index: u32,
    /// Groups are the host's while this is open: switches that snoop MLD hear of them.
    members: Option<Socket>,
    joined: BTreeSet<Ipv6Addr>,
    all: bool,
}

impl Groups {
    /// None yet, on interface `index`.
    #[must_use]
    pub fn new(index: u32) -> Self {
        Self { index, members: None, joined: BTreeSet::new(), all: false }
    }

    /// Delivers what is sent to the solicited-node groups of `addresses`: by joining each, or, where they are more than
    /// [`MOST_JOINED`] or cannot be joined, by asking for all multicast. The kernel looks through its list of groups
    /// for every multicast packet, so that thousands of them would cost more than they save.
    ///
    /// # Errors
    /// The interface takes neither.
    pub fn follow(
        &mut self,
        socket: &BurstSocket,
        addresses: impl Iterator<Item = Ipv6Addr>,
    ) -> io::Result<()> {
        let mut wanted = BTreeSet::new();
        for address in addresses {
            wanted.insert(solicited_node(address));
            if wanted.len() > MOST_JOINED {
                return self.everything(socket);
            }
        }
        match self.exactly(&wanted) {
            Ok(()) if self.all => {
                socket.all_multicast(false)?;
                self.all = false;
                Ok(())
            }
            Ok(()) => Ok(()),
            Err(_) => self.everything(socket),
        }
    }

    fn exactly(&mut self, wanted: &BTreeSet<Ipv6Addr>) -> io::Result<()> {
        if wanted.is_empty() {
            self.joined.clear();
            self.members = None;
            return Ok(());
        }
        let members = match self.members.take() {
            Some(members) => members,
            None => Socket::new(Domain::IPV6, Type::DGRAM.cloexec(), Some(Protocol::UDP))?,
        };
        let members = self.members.insert(members);
        for group in self.joined.difference(wanted) {
            // One that is gone with the interface is left already.
            drop(members.leave_multicast_v6(group, self.index));
        }
        self.joined.retain(|group| wanted.contains(group));
        for group in wanted {
            if !self.joined.contains(group) {
                members.join_multicast_v6(group, self.index)?;
                self.joined.insert(*group);
            }
        }
        Ok(())
    }

    fn everything(&mut self, socket: &BurstSocket) -> io::Result<()> {
        if !self.all {
            socket.all_multicast(true)?;
            self.all = true;
            self.joined.clear();
            self.members = None;
        }
        Ok(())
    }
}

/// Groups that are joined one by one.
pub const MOST_JOINED: usize = 128;
