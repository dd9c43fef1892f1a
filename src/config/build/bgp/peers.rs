//! The routers, and whether what is said of each goes together.

use std::net::IpAddr;

use vipcast_proto::bgp::types::Asn;

use super::session;
use super::unused::next_hops_of_a_peer;
use crate::config::bgp::{
    Attributes, Authentication, Multihop, PORT, Peer, PeerAt, PeerOptions, RemoteAs, SaidPeer, Source,
};
use crate::config::problem::Notice;
use crate::config::reader::{Reader, Settings};
use crate::config::record::Record;
use crate::config::secret::Password;
use crate::config::table::bgp as t;
use crate::config::table::session::OF_ONE;
use crate::config::value::{PeerAddress, to_a_router};

/// What is known when peers are read.
pub(super) struct Speaker<'a> {
    /// Our number and what is said of all; `None`: something is wrong there. What is wrong with a peer alone is seen
    /// without it.
    pub(super) all: Option<(Asn, &'a PeerOptions)>,
    pub(super) namespace: &'a str,
    pub(super) vips: &'a [IpAddr],
}

impl Speaker<'_> {
    /// The single one and those of the list; `None`: something was wrong.
    pub(super) fn peers(&self, r: &mut Reader<'_>) -> Option<Vec<SaidPeer>> {
        let single = self.single(r);
        let mut peers: Vec<SaidPeer> = single.iter().flatten().cloned().collect();
        let mut fine = single.is_some();
        for mut record in r.records(&t::PEERS)? {
            let peer = self.one(&mut record);
            if peer.as_ref().is_some_and(|peer| peers.iter().any(|other| same(other, peer))) {
                record.refuse("there twice", "write every router once");
            }
            if let Some((said, peer)) = peer.as_ref().and_then(|said| Some((said, self.session(said)?))) {
                r.notices.extend(notices(&record.name, &said.own, &peer));
            }
            fine &= peer.is_some();
            peers.extend(peer);
            r.problems.append(&mut record.problems);
        }
        fine.then_some(peers)
    }

    /// kube-vip's variables for one router.
    fn single(&self, r: &mut Reader<'_>) -> Option<Option<SaidPeer>> {
        let address = r.optional(&t::PEER_ADDRESS);
        let remote_as = r.optional(&t::PEER_AS);
        let password = r.optional(&t::PEER_PASSWORD);
        let multihop = r.optional(&t::PEER_MULTIHOP);
        let (address, remote_as, password, multihop) = (address?, remote_as??, password?, multihop?);
        let Some(address) = address else { return Some(None) };
        let PeerAddress::At(at) = address else {
            r.blame(&t::PEER_ADDRESS.spec, NO_INTERFACE, WITH_INTERFACE);
            return None;
        };
        let own = PeerOptions {
            authentication: password.map(Password::Given).map(Authentication::Md5),
            multihop,
            ..PeerOptions::default()
        };
        if let Some(vip) = at.address().filter(|address| self.vips.contains(address)) {
            r.blame(&t::PEER_ADDRESS.spec, format!("{vip} is the VIP"), "write the router's address");
        }
        let said = SaidPeer { at, port: PORT, remote_as, own };
        if let Some(peer) = self.session(&said) {
            r.notices.extend(notices(&r.name(&t::PEER_ADDRESS.spec), &said.own, &peer));
        }
        Some(Some(said))
    }

    /// One of the list.
    fn one(&self, record: &mut Record) -> Option<SaidPeer> {
        let address = record.optional(&t::OF_PEER.address);
        let interface = record.optional(&t::OF_PEER.interface);
        let port = record.optional(&t::OF_PEER.port);
        let remote_as = record.optional(&t::OF_PEER.remote_as);
        let hold_time = self.all.and_then(|(_, of_all)| of_all.hold_time);
        let own = session::options(record, &OF_ONE, self.namespace, hold_time);
        let at = address.zip(interface).and_then(|(address, interface)| place(record, address, interface));
        if let Some(vip) = at.as_ref().and_then(PeerAt::address).filter(|address| self.vips.contains(address))
        {
            record.blame(&t::OF_PEER.address.spec, format!("{vip} is the VIP"), "write the router's address");
        }
        let remote_as = remote_as.and_then(|said| number(record, said, at.as_ref()));
        let said = SaidPeer { at: at?, port: port??, remote_as: remote_as?, own: own? };
        if let Some(peer) = self.session(&said) {
            self.check(record, &said.own, &peer);
        }
        Some(said)
    }

    fn session(&self, said: &SaidPeer) -> Option<Peer> {
        let (local_as, of_all) = self.all?;
        said.peer(local_as, of_all)
    }

    fn check(&self, record: &mut Record, own: &PeerOptions, peer: &Peer) {
        dialled(record, own, peer);
        hops(record, own, peer);
        let internal = self.all.and_then(|(local_as, _)| peer.remote_as.is_internal(local_as));
        if let Some(internal) = internal {
            relation(record, &own.attributes, internal);
        }
        if own.bfd.strict == Some(true) && peer.bfd.is_none() {
            record.blame(&OF_ONE.bfd.strict.spec, "without BFD", "set bfd.enabled to true as well");
        }
    }
}

/// Its Autonomous System, which has to be said unless it is found on a link.
fn number(record: &mut Record, said: Option<RemoteAs>, at: Option<&PeerAt>) -> Option<RemoteAs> {
    let unnumbered = match at {
        Some(PeerAt::Unnumbered { .. }) => true,
        Some(PeerAt::Address(_) | PeerAt::LinkLocal { .. }) => false,
        None => record.says(&t::OF_PEER.interface.spec),
    };
    if said.is_none() && !unnumbered {
        record.missing("without an AS number", "add as, the router's");
        return None;
    }
    Some(said.unwrap_or(RemoteAs::Any))
}

/// Whether a session is dialled from where it can be.
fn dialled(record: &mut Record, own: &PeerOptions, peer: &Peer) {
    match (&own.source, &peer.at) {
        (Some(Source::Address(source)), PeerAt::Address(to)) if source.is_ipv4() != to.is_ipv4() => {
            let reason = format!("{} is of the other family", peer.at);
            record.blame(&OF_ONE.source_address.spec, reason, "write an address of the router's family");
        }
        (Some(Source::Address(_)), PeerAt::LinkLocal { .. } | PeerAt::Unnumbered { .. }) => {
            let reason = "a link-local address is reached from a link-local one";
            record.blame(&OF_ONE.source_address.spec, reason, "leave it out");
        }
        (Some(Source::Interface(from)), at) if at.interface().is_some_and(|on| on != from) => {
            record.blame(&OF_ONE.source_interface.spec, format!("{at} is on another"), "leave it out");
        }
        (Some(_) | None, _) => {}
    }
}

/// Whether what is said of the way to a router goes together.
fn hops(record: &mut Record, own: &PeerOptions, peer: &Peer) {
    let on_link = peer.at.interface().is_some();
    if on_link && own.multihop.is_some_and(|multihop| multihop != Multihop::No) {
        record.blame(&OF_ONE.multihop.spec, "a link-local address is on this link", "leave it out");
    }
    let Some(bfd) = peer.bfd else { return };
    let spec = &OF_ONE.bfd.multihop.spec;
    match peer.distance.hops {
        _ if on_link && bfd.multihop => {
            record.blame(spec, "a link-local address is on this link", "leave it out")
        }
        Some(hops) if hops.get() > 1 && !bfd.multihop => {
            let reason =
                format!("the router may be {hops} links away, and BFD over one link does not reach so far");
            record.blame(spec, reason, "leave it out, or leave multihop out");
        }
        Some(_) | None => {}
    }
}

/// Whether a router gets what is said to be told it.
fn relation(record: &mut Record, own: &Attributes, internal: bool) {
    if !internal && own.local_preference.is_some() {
        let reason = "a router of another Autonomous System is told no LOCAL_PREF";
        record.blame(&OF_ONE.attributes.local_preference.spec, reason, "use med or prepend");
    }
    if internal && own.prepend.is_some_and(|times| times > 0) {
        let reason = "a router of our own Autonomous System takes its number in the path for a loop";
        record.blame(&OF_ONE.attributes.prepend.spec, reason, "use localPreference");
    }
}

/// Where a router is; `None`: that is not said, or something that cannot be.
fn place(record: &mut Record, address: Option<PeerAddress>, interface: Option<String>) -> Option<PeerAt> {
    if let Some(wrong) = interface.as_deref().and_then(|name| to_a_router(name).err()) {
        record.blame(&t::OF_PEER.interface.spec, wrong.reason, wrong.fix);
        return None;
    }
    match (address, interface) {
        (Some(PeerAddress::LinkLocal(address)), Some(interface)) => {
            Some(PeerAt::LinkLocal { address, interface })
        }
        (None, Some(interface)) => Some(PeerAt::Unnumbered { interface }),
        (Some(PeerAddress::At(at)), Some(interface)) if at.interface() == Some(interface.as_str()) => {
            Some(at)
        }
        (Some(PeerAddress::At(at)), Some(_)) => {
            let reason = format!("{at} is no address of its link");
            record.blame(&t::OF_PEER.interface.spec, reason, "use sourceInterface, or leave it out");
            None
        }
        (Some(PeerAddress::At(at)), None) => Some(at),
        (Some(PeerAddress::LinkLocal(_)), None) => {
            record.blame(&t::OF_PEER.address.spec, NO_INTERFACE, WITH_INTERFACE);
            None
        }
        (None, None) => {
            // A wrong one has been blamed.
            if !record.says(&t::OF_PEER.address.spec) {
                record.missing("without an address", "add address, the router's");
            }
            None
        }
    }
}

/// What is permitted and seldom meant.
fn notices(name: &str, own: &PeerOptions, peer: &Peer) -> Vec<Notice> {
    let mut notices = next_hops_of_a_peer(name, own, peer);
    if peer.bfd.is_some() && peer.graceful_restart.is_some() {
        let text = "graceful restart and BFD contradict each other: a router may drop the routes of a daemon that \
                    restarts because its BFD is down, and keep those of a node that is gone";
        notices.push(Notice::warning(name, text));
    }
    if peer.hold_time.duration().is_none() && peer.bfd.is_none() {
        let text = "without a hold time and without BFD a router keeps the routes of a node that is gone";
        notices.push(Notice::warning(name, text));
    }
    notices
}

fn same(a: &SaidPeer, b: &SaidPeer) -> bool {
    (&a.at, a.port) == (&b.at, b.port)
}

const NO_INTERFACE: &str = "link-local, and so on no interface in particular";
const WITH_INTERFACE: &str = "write it with its interface, such as fe80::1%eth0";
