//! Which addresses a Service asks for: kube-vip's annotation, MetalLB's, or `spec.loadBalancerIP`.

use std::fmt;
use std::net::IpAddr;

use thiserror::Error;

/// Where the addresses that a Service asks for are written.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum RequestSource {
    /// `kube-vip.io/loadbalancerIPs`.
    KubeVip,
    /// `metallb.io/loadBalancerIPs`, or the older `metallb.universe.tf/loadBalancerIPs`.
    MetalLb,
    /// `spec.loadBalancerIP`.
    Spec,
}

impl fmt::Display for RequestSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::KubeVip => "kube-vip.io/loadbalancerIPs",
            Self::MetalLb => "metallb.io/loadBalancerIPs",
            Self::Spec => "spec.loadBalancerIP",
        })
    }
}

/// The addresses that a Service asks for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Request {
    /// Where it does.
    pub source: RequestSource,
    /// The addresses, each once, in the order written.
    pub addresses: Vec<IpAddr>,
    /// What else is written there.
    pub unusable: Vec<Unusable>,
}

/// What is asked for, and cannot be had.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Unusable {
    /// As it is written, shortened.
    pub text: String,
    /// Why.
    pub reason: UnusableReason,
}

/// Why something that is asked for is no address.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum UnusableReason {
    /// 0.0.0.0 or ::, which ask kube-vip for DHCP.
    #[error("addresses from DHCP are not supported")]
    Dhcp,
    /// A DNS name, or anything else.
    #[error("not an IP address; DNS names are not supported here")]
    NotAnAddress,
    /// One more than a Service may ask for.
    #[error("more than {MAX_ADDRESSES} addresses")]
    TooMany,
}

/// The fields of a Service that may ask for addresses, as they are written.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct RequestFields<'a> {
    /// `kube-vip.io/loadbalancerIPs`.
    pub kube_vip: Option<&'a str>,
    /// `metallb.io/loadBalancerIPs`.
    pub metallb: Option<&'a str>,
    /// `metallb.universe.tf/loadBalancerIPs`.
    pub metallb_older: Option<&'a str>,
    /// `spec.loadBalancerIP`.
    pub load_balancer_ip: Option<&'a str>,
}

impl Request {
    /// The first field that says anything decides alone, in the order of [`RequestFields`].
    ///
    /// An unusable entry does not fall through to the next field or to a pool: who asks for an address gets that
    /// one or is told why not.
    #[must_use]
    pub fn from_fields(fields: RequestFields<'_>) -> Option<Self> {
        [
            (RequestSource::KubeVip, fields.kube_vip),
            (RequestSource::MetalLb, fields.metallb),
            (RequestSource::MetalLb, fields.metallb_older),
            (RequestSource::Spec, fields.load_balancer_ip),
        ]
        .into_iter()
        .find_map(|(source, text)| Self::parse(source, text?))
    }

    fn parse(source: RequestSource, text: &str) -> Option<Self> {
        let mut request = Self { source, addresses: vec![], unusable: vec![] };
        for entry in text.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
            if request.addresses.len() + request.unusable.len() == MAX_ADDRESSES {
                request.refuse(entry, UnusableReason::TooMany);
                break;
            }
            request.take(entry);
        }
        (!request.addresses.is_empty() || !request.unusable.is_empty()).then_some(request)
    }

    fn take(&mut self, entry: &str) {
        match entry.parse::<IpAddr>() {
            Ok(address) if address.is_unspecified() => self.refuse(entry, UnusableReason::Dhcp),
            Ok(address) if self.addresses.contains(&address) => {}
            Ok(address) => self.addresses.push(address),
            Err(_) => self.refuse(entry, UnusableReason::NotAnAddress),
        }
    }

    fn refuse(&mut self, entry: &str, reason: UnusableReason) {
        let text = entry.chars().take(MAX_SHOWN).collect();
        self.unusable.push(Unusable { text, reason });
    }
}

/// More than anybody needs; each costs memory and time.
const MAX_ADDRESSES: usize = 16;

/// How much of an unusable entry is kept: the longest DNS name.
const MAX_SHOWN: usize = 253;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_field_that_says_anything_decides_alone() {
        let fields = RequestFields {
            kube_vip: Some(" , "),
            metallb: None,
            metallb_older: Some("192.0.2.2, 2001:db8::2,192.0.2.2"),
            load_balancer_ip: Some("192.0.2.3"),
        };
        let addresses = ["192.0.2.2", "2001:db8::2"].map(|text| text.parse().unwrap()).to_vec();
        let request = Request { source: RequestSource::MetalLb, addresses, unusable: vec![] };
        assert_eq!(Request::from_fields(fields), Some(request));
        assert_eq!(Request::from_fields(RequestFields::default()), None);
    }

    #[test]
    fn what_is_no_address_is_told_and_does_not_fall_through() {
        let fields = RequestFields {
            kube_vip: Some("0.0.0.0,::,web.example.com"),
            load_balancer_ip: Some("192.0.2.3"),
            ..RequestFields::default()
        };
        let unusable = [
            ("0.0.0.0", UnusableReason::Dhcp),
            ("::", UnusableReason::Dhcp),
            ("web.example.com", UnusableReason::NotAnAddress),
        ];
        let unusable = unusable.map(|(text, reason)| Unusable { text: text.into(), reason }).to_vec();
        let request = Request { source: RequestSource::KubeVip, addresses: vec![], unusable };
        assert_eq!(Request::from_fields(fields), Some(request));
    }

    #[test]
    fn a_request_of_any_length_keeps_little() {
        let text = (0..100_000).map(|n| format!("{n}.example.com,")).collect::<String>();
        let request =
            Request::from_fields(RequestFields { kube_vip: Some(&text), ..RequestFields::default() });
        let unusable = request.unwrap().unusable;
        assert_eq!(unusable.len(), MAX_ADDRESSES + 1);
        assert_eq!(unusable.last().map(|last| last.reason), Some(UnusableReason::TooMany));
    }
}
