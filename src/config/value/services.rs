//! Values that only Services have.

use std::fmt;

use vipcast_proto::ipam::{Range, Requests, SearchOrder};

use super::{Wrong, is_interface, is_label, is_subdomain, not_a_name};
use crate::config::services::{Distribution, ObjectName, ServiceInterface};
use crate::config::setting::Spec;

pub(in crate::config) use super::selector::{selectors, show_selectors};

/// `spec.loadBalancerClass`, as the API server takes it: a name, perhaps behind a subdomain.
pub(in crate::config) fn class(_: &Spec, text: &str) -> Result<String, Wrong> {
    let (prefix, name) = text.rsplit_once('/').map_or((None, text), |(prefix, name)| (Some(prefix), name));
    let inside = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let ends = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let octets = name.as_bytes();
    let named = octets.len() <= 63 && name.bytes().all(inside) && ends(octets.first()) && ends(octets.last());
    if named && prefix.is_none_or(is_subdomain) {
        return Ok(text.to_owned());
    }
    Err(Wrong::new("not a loadBalancerClass", "write for example kube-vip.io/kube-vip-class"))
}

pub(in crate::config) fn distribution(_: &Spec, text: &str) -> Result<Distribution, Wrong> {
    let all =
        [Distribution::Lease, Distribution::Spread, Distribution::LeasePerService, Distribution::EveryNode];
    let fix = || Wrong::new("not a way to distribute", format!("write {}", DISTRIBUTIONS.join(", ")));
    all.into_iter().find(|one| one.to_string() == text).ok_or_else(fix)
}

pub(in crate::config) fn requests(_: &Spec, text: &str) -> Result<Requests, Wrong> {
    match text {
        "anywhere" => Ok(Requests::Anywhere),
        "inPools" => Ok(Requests::InPools),
        _ => Err(Wrong::new("not one of the words it may be", "write anywhere or inPools")),
    }
}

pub(in crate::config) fn show_requests(requests: &Requests) -> String {
    match requests {
        Requests::Anywhere => "anywhere".into(),
        Requests::InPools => "inPools".into(),
    }
}

pub(in crate::config) fn order(_: &Spec, text: &str) -> Result<SearchOrder, Wrong> {
    match text {
        "ascending" => Ok(SearchOrder::Ascending),
        "descending" => Ok(SearchOrder::Descending),
        _ => Err(Wrong::new("not one of the words it may be", "write ascending or descending")),
    }
}

pub(in crate::config) fn show_order(order: &SearchOrder) -> String {
    match order {
        SearchOrder::Ascending => "ascending".into(),
        SearchOrder::Descending => "descending".into(),
    }
}

pub(in crate::config) fn weight(_: &Spec, text: &str) -> Result<u8, Wrong> {
    super::bgp::digits(text)
        .and_then(|number| u8::try_from(number).ok())
        .ok_or_else(|| Wrong::new("not a whole number in range", "write 0 to 255"))
}

pub(in crate::config) fn priority(_: &Spec, text: &str) -> Result<u32, Wrong> {
    let fix = || Wrong::new("not a whole number in range", "write 0 to 4294967295");
    super::bgp::digits(text).ok_or_else(fix)
}

pub(in crate::config) fn interface(_: &Spec, text: &str) -> Result<ServiceInterface, Wrong> {
    match text {
        "auto" => Ok(ServiceInterface::Auto),
        name if is_interface(name) && name != "lo" => Ok(ServiceInterface::Named(name.to_owned())),
        "lo" => {
            Err(Wrong::new("nobody asks for addresses on the loopback interface", "name a LAN interface"))
        }
        _ => Err(Wrong::new("not an interface name", "write a name of at most 15 characters, or auto")),
    }
}

/// Objects in namespaces.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::config) struct Objects(pub(in crate::config) Vec<ObjectName>);

pub(in crate::config) fn config_maps(_: &Spec, text: &str) -> Result<Objects, Wrong> {
    if text == "off" {
        return Ok(Objects(Vec::new()));
    }
    let one = |text: &str| match text.split_once('/') {
        Some((namespace, name)) if is_label(namespace) && is_subdomain(name) => {
            Ok(ObjectName { namespace: namespace.to_owned(), name: name.to_owned() })
        }
        Some(_) | None => Err(not_a_name("namespace/name, such as kube-system/kubevip, or off")),
    };
    text.split(',').map(str::trim).map(one).collect::<Result<_, _>>().map(Objects)
}

pub(in crate::config) fn pool_name(_: &Spec, text: &str) -> Result<String, Wrong> {
    if is_subdomain(text) { Ok(text.to_owned()) } else { Err(not_a_name("a name such as lan")) }
}

pub(in crate::config) fn namespaces(_: &Spec, text: &str) -> Result<Vec<String>, Wrong> {
    let one = |name: &str| match is_label(name) {
        true => Ok(name.to_owned()),
        false => Err(not_a_name("namespaces, such as default")),
    };
    text.split(',').map(str::trim).map(one).collect()
}

/// As they are written, each of them understood.
pub(in crate::config) fn ranges(_: &Spec, text: &str) -> Result<Vec<String>, Wrong> {
    if text.split(',').nth(MOST).is_some() {
        return Err(Wrong::new(format!("more than {MOST} ranges"), "write fewer"));
    }
    let one = |part: &str| match part.parse::<Range>() {
        Ok(_) => Ok(part.to_owned()),
        Err(wrong) => Err(Wrong::new(
            format!("{part:?}: {wrong}"),
            "write a network (192.0.2.0/24), a range (192.0.2.10-192.0.2.20) or an address",
        )),
    };
    text.split(',').map(str::trim).map(one).collect()
}

#[expect(clippy::ptr_arg, reason = "the table wants a function of &Vec")]
pub(in crate::config) fn show_texts(texts: &Vec<String>) -> String {
    texts.join(",")
}

impl fmt::Display for Objects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(if texts.is_empty() { "off" } else { "" })?;
        f.write_str(&texts.join(","))
    }
}

pub(in crate::config) const DISTRIBUTIONS: &[&str] = &["lease", "spread", "leasePerService", "everyNode"];
pub(in crate::config) const REQUESTS: &[&str] = &["anywhere", "inPools"];
pub(in crate::config) const ORDERS: &[&str] = &["ascending", "descending"];

/// No pool has as many; it bounds what a hostile file can ask for.
const MOST: usize = 1_000;
