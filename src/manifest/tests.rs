//! Whole manifests, and that the daemon reads in them what was said.

use k8s_openapi::api::core::v1::{Container, Pod, PodSpec};
use serde_json::Value;

use k8s_openapi::api::rbac::v1::PolicyRule;

use super::*;
use crate::config::{Config, Flags, resolve};

/// As Cluster API's `preKubeadmCommands` give it.
const LINE: &[(&str, &str)] = &[
    ("interface", "eth0"),
    ("address", "192.168.1.100"),
    ("controlplane", "true"),
    ("arp", "true"),
    ("leaderElection", "true"),
];

fn resolved(flags: &[(&str, &str)], options: &Options) -> Resolved {
    let flags = flags.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    resolve(&Flags(flags.collect()), std::iter::empty(), None, &options.host()).unwrap()
}

/// The line and more flags.
fn with(more: &[(&str, &str)], options: &Options) -> Resolved {
    resolved(&[LINE, more].concat(), options)
}

fn in_cluster() -> Options {
    Options { credentials: Credentials::ServiceAccount, ..Options::default() }
}

fn kube_vip() -> Options {
    Options { names: Names::KubeVip, image: "registry:5000/vips:v9".into(), ..in_cluster() }
}

/// The file has the text, but for the version. With `UPDATE` set it gets it.
fn is_as_recorded(name: &str, objects: &[Object]) {
    let path = format!("{}/src/manifest/testdata/{name}.yaml", env!("CARGO_MANIFEST_DIR"));
    let text = render(objects, Form::Yaml).unwrap().replace(env!("CARGO_PKG_VERSION"), "VERSION");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let recorded = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(recorded == text, "{path} differs; `UPDATE=1 cargo test manifest` records this:\n{text}");
}

fn pod_of(flags: &[(&str, &str)], options: &Options) -> Pod {
    let Object::Pod(pod) = pod(&with(flags, options), options).unwrap().remove(0) else { panic!() };
    *pod
}

fn spec_of(flags: &[(&str, &str)], options: &Options) -> PodSpec {
    pod_of(flags, options).spec.unwrap()
}

fn container_of(flags: &[(&str, &str)], options: &Options) -> Container {
    spec_of(flags, options).containers.remove(0)
}

/// What the kubelet would put into the environment on a node called `cp1`.
fn environment(container: &Container) -> Vec<(String, String)> {
    let value = |variable: &k8s_openapi::api::core::v1::EnvVar| match &variable.value {
        Some(value) => {
            assert!(!value.replace("$$", "").contains("$("), "{value} refers to another variable");
            value.replace("$$", "$")
        }
        None => "cp1".to_owned(),
    };
    container.env.iter().flatten().map(|variable| (variable.name.clone(), value(variable))).collect()
}

fn complaints(result: Result<Vec<Object>, Problems>) -> Vec<String> {
    result.unwrap_err().problems.iter().map(ToString::to_string).collect()
}

#[test]
fn the_pod_of_cluster_api_is_as_recorded() {
    let options = Options::default();
    is_as_recorded("pod", &pod(&with(&[], &options), &options).unwrap());
}

#[test]
fn a_daemonset_in_the_cluster_is_as_recorded() {
    let options = in_cluster();
    let settings =
        with(&[("leaseDuration", "5"), ("leaseRenewDuration", "3"), ("leaseRetry", "1")], &options);
    let objects = daemonset(&settings, &options, Placement::ControlPlane, SettingsIn::Environment);
    is_as_recorded("daemonset", &objects.unwrap());
}

#[test]
fn a_daemonset_with_a_config_map_and_kube_vips_names_is_as_recorded() {
    let options = kube_vip();
    let settings = with(&[("prometheusHTTPServer", "off"), ("log", "debug")], &options);
    let mut objects = config_map(&settings, &options).unwrap();
    objects.extend(daemonset(&settings, &options, Placement::Untainted, SettingsIn::ConfigMap).unwrap());
    is_as_recorded("config-map", &objects);
}

#[test]
fn permissions_are_as_recorded() {
    let options = in_cluster();
    is_as_recorded("rbac", &rbac(&with(&[], &options), &options, Reach::Cluster).unwrap());
    let options = Options { namespace: "vips".into(), ..kube_vip() };
    let settings = with(&[("leaseName", "lock"), ("health-enabled", "false")], &options);
    let mut objects = rbac(&settings, &options, Reach::Cluster).unwrap();
    objects.extend(rbac(&settings, &options, Reach::Namespaces(Roles::ClusterRole)).unwrap());
    is_as_recorded("rbac-kube-vip", &objects);
}

#[test]
fn permissions_within_namespaces_have_nothing_that_is_cluster_wide_and_events_only_where_they_are_written() {
    let options = in_cluster();
    let objects =
        rbac(&with(&[("events-enabled", "false")], &options), &options, Reach::Namespaces(Roles::Role))
            .unwrap();
    let kinds: Vec<Value> =
        objects.iter().map(|object| serde_json::to_value(object).unwrap()["kind"].clone()).collect();
    assert_eq!(kinds, ["ServiceAccount", "Role", "RoleBinding"]);
}

#[test]
fn a_pod_monitor_is_as_recorded() {
    let options = Options::default();
    is_as_recorded("pod-monitor", &pod_monitor(&with(&[], &options), &options).unwrap());
}

#[test]
fn the_daemon_reads_in_the_pod_what_was_said_and_each_thing_once() {
    let everything = [
        ("vipSubnet", "24"),
        ("layer2-refresh", "1500ms"),
        ("leaseName", "vips/lock"),
        ("leaseDuration", "1m"),
        ("k8sConfigPath", "/etc/rancher/k3s/k3s.yaml"),
        ("kubernetes-address", "192.0.2.1"),
        ("controlPlaneHealthCheckAddress", "https://127.0.0.1:6443/livez"),
        ("controlPlaneHealthCheckPeriodSeconds", "250ms"),
        ("controlPlaneHealthCheckCAPath", "/etc/rancher/k3s/$(ca)/$.crt"),
        ("prometheusHTTPServer", ""),
        ("log", "-4"),
        ("nodeName", "CP1"),
        ("health-enabled", "f"),
    ];
    let options = Options::default();
    let container = container_of(&everything, &options);
    let variables = environment(&container);
    let read = |variables: Vec<(String, String)>| -> Config {
        resolve(&Flags::default(), variables.into_iter(), None, &options.host()).unwrap().config
    };
    assert_eq!(read(variables.clone()), with(&everything, &options).config);
    let mut names: Vec<&String> = variables.iter().map(|(name, _)| name).collect();
    assert_eq!(names.len(), LINE.len() + everything.len());
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), variables.len());
}

/// Services alone, each node with its share.
const SERVICES: &[(&str, &str)] =
    &[("services", "true"), ("arp", "true"), ("services-distribution", "spread"), ("services-pools", POOLS)];

const POOLS: &str = r#"[{"addresses":"192.168.1.64/26","name":"lan"}]"#;

#[test]
fn services_are_announced_from_all_nodes_with_what_they_take_and_no_more() {
    let options = in_cluster();
    let settings = resolved(SERVICES, &options);
    let placement = Placement::usual(&settings.config);
    assert_eq!(placement, Placement::Everywhere);
    let mut objects = rbac(&settings, &options, Reach::Cluster).unwrap();
    objects.extend(daemonset(&settings, &options, placement, SettingsIn::Environment).unwrap());
    is_as_recorded("services", &objects);
}

#[test]
fn services_beside_a_control_plane_stay_on_its_nodes() {
    let options = in_cluster();
    let usual = |flags: &[(&str, &str)]| Placement::usual(&with(flags, &options).config);
    assert_eq!(usual(&[]), Placement::ControlPlane);
    assert_eq!(usual(&[("services", "true")]), Placement::ControlPlane);
}

#[test]
fn an_administrators_kubeconfig_is_not_looked_for_on_every_node() {
    let options = Options::default();
    let made = |more: &[(&str, &str)]| {
        let settings = resolved(&[SERVICES, more].concat(), &options);
        daemonset(&settings, &options, Placement::Everywhere, SettingsIn::Environment)
    };
    assert_eq!(
        complaints(made(&[])),
        [
            "kubernetes.kubeconfig (derived: found: in the cluster, $KUBECONFIG, kubeadm's, K3s' and RKE2's files): the pods run on all nodes, and only those of the control plane have an administrator's \
          kubeconfig; add --inCluster, or name a kubeconfig that every node has in --k8sConfigPath"
        ]
    );
    assert!(made(&[("k8sConfigPath", "/etc/kubernetes/vipcast.conf")]).is_ok());
}

#[test]
fn each_way_to_distribute_has_the_leases_that_it_uses() {
    let options = in_cluster();
    let names = |more: &[(&str, &str)]| {
        let settings = resolved(&[&[("services", "true")], more].concat(), &options);
        let leases = |object: &Object| {
            let Object::Role(role) = object else { return None };
            let rule = role
                .rules
                .as_ref()?
                .last()
                .filter(|_| role.metadata.name.as_deref() == Some("vipcast-members"))?;
            Some(rule.resource_names.clone().unwrap_or_else(|| vec!["any".to_owned()]))
        };
        rbac(&settings, &options, Reach::Cluster).unwrap().iter().filter_map(leases).next()
    };
    let arp = ("arp", "true");
    let bgp = [("bgp", "true"), ("bgppeers", "192.168.0.10:65000")];
    let named = |names: &[&str]| Some(names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>());
    assert_eq!(names(&[arp]), named(&["vipcast-allocator", "plndr-svcs-lock"]));
    assert_eq!(names(&[arp, ("services-distribution", "spread")]), named(&["any"]));
    assert_eq!(names(&bgp), named(&["vipcast-allocator"]));
    assert_eq!(names(&[bgp[0], bgp[1], ("services-allocate", "false")]), None);
    assert_eq!(names(&[arp, ("servicesElection", "true")]), named(&["vipcast-allocator"]));
}

#[test]
fn leases_may_be_removed_only_where_services_have_their_own() {
    let options = in_cluster();
    let removable = |more: &[(&str, &str)]| {
        let settings = resolved(&[&[("services", "true"), ("arp", "true")], more].concat(), &options);
        let leases = |object: &Object| {
            let Object::ClusterRole(role) = object else { return None };
            let leases = |rule: &&PolicyRule| rule.resources.as_deref() == Some(&["leases".to_owned()]);
            Some(role.rules.as_ref()?.iter().find(leases)?.verbs.contains(&"delete".to_owned()))
        };
        rbac(&settings, &options, Reach::Cluster).unwrap().iter().find_map(leases)
    };
    assert_eq!(removable(&[("servicesElection", "true")]), Some(true));
    assert_eq!(removable(&[("perServiceElectionOnDemand", "true")]), Some(true));
    assert_eq!((removable(&[]), removable(&[("services-distribution", "spread")])), (None, None));
}

#[test]
fn permissions_within_namespaces_do_not_suffice_for_services() {
    let options = in_cluster();
    for more in [&[][..], &[("services-namespace", "web")]] {
        let settings = resolved(&[SERVICES, more].concat(), &options);
        assert_eq!(
            complaints(rbac(&settings, &options, Reach::Namespaces(Roles::Role))),
            [
                "--services=true (flag): which nodes may announce Services is read from Nodes, which lie in no namespace, \
                 and Roles reach single ones; leave out --role and --rolebinding"
            ]
        );
    }
}

#[test]
fn of_services_in_one_namespace_no_others_may_be_read() {
    let options = in_cluster();
    let settings = resolved(&[SERVICES, &[("services-namespace", "web")]].concat(), &options);
    let role = |object: &Object| {
        let Object::Role(role) = object else { return None };
        let (namespace, name) = (role.metadata.namespace.as_deref()?, role.metadata.name.as_deref()?);
        Some(format!("{namespace}/{name}"))
    };
    let roles: Vec<_> = rbac(&settings, &options, Reach::Cluster).unwrap().iter().filter_map(role).collect();
    assert_eq!(
        roles,
        [
            "web/vipcast-services",
            "kube-system/vipcast-members",
            "kube-system/vipcast-pools",
            "default/vipcast-events"
        ]
    );
}

/// BGP in place of ARP.
const BGP: &[(&str, &str)] =
    &[("address", "192.168.1.100"), ("controlplane", "true"), ("bgp", "true"), ("localAS", "65000")];

fn bgp(more: &[(&str, &str)], options: &Options) -> Resolved {
    resolved(&[BGP, more].concat(), options)
}

#[test]
fn a_pod_that_announces_by_bgp_is_told_what_was_said_and_may_do_no_more_than_that_takes() {
    let options = Options::default();
    let peers = ("bgppeers", "192.168.0.10:65000::false,192.168.0.11:65000:a$(b):false");
    let given = [peers, ("interface", "lo"), ("vipSubnet", "32"), ("sourceIP", "192.168.0.2")];
    let settings = bgp(&given, &options);
    let Object::Pod(made) = pod(&settings, &options).unwrap().remove(0) else { panic!() };
    let spec = made.spec.unwrap();
    let variables = environment(&spec.containers[0]);
    assert!(variables.contains(&("bgp_peers".to_owned(), peers.1.to_owned())), "{variables:?}");
    assert!(variables.contains(&("vip_subnet".to_owned(), "32".to_owned())), "{variables:?}");
    let read = resolve(&Flags::default(), variables.into_iter(), None, &options.host()).unwrap();
    assert_eq!(read.config.bgp, settings.config.bgp);
    let may = |settings: &Resolved| {
        let Object::Pod(pod) = pod(settings, &options).unwrap().remove(0) else { panic!() };
        let spec = pod.spec.unwrap();
        let security = spec.containers[0].security_context.clone().unwrap();
        (
            security.capabilities.unwrap().add.unwrap().join(" "),
            spec.termination_grace_period_seconds.unwrap(),
        )
    };
    assert_eq!(may(&settings), ("NET_ADMIN".into(), 5));
    let both = bgp(&[peers, ("arp", "true")], &options);
    assert_eq!(may(&both), ("NET_ADMIN NET_RAW".into(), 5));
    let more = [peers, ("sourceIF", "eth0"), ("bgp-bfd-enabled", "true"), ("bgp-drain-wait", "2500ms")];
    assert_eq!(may(&bgp(&more, &options)), ("NET_ADMIN NET_RAW SYS_NICE".into(), 8));
}

#[test]
fn passwords_come_into_a_pod_from_files_and_secrets_and_into_no_config_map() {
    let options = in_cluster();
    let peers = r#"[{"address": "192.168.0.10", "as": 65001, "passwordFile": "/etc/bgp/rack/password"},
        {"address": "192.168.0.11", "as": 65001, "passwordSecret": {"name": "b", "namespace": "net"}}]"#;
    let more = [("bgppeers", peers), ("bgp-password-secret-name", "a")];
    let settings = bgp(&more, &options);
    let Object::Pod(made) = pod(&settings, &options).unwrap().remove(0) else { panic!() };
    let mounts = made.spec.unwrap().containers.remove(0).volume_mounts.unwrap();
    let mounts: Vec<_> =
        mounts.iter().map(|mount| (mount.name.as_str(), mount.mount_path.as_str())).collect();
    assert_eq!(mounts, [("passwords-0", "/etc/bgp/rack"), ("run", "/run/vipcast")]);
    let secrets = |object: &Object| {
        let Object::Role(role) = object else { return None };
        let rule =
            role.rules.as_ref()?.iter().find(|rule| rule.resources == Some(vec!["secrets".to_owned()]))?;
        Some((role.metadata.namespace.clone()?, rule.resource_names.clone()?.join(" "), rule.verbs.join(" ")))
    };
    let found: Vec<_> =
        rbac(&settings, &options, Reach::Cluster).unwrap().iter().filter_map(secrets).collect();
    let read =
        |namespace: &str, name: &str| (namespace.to_owned(), name.to_owned(), "get list watch".to_owned());
    assert_eq!(found, [read("kube-system", "a"), read("net", "b")]);
    assert_eq!(
        complaints(config_map(&bgp(&[("bgppeers", "192.168.0.10:65001:hunter2:false")], &options), &options)),
        ["--bgppeers=192.168.0.10:65001:***:false (flag): a password, and a ConfigMap is no place for it; \
          name a Secret in bgp.passwordSecret, or a file in bgp.passwordFile"]
    );
}

#[test]
fn what_is_one_nodes_is_not_said_to_several() {
    let options = in_cluster();
    let more =
        [("bgppeers", "192.168.0.10:65001"), ("bgpRouterID", "192.168.0.2"), ("sourceIP", "192.168.0.2")];
    let made = daemonset(&bgp(&more, &options), &options, Placement::ControlPlane, SettingsIn::Environment);
    assert_eq!(
        complaints(made),
        [
            "--bgpRouterID=192.168.0.2 (flag): the pods run on several nodes, and each has a router ID of its own; \
             leave it out: each pod finds the one of its node",
            "--sourceIP=192.168.0.2 (flag): the pods run on several nodes, and each has an address of its own; \
             leave it out, or name an interface in bgp.sourceInterface",
        ]
    );
}

#[test]
fn durations_are_numbers_in_the_unit_that_kube_vip_counts_in() {
    let written = |flag, variable: &str, text| {
        let variables = environment(&container_of(&[(flag, text)], &Options::default()));
        variables.into_iter().find(|(name, _)| name == variable).unwrap().1
    };
    assert_eq!(written("leaseDuration", "vip_leaseduration", "1m"), "60");
    assert_eq!(written("layer2-refresh", "vip_arpRate", "1500ms"), "1500");
    assert_eq!(written("layer2-refresh", "vip_arpRate", "2s"), "2000");
    let period = ("controlPlaneHealthCheckPeriodSeconds", "control_plane_health_check_period_seconds");
    assert_eq!([written(period.0, period.1, "2"), written(period.0, period.1, "250ms")], ["2", "250ms"]);
}

#[test]
fn the_config_map_says_what_was_said() {
    let options = in_cluster();
    let settings =
        with(&[("vipSubnet", "24"), ("log", "debug"), ("leaseRetry", "1"), ("port", "8443")], &options);
    let Object::ConfigMap(object) = config_map(&settings, &options).unwrap().remove(0) else { panic!() };
    let text = object.data.unwrap().remove("vipcast.yaml").unwrap();
    let read = resolve(&Flags::default(), std::iter::empty(), Some(("f".into(), text)), &options.host());
    assert_eq!(read.unwrap().config, settings.config);
}

#[test]
fn what_yaml_could_take_for_something_else_stays_a_string() {
    let options = Options::default();
    let flags = [("leaseName", "on"), ("namespace", "no"), ("interface", "1e3"), ("nodeName", "0x1f")];
    let objects = pod(&with(&flags, &options), &options).unwrap();
    let text = render(&objects, Form::Yaml).unwrap();
    let read: Value = serde_saphyr::from_str(&text).unwrap();
    assert_eq!(read, serde_json::to_value(&objects[0]).unwrap());
    for value in ["\"on\"", "\"no\"", "\"1e3\"", "\"0x1f\"", "\"true\""] {
        assert!(text.contains(&format!("value: {value}\n")), "{value} in:\n{text}");
    }
}

#[test]
fn json_is_the_object_and_several_are_a_list() {
    let options = in_cluster();
    let one = service_account(&options);
    let value = |objects: &[Object]| -> Value {
        serde_json::from_str(&render(objects, Form::Json).unwrap()).unwrap()
    };
    assert_eq!(value(&one), serde_json::to_value(&one[0]).unwrap());
    let two = value(&[one.clone(), one.clone()].concat());
    assert_eq!((&two["kind"], &two["items"][1]), (&Value::from("List"), &value(&one)));
}

#[test]
fn directories_of_files_that_were_named_are_mounted_under_their_own_paths() {
    let mounts = |flags: &[(&str, &str)], options: &Options| {
        let mut spec = spec_of(flags, options);
        let volumes = spec.volumes.take().unwrap().into_iter().map(|volume| volume.host_path.unwrap());
        let mounts = spec.containers.remove(0).volume_mounts.unwrap().into_iter();
        let one = |(volume, mount): (k8s_openapi::api::core::v1::HostPathVolumeSource, _)| {
            let mount: k8s_openapi::api::core::v1::VolumeMount = mount;
            assert_eq!(volume.path, mount.mount_path);
            (volume.path, volume.type_.unwrap(), mount.read_only)
        };
        volumes.zip(mounts).map(one).collect::<Vec<_>>()
    };
    let read = |path: &str| (path.to_owned(), "Directory".to_owned(), Some(true));
    let write = |path: &str| (path.to_owned(), "DirectoryOrCreate".to_owned(), None);
    let host = Options::default();
    assert_eq!(mounts(&[], &host), [read("/etc/kubernetes"), write("/run/vipcast")]);
    assert_eq!(mounts(&[], &in_cluster()), [write("/run/vipcast")]);
    let k3s = [("k8sConfigPath", "/etc/rancher/k3s/k3s.yaml"), ("admin-socket", "/run/other/a.sock")];
    assert_eq!(mounts(&k3s, &host), [read("/etc/rancher/k3s"), write("/run/other")]);
    let ca = [("controlPlaneHealthCheckCAPath", "/etc/kubernetes/pki/ca.crt")];
    assert_eq!(mounts(&ca, &host), [read("/etc/kubernetes"), write("/run/vipcast")]);
    assert_eq!(mounts(&ca, &in_cluster()), [read("/etc/kubernetes/pki"), write("/run/vipcast")]);
}

#[test]
fn what_does_not_go_with_a_pod_is_refused_by_the_name_it_was_given_under() {
    let made = |flags: &[(&str, &str)], options: &Options| complaints(pod(&with(flags, options), options));
    assert_eq!(
        made(&[("k8sConfigPath", "/a/b")], &in_cluster()),
        ["--k8sConfigPath=/a/b (flag): contradicts --inCluster, by which the pod uses its service account; \
          keep one of the two"]
    );
    assert_eq!(
        made(&[("k8sConfigPath", "admin.conf"), ("admin-socket", "/run/a.sock")], &Options::default()),
        [
            "--k8sConfigPath=admin.conf (flag): not an absolute path without ..; \
             name a file in a directory of its own, which is mounted into the container",
            "--admin-socket=/run/a.sock (flag): its directory is too much of the host to give to a container; \
             name a file in a directory of its own, which is mounted into the container",
        ]
    );
    let options = in_cluster();
    let one_node = with(&[("nodeName", "cp1")], &options);
    let reason = "--nodeName=cp1 (flag): the pods run on several nodes, and each has a name of its own; \
                  leave it out: each pod is told the name of its node";
    assert_eq!(complaints(config_map(&one_node, &options)), [reason]);
    assert_eq!(
        complaints(daemonset(&one_node, &options, Placement::ControlPlane, SettingsIn::Environment)),
        [reason]
    );
    let monitor =
        |listen| complaints(pod_monitor(&with(&[("prometheusHTTPServer", listen)], &options), &options));
    assert_eq!(
        [monitor("off"), monitor("127.0.0.1:2112")],
        [
            ["--prometheusHTTPServer=off (flag): there are no metrics to read; write for example :2112"],
            ["--prometheusHTTPServer=127.0.0.1:2112 (flag): no Prometheus reaches metrics on loopback; \
              write for example :2112"],
        ]
    );
}

#[test]
fn probes_ask_where_the_daemon_listens_and_nowhere_else() {
    let probed = |listen: &str| {
        let container = container_of(&[("prometheusHTTPServer", listen)], &Options::default());
        let host = |probe: Option<k8s_openapi::api::core::v1::Probe>| probe?.http_get?.host;
        let port = container.ports.map(|ports| ports[0].container_port);
        assert_eq!(host(container.liveness_probe), host(container.readiness_probe.clone()));
        Some((host(container.readiness_probe)?, port?))
    };
    let at = |host: &str, port| Some((host.to_owned(), port));
    assert_eq!(probed(":9000"), at("127.0.0.1", 9000));
    assert_eq!(probed("0.0.0.0:2112"), at("127.0.0.1", 2112));
    assert_eq!(probed("[::]:2112"), at("::1", 2112));
    assert_eq!(probed("192.0.2.7:2112"), at("192.0.2.7", 2112));
    assert_eq!(probed("off"), None);
}
