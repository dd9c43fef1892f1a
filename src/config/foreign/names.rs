//! The names, by what becomes of them.

use super::{Fate, Foreign, Form, Said};
use crate::config::problem::Severity;

/// Every foreign name.
pub(in crate::config) static ALL: &[Foreign] = &[
    unbuilt(&["vip_routingtable"], &["table"], "the routing table mode", OTHER_ANNOUNCERS),
    unbuilt(&["vip_wireguard"], &["wireguard"], "WireGuard", OTHER_ANNOUNCERS),
    unbuilt(&["zebra_enable"], &["zebra"], "talking to FRR's zebra", "leave it out: routers are told by BGP"),
    unbuilt(&["lb_enable"], &["enableLoadBalancer"], "the IPVS load balancer", "leave it out"),
    unbuilt(&["vip_ddns"], &["ddns"], "DHCP with dynamic DNS", "leave it out and give the address"),
    unbuilt(&["enable_node_labeling"], &["enableNodeLabeling"], "labelling of Nodes", "leave it out"),
    unbuilt(&["vip_packet"], &["metal"], "the Equinix Metal API", "leave it out"),
    unbuilt(
        &["disable_service_updates"],
        &["disableServiceUpdates"],
        "announcing Services without the addresses in their status",
        "leave it out, or where somebody else writes the status set vipcast_services_allocate=false",
    ),
    unbuilt(&["enable_upnp"], &[], "UPnP", "leave it out"),
    Foreign {
        env: &[],
        flags: &["leaderElectionType"],
        form: Form::Text,
        fate: Fate::Unbuilt {
            feature: "election by anything but kubernetes",
            off: &["kubernetes"],
            fix: "leave it out: the Lease in the API decides",
        },
    },
    Foreign {
        env: &["health_check_port"],
        flags: &["healthCheckPort"],
        form: Form::Text,
        fate: Fate::Unbuilt {
            feature: "a port of its own for health",
            off: &["0"],
            fix: "leave it out and probe /livez at the address of prometheus_server",
        },
    },
    moot(
        &["vip_skipdad"],
        &[],
        Said::Off,
        Severity::Info,
        "no effect: the wire check asks before an address is taken, and the kernel does not ask again",
    ),
    moot(
        &["vip_allow_interface_not_up"],
        &["allowInterfaceNotUp"],
        Said::Off,
        Severity::Info,
        "no effect: an interface that is not up, or not there, is always waited for",
    ),
    moot(
        &["vip_preserve_on_leadership_loss"],
        &["preserveVipOnLeadershipLoss"],
        Said::On,
        Severity::Warning,
        "no effect: a node that may have lost the election drops the VIP, so that two nodes never hold it; \
         where no other candidate exists the VIP is kept without the API anyway",
    ),
    moot(
        &["vip_loseleadership"],
        &["loseLeadership"],
        Said::On,
        Severity::Info,
        "no effect: a node whose link is down always gives the VIP up",
    ),
    moot(
        &["cp_detect"],
        &["autodetectcp"],
        Said::On,
        Severity::Info,
        "no effect: the local API server is always found without it",
    ),
    riders(
        Form::Switch,
        &["vip_singlenode", "vip_startleader", "vip_interfaceloglobal", "vip_cleanroutingtable"],
        &["startAsLeader", "loInterfaceGlobalScope", "cleanRoutingTable"],
    ),
    moot(
        &["enable_endpoints"],
        &["enableEndpoints"],
        Said::On,
        Severity::Info,
        "no effect: EndpointSlices say the same, and more",
    ),
    moot(
        &["enable_endpointslices"],
        &["enableEndpointSlices"],
        Said::Off,
        Severity::Info,
        "no effect: EndpointSlices are always used",
    ),
    moot(
        &["bgp_attach_ip_to_interface"],
        &["bgpAttachIPToInterface"],
        Said::Off,
        Severity::Info,
        "no effect: a VIP that is announced is always bound, to lo where only BGP announces it",
    ),
    riders(Form::Switch, &[], &["addPeersToLB", "inCluster"]),
    riders(
        Form::Switch,
        &["egress_withnftables", "egress_enableinternalsnat", "egress_clean", "EGRESS_CLEAN"],
        &["egressWithNftables"],
    ),
    riders(
        Form::Text,
        &["zebra_url", "zebra_version", "zebra_software_name"],
        &["zebraUrl", "zebraVersion", "zebraSoftwareName"],
    ),
    riders(Form::Text, &["lb_port", "lb_fwdmethod"], &["lbPort", "lbForwardingMethod"]),
    riders(
        Form::Text,
        &[
            "backend_health_check_interval",
            "dns_mode",
            "dhcp_mode",
            "dhcp_backoff_attempts",
            "mirror_dest_interface",
        ],
        &["dnsMode", "dhcpMode", "dhcpBackoffAttempts", "mirrorDestInterface"],
    ),
    riders(
        Form::Text,
        &[
            "vip_routingtableid",
            "vip_routingtabletype",
            "vip_routingprotocol",
            "vip_loseleadership_timeout_seconds",
        ],
        &["tableID", "tableType", "routingProtocol", "loseLeadershiptTimeoutSeconds"],
    ),
    riders(
        Form::Text,
        &["instance_name", "INSTANCE_NAME", "iptables_backend", "debounce_time"],
        &["instanceName", "debounceTime"],
    ),
    riders(
        Form::Text,
        &[
            "vip_configmap",
            "vip_leaseannotations",
            "vip_packetproject",
            "vip_packetprojectid",
            "provider_config",
        ],
        &[
            "configMap",
            "etcdCACert",
            "etcdCert",
            "etcdKey",
            "etcdEndpoints",
            "metalKey",
            "metalProject",
            "metalProjectID",
        ],
    ),
];

const OTHER_ANNOUNCERS: &str = "leave it out and set vip_arp=true or bgp_enable=true";

const fn unbuilt(
    env: &'static [&'static str],
    flags: &'static [&'static str],
    feature: &'static str,
    fix: &'static str,
) -> Foreign {
    Foreign { env, flags, form: Form::Switch, fate: Fate::Unbuilt { feature, off: &[], fix } }
}

const fn riders(form: Form, env: &'static [&'static str], flags: &'static [&'static str]) -> Foreign {
    Foreign { env, flags, form, fate: Fate::Rider }
}

const fn moot(
    env: &'static [&'static str],
    flags: &'static [&'static str],
    said: Said,
    severity: Severity,
    why: &'static str,
) -> Foreign {
    Foreign { env, flags, form: Form::Switch, fate: Fate::Moot { said, severity, why } }
}
