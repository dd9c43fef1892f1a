//! The VIPs and their prefix lengths.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::Ways;
use crate::config::problem::{Notice, Problem};
use crate::config::reader::{Reader, Settings};
use crate::config::table as t;
use crate::config::types::{Announced, ControlPlane};
use crate::config::value::Prefixes;

/// What is announced of it here, and its VIPs whoever announces them: no Service may have one.
pub(super) fn control_plane(r: &mut Reader<'_>, ways: Ways) -> Option<(Option<ControlPlane>, Vec<IpAddr>)> {
    let enabled = r.value(&t::CONTROL_PLANE);
    let addresses = r.optional(&t::ADDRESS);
    let prefixes = r.optional(&t::PREFIX_LENGTH);
    let port = r.value(&t::PORT);
    let announced = announced(r, ways);
    let (enabled, addresses, prefixes) = (enabled?, addresses?, prefixes?);
    if !enabled {
        return Some((None, addresses.unwrap_or_default()));
    }
    let Some(addresses) = addresses else {
        if r.layers.complete {
            let fix = "set address to the VIP, for example address=192.0.2.10";
            r.problems.push(Problem::plain("address", "the control plane is switched on without a VIP", fix));
        }
        return None;
    };
    let vips: Option<Vec<IpNet>> = if ways.arp || !ways.bgp {
        prefix_notices(r, &addresses, prefixes);
        addresses.iter().map(|address| vip(r, *address, prefixes)).collect()
    } else {
        whole_addresses(r, prefixes);
        Some(addresses.iter().copied().map(IpNet::from).collect())
    };
    let control_plane = ControlPlane { vips: vips?, port: port?, announced: announced? };
    Some((Some(control_plane), addresses))
}

/// As in kube-vip: ARP always elects, BGP where that is asked for.
fn announced(r: &mut Reader<'_>, ways: Ways) -> Option<Announced> {
    let election = r.value(&t::ELECTION)?;
    if ways.arp && !r.is_explicit(&t::ELECTION.spec) {
        r.derived(&t::ELECTION.spec, "true", "ARP always elects");
    } else if ways.arp && !election {
        let text = "no effect: announcing by ARP always elects, as in kube-vip";
        r.notices.push(Notice::info(r.name(&t::ELECTION.spec), text));
    }
    let by_all = ways.bgp && !ways.arp && !election;
    Some(if by_all { Announced::ByEveryHealthyNode } else { Announced::ByTheHolder })
}

/// A prefix on `lo` would make the node take everybody's packets in it.
fn whole_addresses(r: &mut Reader<'_>, prefixes: Option<Prefixes>) {
    let whole = |length: Option<u8>, all| length.is_none_or(|length| length == all);
    let usual = prefixes.is_none_or(|prefixes| {
        whole(prefixes.v4(), 32) && whole(prefixes.v6(), 128) || prefixes == Prefixes::One(Some(128))
    });
    let spec = &t::PREFIX_LENGTH.spec;
    if !usual {
        let text = "without use: where only BGP announces, whole addresses are bound to lo, and announced";
        r.notices.push(Notice::warning(r.name(spec), text));
    } else if !r.is_explicit(spec) {
        r.derived(spec, "32,128", "where only BGP announces, whole addresses are bound to lo");
    }
}

fn vip(r: &mut Reader<'_>, address: IpAddr, prefixes: Option<Prefixes>) -> Option<IpNet> {
    let net = match address {
        IpAddr::V4(v4) => Ipv4Net::new(v4, prefixes.and_then(Prefixes::v4).unwrap_or(32)).map(IpNet::V4),
        IpAddr::V6(v6) => Ipv6Net::new(v6, prefixes.and_then(Prefixes::v6).unwrap_or(128)).map(IpNet::V6),
    };
    let Ok(net) = net else {
        r.blame(&t::PREFIX_LENGTH.spec, format!("too long for the IPv4 VIP {address}"), "write at most 32");
        return None;
    };
    let role = match net {
        IpNet::V4(net) if net.prefix_len() > 30 => None,
        IpNet::V4(net) if net.addr() == net.broadcast() => Some("broadcast"),
        IpNet::V4(net) if net.addr() == net.network() => Some("network"),
        IpNet::V4(_) | IpNet::V6(_) => None,
    };
    if let Some(role) = role {
        let reason = format!("{address} is the {role} address of {}", net.trunc());
        r.blame(&t::ADDRESS.spec, reason, "write a free address of the LAN");
        return None;
    }
    Some(net)
}

/// What is understood otherwise than kube-vip does.
fn prefix_notices(r: &mut Reader<'_>, addresses: &[IpAddr], prefixes: Option<Prefixes>) {
    let setting = r.name(&t::PREFIX_LENGTH.spec);
    match prefixes {
        Some(Prefixes::One(Some(length @ ..=32))) if addresses.iter().any(IpAddr::is_ipv6) => {
            let text =
                format!("{length} is taken for IPv4 only; IPv6 VIPs get /128. Write {length},128 to say so");
            r.notices.push(Notice::warning(setting, text));
        }
        Some(Prefixes::One(None) | Prefixes::Two(None, _) | Prefixes::Two(_, None)) => {
            r.notices.push(Notice::info(setting, "auto means /32 for IPv4 and /128 for IPv6"));
        }
        Some(Prefixes::One(_) | Prefixes::Two(..)) => {}
        None => r.derived(&t::PREFIX_LENGTH.spec, "32,128", "one address each"),
    }
}
