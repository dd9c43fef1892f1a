//! kube-vip's names that are no settings here: features that do not exist yet, what rides along with
//! them, and switches whose effect is always on or never wanted.

use super::problem::{Notice, Problem, Severity};
use super::source::Source;
use super::{value, value::is_unset};

/// A name of kube-vip's that is understood but sets nothing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Foreign {
    /// Environment variables.
    pub env: &'static [&'static str],
    /// Flags, without the dashes.
    pub flags: &'static [&'static str],
    /// What a value looks like.
    pub form: Form,
    /// What becomes of it.
    pub fate: Fate,
}

/// What the value of a foreign name looks like.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Form {
    /// Go's booleans.
    Switch,
    /// Anything.
    Text,
}

/// What becomes of a foreign name.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fate {
    /// A feature that is not built: any value but these (and `false`) is refused.
    Unbuilt {
        /// The feature, as the subject of a sentence.
        feature: &'static str,
        /// Values that leave it off.
        off: &'static [&'static str],
        /// What to do without it.
        fix: &'static str,
    },
    /// Harmless while its feature is off: ignored, and named in one line.
    Rider,
    /// Accepted without effect; `why` is said when the value is this one.
    Moot {
        /// The value it is said for.
        said: Said,
        /// How much it matters.
        severity: Severity,
        /// Why it has no effect.
        why: &'static str,
    },
}

/// When the reason of [`Fate::Moot`] is said.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Said {
    /// Where it is switched on.
    On,
    /// Where it is switched off.
    Off,
}

/// What came of the foreign names that were given.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    pub(super) problems: Vec<Problem>,
    pub(super) notices: Vec<Notice>,
    /// Whether another way of announcing was asked for.
    pub(super) other_announcer: bool,
    riders: Vec<String>,
}

impl Foreign {
    /// The row to which a variable belongs.
    pub(super) fn with_env(name: &str) -> Option<&'static Self> {
        ALL.iter().find(|row| row.env.contains(&name))
    }

    /// The row to which a flag belongs.
    pub(super) fn with_flag(name: &str) -> Option<&'static Self> {
        ALL.iter().find(|row| row.flags.contains(&name))
    }
}

impl Verdict {
    /// Judges one foreign name that was given.
    pub(super) fn add(&mut self, row: &Foreign, name: &str, text: &str, source: Source) {
        if is_unset(text) {
            return;
        }
        if matches!(row.fate, Fate::Rider) {
            return self.riders.push(name.to_owned());
        }
        let on = match row.form {
            Form::Text => true,
            Form::Switch => match go_bool(text.trim()) {
                Some(on) => on,
                None => return self.not_a_switch(name, text, source),
            },
        };
        match row.fate {
            Fate::Unbuilt { off, feature, fix } if on && !off.contains(&text.trim()) => {
                self.other_announcer |= ANNOUNCERS
                    .iter()
                    .any(|announcer| row.env.contains(announcer));
                let reason = format!("{feature} is not built into this version");
                self.problems.push(Problem {
                    source: Some(source),
                    ..Problem::plain(name, reason, fix)
                });
            }
            Fate::Moot {
                said,
                severity,
                why,
            } if on == (said == Said::On) => {
                self.notices.push(Notice {
                    severity,
                    setting: name.to_owned(),
                    text: why.to_owned(),
                });
            }
            Fate::Unbuilt { .. } | Fate::Moot { .. } | Fate::Rider => {}
        }
    }

    /// The one line about everything that was ignored.
    pub(super) fn finish(&mut self) {
        if !self.riders.is_empty() {
            let text = "understood, but without use while their features are off: ignored";
            self.notices
                .push(Notice::info(self.riders.join(", "), text));
        }
    }

    fn not_a_switch(&mut self, name: &str, text: &str, source: Source) {
        let problem = Problem::plain(name, "neither true nor false", "write true or false");
        self.problems.push(Problem {
            value: Some(text.to_owned()),
            source: Some(source),
            ..problem
        });
    }
}

fn go_bool(text: &str) -> Option<bool> {
    value::switch(&super::table::LAYER2.spec, text).ok()
}

const fn unbuilt(
    env: &'static [&'static str],
    flags: &'static [&'static str],
    feature: &'static str,
    fix: &'static str,
) -> Foreign {
    Foreign {
        env,
        flags,
        form: Form::Switch,
        fate: Fate::Unbuilt {
            feature,
            off: &[],
            fix,
        },
    }
}

const fn riders(
    form: Form,
    env: &'static [&'static str],
    flags: &'static [&'static str],
) -> Foreign {
    Foreign {
        env,
        flags,
        form,
        fate: Fate::Rider,
    }
}

const fn moot(
    env: &'static [&'static str],
    flags: &'static [&'static str],
    said: Said,
    severity: Severity,
    why: &'static str,
) -> Foreign {
    Foreign {
        env,
        flags,
        form: Form::Switch,
        fate: Fate::Moot {
            said,
            severity,
            why,
        },
    }
}

/// Switches that stand for another way of announcing.
const ANNOUNCERS: &[&str] = &["bgp_enable", "vip_routingtable", "vip_wireguard"];

/// Every foreign name.
pub(super) static ALL: &[Foreign] = &[
    unbuilt(
        &["bgp_enable"],
        &["bgp"],
        "BGP",
        "leave it out and set vip_arp=true",
    ),
    unbuilt(
        &["vip_routingtable"],
        &["table"],
        "the routing table mode",
        "leave it out and set vip_arp=true",
    ),
    unbuilt(
        &["vip_wireguard"],
        &["wireguard"],
        "WireGuard",
        "leave it out and set vip_arp=true",
    ),
    unbuilt(
        &["svc_enable"],
        &["services"],
        "announcing Services of type LoadBalancer",
        "leave it out",
    ),
    unbuilt(
        &["lb_enable"],
        &["enableLoadBalancer"],
        "the IPVS load balancer",
        "leave it out",
    ),
    unbuilt(
        &["vip_ddns"],
        &["ddns"],
        "DHCP with dynamic DNS",
        "leave it out and give the address",
    ),
    unbuilt(
        &["enable_node_labeling"],
        &["enableNodeLabeling"],
        "labelling of Nodes",
        "leave it out",
    ),
    unbuilt(
        &["vip_packet"],
        &["metal"],
        "the Equinix Metal API",
        "leave it out",
    ),
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
        &["vip_leaderelection"],
        &["leaderElection"],
        Said::Off,
        Severity::Info,
        "no effect: announcing by ARP always elects, as in kube-vip",
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
        &[
            "vip_singlenode",
            "vip_startleader",
            "vip_interfaceloglobal",
            "vip_cleanroutingtable",
            "svc_election",
        ],
        &[
            "startAsLeader",
            "loInterfaceGlobalScope",
            "cleanRoutingTable",
            "servicesElection",
        ],
    ),
    riders(
        Form::Switch,
        &[
            "lb_class_only",
            "lb_class_legacy_handling",
            "per_service_election_on_demand",
            "disable_service_updates",
        ],
        &[
            "lbClassOnly",
            "lbClassNameLegacyHandling",
            "perServiceElectionOnDemand",
            "disableServiceUpdates",
        ],
    ),
    riders(
        Form::Switch,
        &[
            "enable_endpoints",
            "enable_endpointslices",
            "enable_service_security",
            "enable_upnp",
        ],
        &[
            "enableEndpoints",
            "enableEndpointSlices",
            "onlyAllowTrafficServicePorts",
        ],
    ),
    riders(
        Form::Switch,
        &["bgp_attach_ip_to_interface", "bgp_multihop", "zebra_enable"],
        &[
            "bgpAttachIPToInterface",
            "multihop",
            "zebra",
            "addPeersToLB",
            "inCluster",
        ],
    ),
    riders(
        Form::Switch,
        &[
            "egress_withnftables",
            "egress_enableinternalsnat",
            "egress_clean",
            "EGRESS_CLEAN",
        ],
        &["egressWithNftables"],
    ),
    riders(
        Form::Text,
        &[
            "bgp_routerid",
            "bgp_routerinterface",
            "bgp_as",
            "bgp_peeraddress",
            "bgp_peeras",
            "bgp_peerpass",
            "bgp_peers",
        ],
        &[
            "bgpRouterID",
            "localAS",
            "peerAddress",
            "peerAS",
            "peerPass",
            "bgppeers",
        ],
    ),
    riders(
        Form::Text,
        &[
            "bgp_sourceif",
            "bgp_sourceip",
            "bgp_hold_time",
            "bgp_keepalive_interval",
            "annotation",
            "annotations",
        ],
        &[
            "sourceIF",
            "sourceIP",
            "bgpHoldTimer",
            "bgpKeepAliveInterval",
            "annotations",
        ],
    ),
    riders(
        Form::Text,
        &[
            "mpbgp_nexthop",
            "mpbgp_ipv4",
            "mpbgp_ipv6",
            "zebra_url",
            "zebra_version",
            "zebra_software_name",
        ],
        &["zebraUrl", "zebraVersion", "zebraSoftwareName"],
    ),
    riders(
        Form::Text,
        &[
            "svc_namespace",
            "svc_leasename",
            "vip_servicesinterface",
            "lb_class_name",
            "lb_port",
            "lb_fwdmethod",
        ],
        &[
            "servicesLeaseName",
            "serviceInterface",
            "servicesInterface",
            "lbClassName",
            "lbPort",
            "lbForwardingMethod",
        ],
    ),
    riders(
        Form::Text,
        &[
            "backend_health_check_interval",
            "dns_mode",
            "dhcp_mode",
            "dhcp_backoff_attempts",
            "mirror_dest_interface",
        ],
        &[
            "dnsMode",
            "dhcpMode",
            "dhcpBackoffAttempts",
            "mirrorDestInterface",
        ],
    ),
    riders(
        Form::Text,
        &[
            "vip_routingtableid",
            "vip_routingtabletype",
            "vip_routingprotocol",
            "vip_loseleadership_timeout_seconds",
        ],
        &[
            "tableID",
            "tableType",
            "routingProtocol",
            "loseLeadershiptTimeoutSeconds",
        ],
    ),
    riders(
        Form::Text,
        &[
            "egress_podcidr",
            "egress_servicecidr",
            "instance_name",
            "INSTANCE_NAME",
            "iptables_backend",
            "debounce_time",
        ],
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
