//! The VIPs and their prefix lengths.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::config::problem::{Notice, Problem};
use crate::config::reader::Reader;
use crate::config::table as t;
use crate::config::types::ControlPlane;
use crate::config::value::Prefixes;

pub(super) fn control_plane(r: &mut Reader<'_>) -> Option<Option<ControlPlane>> {
    let enabled = r.value(&t::CONTROL_PLANE);
    let addresses = r.optional(&t::ADDRESS);
    let prefixes = r.optional(&t::PREFIX_LENGTH);
    let port = r.value(&t::PORT);
    let (enabled, addresses, prefixes) = (enabled?, addresses?, prefixes?);
    let Some(addresses) = addresses else {
        if enabled && r.layers.complete {
            let fix = "set address to the VIP, for example address=192.0.2.10";
            r.problems.push(Problem::plain("address", "the control plane is switched on without a VIP", fix));
        }
        return (!enabled).then_some(None);
    };
    let vips: Option<Vec<IpNet>> = addresses.iter().map(|address| vip(r, *address, prefixes)).collect();
    prefix_notices(r, &addresses, prefixes);
    let control_plane = ControlPlane { vips: vips?, port: port? };
    Some(enabled.then_some(control_plane))
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
