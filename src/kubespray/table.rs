//! Kubespray's variables that concern a VIP: its defaults, and what becomes of each. The documentation follows from it.

use super::value::Value;

/// One variable of Kubespray.
#[derive(Debug)]
pub(super) struct Row {
    /// Its name.
    pub(super) name: &'static str,
    /// Kubespray's default.
    pub(super) default: Default,
    /// What it may be.
    pub(super) form: Form,
    /// What becomes of it.
    pub(super) becomes: Becomes,
    /// For the documentation.
    #[cfg_attr(not(test), expect(dead_code, reason = "a test compares the documentation with it"))]
    pub(super) note: &'static str,
}

/// Kubespray's default.
#[derive(Clone, Copy, Debug)]
pub(super) enum Default {
    /// There is none.
    Undefined,
    /// YAML's null.
    Null,
    /// As Kubespray writes it, with Jinja.
    Written(&'static str),
}

/// What a variable may be.
#[derive(Clone, Copy, Debug)]
pub(super) enum Form {
    /// As Ansible's filter `bool` reads it.
    Switch,
    /// Any single value. The settings it becomes say what is wrong with it.
    Text,
    /// A whole number in a range.
    Number(u32, u32),
    /// One of a few words.
    Choice(&'static [&'static str]),
    /// A list of texts, or one text.
    Texts,
    /// Whatever the check that uses it makes of it.
    Any,
}

/// What becomes of a variable.
#[derive(Clone, Copy, Debug)]
pub(super) enum Becomes {
    /// A variable of the pod's environment.
    Env(&'static str, Emit),
    /// One that exists only while a switch is on.
    EnvUnder(&'static str, Emit, &'static str),
    /// Something that is made together with others.
    Together(&'static str),
    /// It is compared with the others.
    Checked,
    /// Nothing, and where a file has it that is said.
    Nothing,
    /// Nothing, without a word: Kubespray's own affair.
    Kubespray,
}

/// When a variable of the environment is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Emit {
    /// Always.
    Always,
    /// Where there is a value.
    IfSet,
    /// Where it is switched on.
    IfTrue,
}

impl Row {
    /// The default, with its Jinja.
    pub(super) fn default(&self) -> Value {
        match self.default {
            Default::Undefined | Default::Null => Value::Null,
            Default::Written(text) => Value::Text(text.to_owned()),
        }
    }

    /// Whether Kubespray defines it.
    pub(super) fn is_defined(&self) -> bool {
        !matches!(self.default, Default::Undefined)
    }
}

/// The row of a variable.
pub(super) fn row(name: &str) -> Option<&'static Row> {
    ALL.iter().find(|row| row.name == name)
}

/// The row that a variable of the environment comes from.
pub(super) fn of_env(env: &str) -> Option<&'static Row> {
    ALL.iter().find(|row| match row.becomes {
        Becomes::Env(name, _) | Becomes::EnvUnder(name, ..) | Becomes::Together(name) => name == env,
        Becomes::Checked | Becomes::Nothing | Becomes::Kubespray => false,
    })
}

/// Every name.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    ALL.iter().map(|row| row.name)
}

/// In the order of Kubespray's template.
pub(super) static ALL: &[Row] = &[
    checked(
        "kube_vip_enabled",
        "false",
        Form::Switch,
        "has to be true: Kubespray installs nothing otherwise",
    ),
    text("kube_vip_address", Default::Null, "address", "the VIP, or several with commas"),
    switch("kube_vip_arp_enabled", "vip_arp", Emit::Always, "ARP and NDP"),
    row_of(
        "kube_apiserver_port",
        Default::Written("6443"),
        Form::Text,
        Becomes::Env("port", Emit::Always),
        "also `lb_port` with `kube_vip_lb_enable`, unless `loadbalancer_apiserver.port` says otherwise",
    ),
    row_of(
        "kube_override_hostname",
        Default::Undefined,
        Form::Text,
        Becomes::Together("vip_nodename"),
        "a file of one host's should have it; else the name is the host's, as is `{{ inventory_hostname }}`",
    ),
    text("kube_vip_interface", Default::Null, "vip_interface", "found where it is not set"),
    text("kube_vip_services_interface", Default::Null, "vip_servicesinterface", ""),
    text(
        "kube_vip_cidr",
        Default::Written("32"),
        "vip_subnet",
        "one field of at most 32 is IPv4's: an IPv6 VIP gets /128 unless a second field says otherwise",
    ),
    row_of(
        "kube_vip_dns_mode",
        Default::Written("first"),
        Form::Choice(&["first", "ipv4", "ipv6", "dual"]),
        Becomes::Env("dns_mode", Emit::IfSet),
        "",
    ),
    switch(
        "kube_vip_controlplane_enabled",
        "cp_enable",
        Emit::Always,
        "where true, `cp_namespace` is `kube-system`",
    ),
    under("kube_vip_ddns_enabled", "false", Form::Switch, "vip_ddns", CONTROL_PLANE, ""),
    under("kube_vip_cp_detect", "false", Form::Switch, "cp_detect", CONTROL_PLANE, ""),
    switch(
        "kube_vip_services_enabled",
        "svc_enable",
        Emit::IfTrue,
        "pools are in the ConfigMap `kube-system/kubevip`, or in `vipcast_services_pools`",
    ),
    text("kube_vip_svc_leasename", Default::Written("plndr-svcs-lock"), "svc_leasename", ""),
    switch(
        "kube_vip_enableServicesElection",
        "svc_election",
        Emit::IfTrue,
        "`vipcast_services_distribution=spread` does the same with fewer writes",
    ),
    row_of(
        ELECTION,
        Default::Written("{{ kube_vip_arp_enabled }}"),
        Form::Switch,
        Becomes::Env("vip_leaderelection", Emit::Always),
        "ARP always elects, BGP where this is true; it also decides whether the four below are taken, as in Kubespray",
    ),
    under("kube_vip_leasename", "plndr-cp-lock", Form::Text, "vip_leasename", ELECTION, ""),
    under("kube_vip_leaseduration", "5", Form::Text, "vip_leaseduration", ELECTION, "seconds"),
    under("kube_vip_renewdeadline", "3", Form::Text, "vip_renewdeadline", ELECTION, "seconds"),
    under("kube_vip_retryperiod", "1", Form::Text, "vip_retryperiod", ELECTION, "seconds"),
    switch("kube_vip_enable_node_labeling", "enable_node_labeling", Emit::IfTrue, ""),
    switch(BGP, "bgp_enable", Emit::IfTrue, "the rows with `bgp_` need it"),
    null_under(
        "kube_vip_bgp_routerid",
        Form::Text,
        "bgp_routerid",
        "leave it unset: it is found, and has to be another on every node. `None`, `null` and `\"\"` are unset",
    ),
    under("kube_vip_local_as", "65000", AS_NUMBER, "bgp_as", BGP, ""),
    null_under("kube_vip_bgp_peeraddress", Form::Text, "bgp_peeraddress", ""),
    null_under(
        "kube_vip_bgp_peerpass",
        Form::Text,
        "bgp_peerpass",
        "never shown; in a manifest anybody who reads the file can read it",
    ),
    under("kube_vip_bgp_peeras", "65000", AS_NUMBER, "bgp_peeras", BGP, ""),
    null_under(
        "kube_vip_bgppeers",
        Form::Texts,
        "bgp_peers",
        "a list, or one text with commas (which Kubespray itself takes apart into characters)",
    ),
    null_under("kube_vip_bgp_sourceip", Form::Text, "bgp_sourceip", "not together with the next"),
    null_under("kube_vip_bgp_sourceif", Form::Text, "bgp_sourceif", "not together with the one above"),
    switch("kube_vip_lb_enable", "lb_enable", Emit::IfTrue, ""),
    row_of(
        "kube_vip_lb_fwdmethod",
        Default::Written("local"),
        Form::Choice(&["local", "masquerade", "tunnel", "directroute", "bypass"]),
        Becomes::Env("lb_fwdmethod", Emit::Always),
        "",
    ),
    row_of(
        "kube_vip_metrics_enabled",
        Default::Written("false"),
        Form::Switch,
        Becomes::Together("prometheus_server"),
        "false leaves kube-vip's `:2112`, as in Kubespray; an empty `--prometheusHTTPServer` switches metrics off",
    ),
    row_of(
        "kube_vip_metrics_port",
        Default::Written("2112"),
        Form::Number(1, 65_535),
        Becomes::Together("prometheus_server"),
        "with `kube_vip_metrics_enabled`",
    ),
    checked("kube_proxy_mode", "ipvs", Form::Text, "`ipvs` with ARP needs `kube_proxy_strict_arp`"),
    checked("kube_proxy_strict_arp", "false", Form::Switch, "see `kube_proxy_mode`"),
    checked("kube_proxy_remove", "false", Form::Switch, "without kube-proxy there is nothing to check"),
    row_of(
        "loadbalancer_apiserver",
        Default::Undefined,
        Form::Any,
        Becomes::Checked,
        "its port has to be the API server's; an address that is not the VIP is worth a notice, and so is none",
    ),
    checked(
        "kube_apiserver_bind_address",
        "::",
        Form::Text,
        "one address that is not the VIP would leave the VIP without an API server",
    ),
    row_of(
        "supplementary_addresses_in_ssl_keys",
        Default::Undefined,
        Form::Any,
        Becomes::Kubespray,
        "nothing to do: Kubespray puts `kube_vip_address` into the certificate by itself",
    ),
    nothing("kube_vip_version", Default::Written("1.0.3")),
    nothing("kube_vip_image_repo", Default::Written("ghcr.io/kube-vip/kube-vip")),
    nothing("kube_vip_image_tag", Default::Written("v{{ kube_vip_version }}")),
    nothing("kube_vip_digest_checksum", Default::Undefined),
    row_of(
        "kube_vip_admin_conf",
        Default::Undefined,
        Form::Any,
        Becomes::Nothing,
        "Kubespray sets it by itself; vipcast finds credentials that work",
    ),
];

const fn row_of(
    name: &'static str,
    default: Default,
    form: Form,
    becomes: Becomes,
    note: &'static str,
) -> Row {
    Row { name, default, form, becomes, note }
}

const fn switch(name: &'static str, env: &'static str, emit: Emit, note: &'static str) -> Row {
    row_of(name, Default::Written("false"), Form::Switch, Becomes::Env(env, emit), note)
}

const fn text(name: &'static str, default: Default, env: &'static str, note: &'static str) -> Row {
    row_of(name, default, Form::Text, Becomes::Env(env, Emit::IfSet), note)
}

const fn under(
    name: &'static str,
    default: &'static str,
    form: Form,
    env: &'static str,
    gate: &'static str,
    note: &'static str,
) -> Row {
    row_of(name, Default::Written(default), form, Becomes::EnvUnder(env, Emit::IfSet, gate), note)
}

const fn null_under(name: &'static str, form: Form, env: &'static str, note: &'static str) -> Row {
    row_of(name, Default::Null, form, Becomes::EnvUnder(env, Emit::IfSet, BGP), note)
}

const fn checked(name: &'static str, default: &'static str, form: Form, note: &'static str) -> Row {
    row_of(name, Default::Written(default), form, Becomes::Checked, note)
}

const fn nothing(name: &'static str, default: Default) -> Row {
    row_of(name, default, Form::Any, Becomes::Nothing, "is about kube-vip's image")
}

const CONTROL_PLANE: &str = "kube_vip_controlplane_enabled";
const ELECTION: &str = "kube_vip_leader_election_enabled";
const BGP: &str = "kube_vip_bgp_enabled";

/// RFC 6793; zero is reserved by RFC 7607.
const AS_NUMBER: Form = Form::Number(1, u32::MAX);
