//! A client with several flows, so that every next hop has some, and what it loses.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use vipcast::demo::lab::client::Client;
use vipcast::demo::lab::echo::Echo;
use vipcast::demo::lab::lan::Host;

use super::net::Net;

/// Each is a client of a thousand datagrams a second.
#[derive(Debug)]
pub(crate) struct Flows(Vec<Client>);

/// What all of them together saw.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    pub(crate) lost: usize,
    /// The longest silence of one of them.
    pub(crate) gap: Duration,
    /// The longest by which one of them was itself held up.
    pub(crate) late: Duration,
}

impl Flows {
    pub(crate) fn start(net: &Net, vip: Ipv4Addr) -> Self {
        let host = host("client", net);
        Self((0..FLOWS).map(|_| Client::start(&host, service(vip)).unwrap()).collect())
    }

    /// Who answers most of them.
    pub(crate) fn favourite(&mut self) -> u8 {
        let mut nodes = BTreeMap::<u8, usize>::new();
        for answer in self.0.iter_mut().filter_map(Client::last) {
            *nodes.entry(answer.node).or_default() += 1;
        }
        let most = nodes.into_iter().max_by_key(|(_, flows)| *flows);
        most.expect("somebody answers").0
    }

    pub(crate) fn seen(&mut self, from: Instant, to: Instant) -> Seen {
        let reaches: Vec<_> = self.0.iter_mut().map(|client| client.reach(from, to)).collect();
        Seen {
            lost: reaches.iter().map(|reach| reach.lost).sum(),
            gap: reaches.iter().map(|reach| reach.gap).max().unwrap_or_default(),
            late: reaches.iter().map(|reach| reach.late).max().unwrap_or_default(),
        }
    }
}

/// Something answers on a node.
pub(crate) fn echo(net: &Net, vip: Ipv4Addr, identity: u8) -> Echo {
    Echo::start(&host("node", net), service(vip), identity).unwrap()
}

fn host(name: &str, net: &Net) -> Host {
    let path = PathBuf::from(format!("/proc/{}/fd/{}", std::process::id(), net.number()));
    Host::existing(name, &path, [0; 6], Ipv4Addr::UNSPECIFIED, std::net::Ipv6Addr::UNSPECIFIED).unwrap()
}

fn service(vip: Ipv4Addr) -> SocketAddr {
    (vip, 7000).into()
}

const FLOWS: usize = 6;
