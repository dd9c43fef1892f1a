//! What was said of BGP and has no effect, or another one than is meant.

use std::net::IpAddr;
use std::time::Duration;

use vipcast_proto::bgp::types::{Family, HoldTime};

use crate::config::bgp::{Bgp, NextHop, Peer, PeerOptions, RouterId, Source};
use crate::config::problem::Notice;
use crate::config::reader::{Reader, Settings};
use crate::config::setting::Spec;
use crate::config::table as all;
use crate::config::table::bgp as t;
use crate::config::types::Election;

/// Of what is said of all peers.
pub(super) fn unused(r: &mut Reader<'_>, bgp: &Bgp) {
    next_hop(r, bgp);
    source_address(r, bgp);
    if !r.is_explicit(&t::PEER_ADDRESS.spec) {
        without_a_router(r, &t::PEER_PASSWORD.spec);
        // Peers of annotations that say no number have it.
        if bgp.node_annotations.is_none() {
            without_a_router(r, &t::PEER_AS.spec);
        }
    }
}

/// Where only the holder of the Lease announces.
pub(in crate::config::build) fn beside_a_lease(r: &mut Reader<'_>, bgp: &Bgp, election: &Election) {
    if !bgp.drain.wait.is_zero() {
        let text =
            "without use with a Lease: there is no other route to prefer, so routes are withdrawn at once";
        r.notices.push(Notice::warning(r.name(&t::DRAIN_WAIT.spec), text));
    }
    let lease = election.timing.lease_duration;
    let unwatched = bgp.peers.iter().filter(|peer| peer.bfd.is_none());
    let hold = unwatched.filter_map(|peer| HoldTime::duration(peer.hold_time)).max();
    if let Some(hold) = hold.filter(|hold| *hold > lease) {
        let name = r.name(&all::LEASE_DURATION.spec);
        let seconds = |span: Duration| span.as_secs();
        let text = format!(
            "{}s without BFD, longer than {name}, {}s: routers may keep a dead holder's route after the next one announces. \
             Use BFD, or a shorter hold time",
            seconds(hold),
            seconds(lease)
        );
        r.notices.push(Notice::warning(r.name(&t::OF_ALL.hold_time.spec), text));
    }
}

/// Fixed next hops of families that a router is not told of.
pub(super) fn next_hops_of_a_peer(name: &str, own: &PeerOptions, peer: &Peer) -> Vec<Notice> {
    let NextHop::Fixed { ipv4, ipv6 } = peer.next_hop else { return Vec::new() };
    let (ipv4, ipv6) = (ipv4.is_some(), ipv6.is_some());
    let ways = [("IPv4", ipv4, ipv6, Family::IPV4_UNICAST), ("IPv6", ipv6, ipv4, Family::IPV6_UNICAST)];
    let without_use = ways.into_iter().filter(|(_, fixed, other, family)| {
        // What is said of all need not be for this one.
        let meant = own.next_hop.is_some() || !other;
        *fixed && meant && !peer.families.contains(family)
    });
    let notice = |(family, ..): (&str, bool, bool, Family)| {
        let text = format!(
            "the fixed {family} next hop is without use: no {family} VIP is announced to this router"
        );
        Notice::warning(name, text)
    };
    without_use.map(notice).collect()
}

/// kube-vip has no other next hops without a mode, either.
fn next_hop(r: &mut Reader<'_>, bgp: &Bgp) {
    let rows = &t::OF_ALL.attributes;
    if bgp.said.of_all.next_hop == Some(NextHop::Own) {
        for spec in [&rows.next_hop_ipv4.spec, &rows.next_hop_ipv6.spec] {
            if r.is_explicit(spec) {
                let mode = r.name(&rows.next_hop.spec);
                r.notices.push(Notice::warning(r.name(spec), format!("without use unless {mode} is fixed")));
            }
        }
    }
}

fn source_address(r: &mut Reader<'_>, bgp: &Bgp) {
    let Some(Source::Address(address)) = bgp.said.of_all.source else { return };
    let used = bgp.peers.iter().any(|peer| peer.source == Source::Address(address));
    if used || bgp.peers.is_empty() || bgp.node_annotations.is_some() {
        return;
    }
    let identifies = matches!(bgp.router_id, RouterId::Given(id) if IpAddr::V4(id) == address);
    let but = if identifies { "; it is the router ID all the same" } else { "" };
    let text = format!("dials nobody: no router has an address of its family{but}");
    r.notices.push(Notice::warning(r.name(&t::OF_ALL.source_address.spec), text));
}

/// A setting of kube-vip's single router, where there is none.
fn without_a_router(r: &mut Reader<'_>, spec: &'static Spec) {
    if r.says_more(spec) {
        let address = r.name(&t::PEER_ADDRESS.spec);
        let text = format!("without use: it is said of the router in {address}, and there is none");
        r.notices.push(Notice::warning(r.name(spec), text));
    }
}
