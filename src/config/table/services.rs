//! The settings of Services of type LoadBalancer, and the list of pools.

use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use vipcast_proto::ipam::{LabelSelector, Requests, SearchOrder};

use super::{Setting, Spec, name, seconds, show, span, switch};
use crate::config::services::{Distribution, ServiceInterface};
use crate::config::setting::{Fields, Kind};
use crate::config::value::peers::{self, Item};
use crate::config::value::services as s;
use crate::config::value::{self, LeaseName, bgp as b};

/// In the order of the documentation.
pub(super) static ALL: [&Spec; 26] = [
    &SERVICES.spec,
    &NAMESPACE.spec,
    &CLASS_NAME.spec,
    &CLASS_ONLY.spec,
    &CLASS_LEGACY.spec,
    &DISTRIBUTION.spec,
    &LEASE_PER_SERVICE.spec,
    &LEASE_ON_DEMAND.spec,
    &HOST_ANNOTATION.spec,
    &LEASE_NAME.spec,
    &LEASE_DURATION.spec,
    &RENEW_DEADLINE.spec,
    &RETRY_PERIOD.spec,
    &WEIGHT.spec,
    &INTERFACE.spec,
    &SECURITY.spec,
    &IGNORE_EXCLUDE_LABEL.spec,
    &ALLOCATE.spec,
    &POOLS.spec,
    &POOL_CONFIG_MAPS.spec,
    &METALLB_POOLS.spec,
    &REQUESTS.spec,
    &SHARE_REQUESTED.spec,
    &POD_NETWORKS.spec,
    &SERVICE_NETWORKS.spec,
    &GATEWAYS.spec,
];

pub(in crate::config) static SERVICES: Setting<bool> = switch("services.enabled")
    .env(&[name("svc_enable")])
    .flags(&[name("services")])
    .default("false")
    .help("announce Services of type LoadBalancer");
pub(in crate::config) static NAMESPACE: Setting<String> =
    Setting::new("services.namespace", Kind::Namespace, value::namespace, String::clone)
        .env(&[name("svc_namespace")])
        .flags(&[name("services-namespace")])
        .otherwise("all")
        .help("the only namespace whose Services are looked at");
pub(in crate::config) static CLASS_NAME: Setting<String> =
    Setting::new("services.class.name", Kind::Text("loadBalancerClass"), s::class, String::clone)
        .env(&[name("lb_class_name")])
        .flags(&[name("lbClassName")])
        .default("kube-vip.io/kube-vip-class")
        .help("`spec.loadBalancerClass` of the Services that are ours");
pub(in crate::config) static CLASS_ONLY: Setting<bool> = switch("services.class.only")
    .env(&[name("lb_class_only")])
    .flags(&[name("lbClassOnly")])
    .default("false")
    .help("leave Services without a class to others");
pub(in crate::config) static CLASS_LEGACY: Setting<bool> = switch("services.class.legacy")
    .env(&[name("lb_class_legacy_handling")])
    .flags(&[name("lbClassNameLegacyHandling")])
    .default("true")
    .help("take Services without a class, unless `services.class.only`; false: only those of the class");
pub(in crate::config) static DISTRIBUTION: Setting<Distribution> = Setting::new(
    "services.distribution",
    Kind::Choice(s::DISTRIBUTIONS),
    s::distribution,
    show,
)
.env(&[name("vipcast_services_distribution")])
.flags(&[name("services-distribution")])
.otherwise("lease, as in kube-vip; everyNode where only BGP announces")
.help(
    "who announces which address: the holder of one Lease all of them, each node a share, the holder of its Lease each, or every node each",
);
pub(in crate::config) static LEASE_PER_SERVICE: Setting<bool> = switch("services.leasePerService")
    .env(&[name("svc_election")])
    .flags(&[name("servicesElection")])
    .default("false")
    .help("the same as `services.distribution: leasePerService`");
pub(in crate::config) static LEASE_ON_DEMAND: Setting<bool> = switch("services.leaseOnDemand")
    .env(&[name("per_service_election_on_demand")])
    .flags(&[name("perServiceElectionOnDemand")])
    .default("false")
    .help("with lease: Services with the annotation `kube-vip.io/forcePerServiceElection` have a Lease of their own");
pub(in crate::config) static HOST_ANNOTATION: Setting<bool> = switch("services.hostAnnotation")
    .env(&[name("vipcast_services_host_annotation")])
    .flags(&[name("services-host-annotation")])
    .otherwise("true with lease and leasePerService, false with spread")
    .help("write on each Service which node announces it, in the annotation `kube-vip.io/vipHost`");
pub(in crate::config) static LEASE_NAME: Setting<LeaseName> =
    Setting::new("services.leaseName", Kind::LeaseName, value::lease_name, show)
        .env(&[name("svc_leasename")])
        .flags(&[name("servicesLeaseName")])
        .default("plndr-svcs-lock")
        .help("the Lease whose holder announces all Services; in its namespace are those of members as well");
pub(in crate::config) static LEASE_DURATION: Setting<Duration> =
    span("services.leaseDuration", seconds(3, 3600))
        .env(&[name("vipcast_services_lease_duration")])
        .flags(&[name("services-lease-duration")])
        .otherwise(AS_THE_ELECTION)
        .help("how long others wait after the last renewal of a Lease by which Services are announced");
pub(in crate::config) static RENEW_DEADLINE: Setting<Duration> =
    span("services.renewDeadline", seconds(2, 3599))
        .env(&[name("vipcast_services_renew_deadline")])
        .flags(&[name("services-renew-deadline")])
        .otherwise(AS_THE_ELECTION)
        .help("how long a renewal permits to announce Services");
pub(in crate::config) static RETRY_PERIOD: Setting<Duration> = span("services.retryPeriod", seconds(1, 1799))
    .env(&[name("vipcast_services_retry_period")])
    .flags(&[name("services-retry-period")])
    .otherwise(AS_THE_ELECTION)
    .help("between two renewals of a Lease by which Services are announced");
pub(in crate::config) static WEIGHT: Setting<u8> =
    Setting::new("services.weight", Kind::Number(0, 255), s::weight, show)
        .env(&[name("vipcast_services_weight")])
        .flags(&[name("services-weight")])
        .default("1")
        .help("with spread: this node's share in relation to others; 0: none");
pub(in crate::config) static INTERFACE: Setting<ServiceInterface> =
    Setting::new("services.interface", Kind::Text("interface name, or `auto`"), s::interface, show)
        .env(&[name("vip_servicesinterface")])
        .flags(&[name("serviceInterface"), name("servicesInterface")])
        .otherwise("`layer2.interface`, else as auto")
        .help("interface on which Services are announced by ARP and NDP; auto: the one whose prefix contains the address");
pub(in crate::config) static SECURITY: Setting<bool> = switch("services.security")
    .env(&[name("enable_service_security")])
    .flags(&[name("onlyAllowTrafficServicePorts")])
    .default("false")
    .help("let only packets to ports of its Services through to an address");
pub(in crate::config) static IGNORE_EXCLUDE_LABEL: Setting<bool> = switch("services.ignoreExcludeLabel")
    .env(&[name("vipcast_services_ignore_exclude_label")])
    .flags(&[name("services-ignore-exclude-label")])
    .default("true")
    .help(
        "announce also from nodes with the label `node.kubernetes.io/exclude-from-external-load-balancers`",
    );
pub(in crate::config) static ALLOCATE: Setting<bool> = switch("services.allocate")
    .env(&[name("vipcast_services_allocate")])
    .flags(&[name("services-allocate")])
    .default("true")
    .help("give Services addresses and write their status; false: somebody else does both");
pub(in crate::config) static POOLS: Setting<Vec<Item>> =
    Setting::new("services.pools", Kind::Records(POOL), peers::list, peers::show)
        .env(&[name("vipcast_services_pools")])
        .flags(&[name("services-pools")])
        .otherwise("none")
        .help("pools of addresses, beside those in the cluster");
pub(in crate::config) static POOL_CONFIG_MAPS: Setting<s::Objects> =
    Setting::new("services.poolConfigMaps", Kind::Texts("`namespace/name`, or `off`"), s::config_maps, show)
        .env(&[name("vipcast_services_pool_config_maps")])
        .flags(&[name("services-pool-config-maps")])
        .blank_is_off()
        .default("kube-system/kubevip,kube-system/kube-vip-cloud-provider")
        .help("ConfigMaps with pools as kube-vip's cloud provider has them, the one that counts most first");
pub(in crate::config) static METALLB_POOLS: Setting<bool> = switch("services.metallbPools")
    .env(&[name("vipcast_services_metallb_pools")])
    .flags(&[name("services-metallb-pools")])
    .default("true")
    .help("take the pools of MetalLB's IPAddressPool objects, where there are any");
pub(in crate::config) static REQUESTS: Setting<Requests> = Setting::new(
    "services.requests",
    Kind::Choice(s::REQUESTS),
    s::requests,
    s::show_requests,
)
.env(&[name("vipcast_services_requests")])
.flags(&[name("services-requests")])
.default("anywhere")
.help("which addresses a Service may ask for: any, as in kube-vip, or only those in pools, as in MetalLB");
pub(in crate::config) static SHARE_REQUESTED: Setting<bool> = switch("services.shareRequested")
    .env(&[name("vipcast_services_share_requested")])
    .flags(&[name("services-share-requested")])
    .default("true")
    .help("Services that ask for one address may share it without a sharing key, as in kube-vip");
pub(in crate::config) static POD_NETWORKS: Setting<Vec<IpNet>> = networks("services.podNetworks")
    .env(&[name("egress_podcidr")])
    .flags(&[name("services-pod-networks")])
    .otherwise("those of the Nodes")
    .help("more networks of Pods, of which no Service gets an address");
pub(in crate::config) static SERVICE_NETWORKS: Setting<Vec<IpNet>> = networks("services.serviceNetworks")
    .env(&[name("egress_servicecidr")])
    .flags(&[name("services-service-networks")])
    .otherwise("those of the ServiceCIDRs")
    .help("more networks of cluster IPs, of which no Service gets an address");
pub(in crate::config) static GATEWAYS: Setting<Vec<IpAddr>> =
    Setting::new("services.gateways", Kind::Addresses, value::addresses, value::show_addresses)
        .env(&[name("vipcast_services_gateways")])
        .flags(&[name("services-gateways")])
        .otherwise("those of this node's routes")
        .help("more addresses of routers, which no Service gets");

/// What a pool is.
#[derive(Debug)]
pub(in crate::config) struct PoolRows {
    pub(in crate::config) name: Setting<String>,
    pub(in crate::config) addresses: Setting<Vec<String>>,
    pub(in crate::config) avoid: Setting<Vec<String>>,
    pub(in crate::config) namespaces: Setting<Vec<String>>,
    pub(in crate::config) namespace_selector: Setting<Vec<LabelSelector>>,
    pub(in crate::config) service_selector: Setting<Vec<LabelSelector>>,
    pub(in crate::config) priority: Setting<u32>,
    pub(in crate::config) auto_assign: Setting<bool>,
    pub(in crate::config) avoid_buggy: Setting<bool>,
    pub(in crate::config) order: Setting<SearchOrder>,
    pub(in crate::config) share: Setting<bool>,
    pub(in crate::config) interface: Setting<ServiceInterface>,
}

pub(in crate::config) static OF_POOL: PoolRows = PoolRows {
    name: Setting::new("name", Kind::Text("text"), s::pool_name, String::clone)
        .otherwise("required")
        .help("its name, by which a Service can ask for it"),
    addresses: ranges("addresses").otherwise("required").help("its addresses, of both families"),
    avoid: ranges("avoid").otherwise("none").help("addresses among them that are not given"),
    namespaces: Setting::new("namespaces", Kind::Texts("namespaces"), s::namespaces, s::show_texts)
        .otherwise(EVERY)
        .help("namespaces that it serves; together with `namespaceSelector` either will do"),
    namespace_selector: selectors("namespaceSelector")
        .otherwise(EVERY)
        .help("namespaces that it serves, by their labels"),
    service_selector: selectors("serviceSelector")
        .otherwise("every Service")
        .help("Services that it serves, by their labels"),
    priority: Setting::new("priority", Kind::Number(0, u32::MAX), s::priority, show)
        .otherwise("after those that have one")
        .help("the lower, the earlier it is tried; pools for some Services come before those for all"),
    auto_assign: switch("autoAssign").default("true").help("serve Services that do not ask for it by name"),
    avoid_buggy: switch("avoidBuggyIPs")
        .default("false")
        .help("leave out IPv4 addresses that end in .0 or .255"),
    order: Setting::new("order", Kind::Choice(s::ORDERS), s::order, s::show_order)
        .default("ascending")
        .help("which free address is given first"),
    share: switch("share")
        .default("false")
        .help("Services without a sharing key share its IPv4 addresses where their ports differ"),
    interface: Setting::new("interface", Kind::Text("interface name, or `auto`"), s::interface, show)
        .otherwise("`services.interface`")
        .help("interface on which its addresses are announced"),
};

const POOL: Fields = Fields { all: &POOL_FIELDS, what: "a-pool", text: None };

static POOL_FIELDS: [&Spec; 12] = [
    &OF_POOL.name.spec,
    &OF_POOL.addresses.spec,
    &OF_POOL.avoid.spec,
    &OF_POOL.namespaces.spec,
    &OF_POOL.namespace_selector.spec,
    &OF_POOL.service_selector.spec,
    &OF_POOL.priority.spec,
    &OF_POOL.auto_assign.spec,
    &OF_POOL.avoid_buggy.spec,
    &OF_POOL.order.spec,
    &OF_POOL.share.spec,
    &OF_POOL.interface.spec,
];

const fn networks(key: &'static str) -> Setting<Vec<IpNet>> {
    Setting::new(key, Kind::Texts("networks"), b::prefixes_of_vips, b::show_prefixes)
}

const fn ranges(key: &'static str) -> Setting<Vec<String>> {
    let kind = Kind::Texts("networks, ranges (`192.0.2.10-192.0.2.20`) and addresses");
    Setting::new(key, kind, s::ranges, s::show_texts)
}

const fn selectors(key: &'static str) -> Setting<Vec<LabelSelector>> {
    let kind = Kind::Text(
        "selectors as kubectl has them, such as `team=shops,tier in (front,api)`, several with `;` between: any of them will do",
    );
    Setting::new(key, kind, s::selectors, s::show_selectors)
}

const AS_THE_ELECTION: &str = "that of the control plane's Lease";
const EVERY: &str = "every namespace";
