//! Looks whether this node carries packets to new Service addresses on, where that can be seen: kube-proxy in nftables mode
//! has a map of what it serves, in IPVS mode an interface with all addresses. Of kube-proxy in iptables mode and of those
//! that do without it nothing can be seen, and nothing waits for them.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::{debug, warn};
use vipcast_proto::data_path::{LIMIT, Patience, Waiting};
use vipcast_proto::ipam::{Port, Protocol};

use crate::clock;
use crate::nf_tables::NfTables;
use crate::services::Local;

/// Releases the addresses that wait.
#[derive(Debug)]
pub struct DataPath {
    waiting: watch::Sender<Arc<Waiting>>,
    local: watch::Receiver<Local>,
    patience: Patience,
    eyes: Eyes,
}

impl DataPath {
    /// Looks in the calling thread's network namespace. Whoever adds to `waiting` does so before the address may be granted
    /// to this node.
    #[must_use]
    pub fn new(waiting: watch::Sender<Arc<Waiting>>, local: watch::Receiver<Local>) -> Self {
        let eyes = Eyes { kernel: NfTables::open().ok(), vain: None };
        Self { waiting, local, patience: Patience::default(), eyes }
    }

    /// Takes out of `waiting` what need not wait any more, for ever.
    pub async fn run(mut self) -> Infallible {
        let mut changed = self.waiting.subscribe();
        loop {
            let awaited = Arc::clone(&changed.borrow_and_update());
            let carried = self.look(&awaited).await;
            self.release(&awaited, &carried);
            let now = clock::now();
            let again = self.patience.pace(now).map(|pace| now + pace);
            tokio::select! {
                // The sender is ours.
                _ = changed.changed() => {}
                () = clock::until(again) => {}
            }
        }
    }

    /// The kernel blocks for microseconds, with thousands of addresses for more.
    async fn look(&mut self, awaited: &Arc<Waiting>) -> BTreeSet<IpAddr> {
        if awaited.is_empty() {
            return BTreeSet::new();
        }
        let (mut eyes, awaited) = (std::mem::take(&mut self.eyes), Arc::clone(awaited));
        let local = self.local.borrow().clone();
        let mut looking = JoinSet::new();
        looking.spawn_blocking(move || {
            let carried = eyes.carried(&awaited, &local);
            (eyes, carried)
        });
        match looking.join_next().await {
            Some(Ok((eyes, carried))) => {
                self.eyes = eyes;
                carried
            }
            Some(Err(_)) | None => BTreeSet::new(),
        }
    }

    fn release(&mut self, awaited: &Waiting, carried: &BTreeSet<IpAddr>) {
        let released = self.patience.released(clock::now(), awaited, carried);
        if let Some(first) = released.overdue.first() {
            let (addresses, waited) = (released.overdue.len(), LIMIT);
            warn!(
                addresses,
                %first,
                ?waited,
                "kube-proxy has no rules for Service addresses: they are announced all the same"
            );
        }
        let done: BTreeSet<IpAddr> = released.carried.into_iter().chain(released.overdue).collect();
        if !done.is_empty() {
            let remove =
                |all: &mut Arc<Waiting>| Arc::make_mut(all).retain(|address, _| !done.contains(address));
            self.waiting.send_modify(remove);
        }
    }
}

#[derive(Debug, Default)]
struct Eyes {
    kernel: Option<NfTables>,
    /// What was looked for last in vain, and how nf_tables was then: where neither has changed, the answer is the same.
    vain: Option<(u32, Arc<Waiting>)>,
}

impl Eyes {
    /// Those whose packets are carried on, or of which that cannot be known.
    fn carried(&mut self, waiting: &Arc<Waiting>, local: &Local) -> BTreeSet<IpAddr> {
        if let Some(ipvs) = local.interfaces.iter().find(|interface| interface.name == IPVS) {
            let bound: BTreeSet<IpAddr> = ipvs.addresses.iter().map(ipnet::IpNet::addr).collect();
            return waiting.keys().filter(|address| bound.contains(address)).copied().collect();
        }
        self.by_nf_tables(waiting).unwrap_or_else(|error| {
            debug!(%error, "nf_tables cannot be asked whether kube-proxy has rules");
            self.kernel = None;
            waiting.keys().copied().collect()
        })
    }

    fn by_nf_tables(&mut self, waiting: &Arc<Waiting>) -> io::Result<BTreeSet<IpAddr>> {
        let mut kernel = self.kernel.take().map_or_else(NfTables::open, Ok)?;
        let generation = kernel.generation()?;
        let same = |(then, them): &(u32, Arc<Waiting>)| *then == generation && Arc::ptr_eq(them, waiting);
        if self.vain.as_ref().is_some_and(same) {
            self.kernel = Some(kernel);
            return Ok(BTreeSet::new());
        }
        let told = [kernel.has_table(FAMILY_V4, TABLE)?, kernel.has_table(FAMILY_V6, TABLE)?];
        let mut carried = BTreeSet::new();
        for (&address, ports) in waiting.iter() {
            let tells = if address.is_ipv4() { told[0] } else { told[1] };
            if !tells || serves(&mut kernel, address, ports)? {
                carried.insert(address);
            }
        }
        self.vain = Some((generation, Arc::clone(waiting))).filter(|_| carried.is_empty());
        self.kernel = Some(kernel);
        Ok(carried)
    }
}

fn serves(kernel: &mut NfTables, address: IpAddr, ports: &[Port]) -> io::Result<bool> {
    let family = if address.is_ipv4() { FAMILY_V4 } else { FAMILY_V6 };
    for port in ports {
        if kernel.has_element(family, TABLE, MAP, &key(address, *port))? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// A key of kube-proxy's map: address, protocol and port, each filled up to four octets.
fn key(address: IpAddr, port: Port) -> Vec<u8> {
    let protocol = match port.protocol {
        Protocol::Tcp => libc::IPPROTO_TCP,
        Protocol::Udp => libc::IPPROTO_UDP,
        Protocol::Sctp => libc::IPPROTO_SCTP,
    };
    let mut key = match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    };
    key.extend([protocol as u8, 0, 0, 0]);
    key.extend(port.number.to_be_bytes());
    key.extend([0, 0]);
    key
}

/// The interface on which kube-proxy in IPVS mode has every address of a Service.
const IPVS: &str = "kube-ipvs0";
/// kube-proxy's, in nftables mode, one for each family of addresses.
const TABLE: &str = "kube-proxy";
/// From address, protocol and port to the chain of a Service with endpoints.
const MAP: &str = "service-ips";
const FAMILY_V4: libc::c_int = libc::NFPROTO_IPV4;
const FAMILY_V6: libc::c_int = libc::NFPROTO_IPV6;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::netlink::{DefaultRoute, Interface};

    #[test]
    fn a_key_is_as_kube_proxy_writes_it() {
        let port = Port { protocol: Protocol::Tcp, number: 0x1f90 };
        assert_eq!(key("192.0.2.7".parse().unwrap(), port), [192, 0, 2, 7, 6, 0, 0, 0, 0x1f, 0x90, 0, 0]);
        let port = Port { protocol: Protocol::Udp, number: 53 };
        let v6 = key("2001:db8::7".parse().unwrap(), port);
        assert_eq!((v6.len(), &v6[16..]), (24, [17, 0, 0, 0, 0, 53, 0, 0].as_slice()));
    }
    #[test]
    fn with_ipvs_an_address_waits_until_it_is_on_the_interface_of_kube_proxy() {
        let bound = vec!["192.0.2.8/32".parse().unwrap()];
        let ipvs = Interface {
            index: 9,
            name: IPVS.to_owned(),
            mac: None,
            up: false,
            loopback: false,
            addresses: bound,
            master: None,
        };
        let local = Local { interfaces: vec![ipvs], default_route: DefaultRoute::default() };
        let ip = |last| IpAddr::from([192, 0, 2, last]);
        let waiting = Arc::new([(ip(7), Arc::from([])), (ip(8), Arc::from([]))].into());
        assert_eq!(Eyes::default().carried(&waiting, &local), [ip(8)].into());
    }
}
