//! What is to be done for Services of type LoadBalancer: whole and validated.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use vipcast_proto::election::Timing;
use vipcast_proto::ipam::Requests;
use vipcast_proto::ipam::own::PoolSpec;

/// Services of type LoadBalancer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Services {
    /// The only namespace whose Services are looked at; `None`: all.
    pub namespace: Option<String>,
    /// Which Services are ours, by their class.
    pub class: Class,
    /// Who announces which address.
    pub distribution: Distribution,
    /// With [`Distribution::Lease`]: whether Services that say so have a Lease of their own.
    pub lease_on_demand: bool,
    /// Whether `kube-vip.io/vipHost` on a Service names the node that announces it.
    pub host_annotation: bool,
    /// The Lease of [`Distribution::Lease`]. In its namespace are the Leases of members and of the allocator as well.
    pub lease: ObjectName,
    /// Of every Lease by which Services are announced: of members, and of [`Distribution::Lease`]. The allocator has its own.
    pub timing: Timing,
    /// Where addresses are announced by ARP and NDP, unless a Service or a pool says otherwise; `None`: where the
    /// control-plane VIP would be.
    pub interface: Option<ServiceInterface>,
    /// Whether an address takes packets to the ports of its Services only.
    pub security: bool,
    /// Whether Services are given addresses, and their status is written; else somebody else does.
    pub allocate: bool,
    /// The pools of our own settings, beside those that are found in the cluster. Every name once, and no problem in any.
    pub pools: Vec<PoolSpec>,
    /// ConfigMaps with pools for kube-vip's cloud provider, the one that counts most first.
    pub pool_config_maps: Vec<ObjectName>,
    /// Whether MetalLB's `IPAddressPool` objects are read, where there are any.
    pub metallb_pools: bool,
    /// Which addresses a Service may ask for.
    pub requests: Requests,
    /// Whether Services that ask for one address may share it without a sharing key, as with kube-vip.
    pub share_requested: bool,
    /// This node's share of addresses in relation to others; 0: none. For [`Distribution::Spread`].
    pub weight: u8,
    /// Whether nodes with the label `node.kubernetes.io/exclude-from-external-load-balancers` announce as well.
    pub ignore_exclude_label: bool,
    /// Networks of Pods, beside those that are found: no Service gets an address of them.
    pub pod_networks: Vec<IpNet>,
    /// Networks of cluster IPs, beside those that are found: no Service gets an address of them.
    pub service_networks: Vec<IpNet>,
    /// Addresses of routers, beside those that are found: no Service gets one of them.
    pub gateways: Vec<IpAddr>,
    /// The VIPs of the control plane, by whomever they are announced: no Service gets one of them.
    pub control_plane_vips: Vec<IpAddr>,
}

/// Which Services are ours, by their class.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Class {
    /// Our `spec.loadBalancerClass`.
    pub name: String,
    /// Whether Services without a class are somebody else's (kube-vip's `lb_class_only`).
    pub only: bool,
    /// Whether Services without a class may be ours at all (kube-vip's `lb_class_legacy_handling`).
    pub legacy: bool,
}

/// Who announces which address.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Distribution {
    /// The holder of one Lease announces all of them, as with kube-vip.
    Lease,
    /// Each member announces its share.
    Spread,
    /// Each Service has a Lease, and its holder announces (kube-vip's `svc_election`).
    LeasePerService,
    /// Every eligible node announces, and routers choose (ECMP). Only where nothing but BGP announces.
    EveryNode,
}

/// Where addresses are announced by ARP and NDP.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ServiceInterface {
    /// On the interface with a prefix that contains the address.
    Auto,
    /// On this one.
    Named(String),
}

/// An object in a namespace.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct ObjectName {
    /// `metadata.namespace`.
    pub namespace: String,
    /// `metadata.name`.
    pub name: String,
}

impl Services {
    /// Whether a pool may be for namespaces with some label: of ours that is known, of MetalLB's it may be.
    #[must_use]
    pub fn selects_namespaces(&self) -> bool {
        let ours = self.pools.iter().any(|pool| !pool.selection.namespace_selectors.is_empty());
        self.allocate && (ours || self.metallb_pools)
    }
}

impl Class {
    /// Whether a Service with this `spec.loadBalancerClass` is ours.
    #[must_use]
    pub fn takes(&self, class: Option<&str>) -> bool {
        match class {
            Some(class) => class == self.name,
            None => self.legacy && !self.only,
        }
    }
}

impl fmt::Display for Distribution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Lease => "lease",
            Self::Spread => "spread",
            Self::LeasePerService => "leasePerService",
            Self::EveryNode => "everyNode",
        })
    }
}

impl fmt::Display for ServiceInterface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Named(name) => name,
        })
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_takes_what_kube_vip_would_take() {
        let takes = |only, legacy| {
            let class = Class { name: "kube-vip.io/kube-vip-class".into(), only, legacy };
            [Some("kube-vip.io/kube-vip-class"), Some("other.example/class"), None].map(|it| class.takes(it))
        };
        assert_eq!(takes(false, true), [true, false, true]);
        assert_eq!(takes(true, true), [true, false, false]);
        assert_eq!(takes(false, false), [true, false, false]);
    }
}
