//! Good and bad values.

use std::net::IpAddr;
use std::num::{NonZeroU16, NonZeroU32};
use std::path::PathBuf;
use std::time::Duration;

use proptest::prelude::*;
use vipcast_proto::election::Timing;

use super::super::{
    Admin, Announced, Config, ControlPlane, Election, Health, KubernetesAccess, Layer2, Listen, Log,
    LogFormat, LogLevel, WireCheck, resolve, table,
};
use super::{complaints, config, notices, with};

#[test]
fn an_address_and_two_switches_are_enough() {
    let expected = Config {
        control_plane: Some(ControlPlane {
            vips: vec!["192.0.2.10/32".parse().unwrap()],
            port: NonZeroU16::new(6443).unwrap(),
            announced: Announced::ByTheHolder,
        }),
        bgp: None,
        services: None,
        layer2: Some(Layer2 {
            interface: None,
            address_lifetime: Duration::from_secs(2),
            refresh: Duration::from_secs(60),
            wire_check: Some(WireCheck {
                probes: NonZeroU32::new(3).unwrap(),
                interval: Duration::from_millis(10),
                wait: Duration::from_millis(10),
                retry: Duration::from_secs(1),
            }),
        }),
        election: Election {
            lease_namespace: "kube-system".into(),
            lease_name: "plndr-cp-lock".into(),
            timing: Timing {
                lease_duration: Duration::from_secs(15),
                renew_deadline: Duration::from_secs(10),
                retry_period: Duration::from_secs(2),
            },
        },
        kubernetes: KubernetesAccess::default(),
        health: Some(Health {
            address: None,
            path: "/readyz".into(),
            interval: Duration::from_secs(1),
            timeout: Duration::from_secs(1),
            failure_threshold: NonZeroU32::new(3).unwrap(),
            success_threshold: NonZeroU32::new(2).unwrap(),
            ca_path: None,
        }),
        admin: Admin {
            socket: PathBuf::from("/run/vipcast/vipcast.sock"),
            metrics: Some(Listen { host: None, port: NonZeroU16::new(2112).unwrap() }),
        },
        events: true,
        log: Log { level: LogLevel::Info, format: LogFormat::Text },
        node_name: "cp1".into(),
        shutdown_wait: Duration::from_secs(1),
    };
    let resolved = with(&[]).unwrap();
    assert_eq!((resolved.config, resolved.notices), (expected, vec![]));
}

#[test]
fn every_bad_value_is_refused_with_its_name_value_source_reason_and_fix() {
    for (name, value, complaint) in REFUSED {
        assert_eq!(complaints(&[(name, value)]), [format!("{name}={value} (environment): {complaint}")]);
    }
}

#[test]
fn addresses_that_no_host_of_a_lan_can_have_are_refused() {
    let unfit = "write a free address of the LAN";
    let table = [
        ("0.0.0.0", format!("0.0.0.0 is the unspecified address; {unfit}")),
        ("::", format!(":: is the unspecified address; {unfit}")),
        ("255.255.255.255", format!("255.255.255.255 is the broadcast address; {unfit}")),
        ("224.0.0.1", format!("224.0.0.1 is a multicast address; {unfit}")),
        ("ff02::1", format!("ff02::1 is a multicast address; {unfit}")),
        ("127.0.0.1", format!("127.0.0.1 is a loopback address; {unfit}")),
        ("::1", format!("::1 is the loopback address; {unfit}")),
        ("fe80::1", format!("fe80::1 is link-local, which no other LAN can reach; {unfit}")),
        ("240.0.0.1", format!("240.0.0.1 is reserved, not an address of a host; {unfit}")),
        ("::ffff:192.0.2.1", format!("::ffff:192.0.2.1 is an IPv4 address in IPv6 clothes; {unfit}")),
        ("192.0.2.1,192.0.2.1", "192.0.2.1 is there twice; write every address once".into()),
        ("2001:db8::1,2001:DB8:0::1", "2001:db8::1 is there twice; write every address once".into()),
        (
            "192.0.2.300,vip.example.org,192.0.2.1,192.0.2.1",
            "\"192.0.2.300\" is wrong: not an IP address; \"vip.example.org\" is wrong: names are not supported yet; \
             192.0.2.1 is there twice; write for example 192.0.2.10 or 2001:db8::10; give the address; \
             write every address once"
                .into(),
        ),
        ("192.0.2.1,", "an empty address in the list; write addresses separated by single commas".into()),
        ("api.example.org", "names are not supported yet; give the address".into()),
        (
            "192.0.2.1/24",
            "an address with a prefix length; write 192.0.2.1 here, and 24 in vip_subnet".into(),
        ),
        ("192.0.2.1.", "not an IP address; write for example 192.0.2.10 or 2001:db8::10".into()),
    ];
    for (value, complaint) in table {
        assert_eq!(
            complaints(&[("address", value)]),
            [format!("address={value} (environment): {complaint}")]
        );
    }
    for (value, role) in [("192.0.2.255", "broadcast"), ("192.0.2.0", "network")] {
        let complaint =
            format!("address={value} (environment): {value} is the {role} address of 192.0.2.0/24; {unfit}");
        assert_eq!(complaints(&[("address", value), ("vip_subnet", "24")]), [complaint]);
    }
}

#[test]
fn prefix_lengths_go_to_their_family() {
    let table = [
        ("192.0.2.10", "", "192.0.2.10/32", None),
        ("192.0.2.10", "24", "192.0.2.10/24", None),
        ("192.0.2.10", "/24", "192.0.2.10/24", None),
        ("192.0.2.10", "auto", "192.0.2.10/32", Some("auto")),
        ("192.0.2.10, 2001:db8::10", "32,128", "192.0.2.10/32 2001:db8::10/128", None),
        ("192.0.2.10,2001:db8::10", "24, 64", "192.0.2.10/24 2001:db8::10/64", None),
        ("2001:db8::10", "64", "2001:db8::10/64", None),
        ("2001:db8::10", "32", "2001:db8::10/128", Some("trap")),
        ("192.0.2.10,2001:db8::10", "24", "192.0.2.10/24 2001:db8::10/128", Some("trap")),
    ];
    for (address, prefixes, expected, notice) in table {
        let given = [("address", address), ("vip_subnet", prefixes)];
        let vips = config(&given).control_plane.unwrap().vips;
        assert_eq!(vips.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "), expected);
        let expected: Vec<_> = notice
            .map(|notice| match notice {
                "auto" => "vip_subnet: auto means /32 for IPv4 and /128 for IPv6".to_owned(),
                _ => format!(
                    "vip_subnet: {prefixes} is taken for IPv4 only; IPv6 VIPs get /128. Write {prefixes},128 to say so"
                ),
            })
            .into_iter()
            .collect();
        assert_eq!(notices(&given), expected, "{address} {prefixes}");
    }
}

#[test]
fn timings_are_checked_against_each_other() {
    let timing = |lease: &str, renew: &str, retry: &str| {
        with(&[("vip_leaseduration", lease), ("vip_renewdeadline", renew), ("vip_retryperiod", retry)])
            .map(|resolved| resolved.config.election.timing)
            .map_err(|wrong| wrong.problems.iter().map(ToString::to_string).collect::<Vec<_>>())
    };
    let seconds = Duration::from_secs;
    assert_eq!(
        timing("5", "3", "1"),
        Ok(Timing { lease_duration: seconds(5), renew_deadline: seconds(3), retry_period: seconds(1) })
    );
    assert_eq!(
        timing("3", "2", "1"),
        Ok(Timing { lease_duration: seconds(3), renew_deadline: seconds(2), retry_period: seconds(1) })
    );
    assert_eq!(
        timing("10", "10", "2"),
        Err(vec![
            "vip_renewdeadline=10s (environment): not shorter than vip_leaseduration, 10s; \
             leave at least a second to vip_leaseduration, for example 10 of 15"
                .to_owned()
        ])
    );
    assert_eq!(
        timing("5", "3", "2"),
        Err(vec![
            "vip_retryperiod=2s (environment): more than half of vip_renewdeadline, 3s: one lost request would lose \
             the Lease; write at most 1"
                .to_owned()
        ])
    );
}

#[test]
fn a_frozen_node_cannot_be_told_to_keep_its_vip_beyond_the_lease() {
    assert_eq!(
        complaints(&[("vipcast_layer2_address_lifetime", "16")]),
        [
            "vipcast_layer2_address_lifetime=16s (environment): longer than vip_leaseduration: a frozen node would keep the \
          VIP after another has taken it; write at most 15"
        ]
    );
}

#[test]
fn everything_that_is_wrong_is_said_at_once() {
    let wrong = with(&[
        ("address", "vip.example.org"),
        ("vip_leaseduration", "5x"),
        ("vip_retryperiod", "0"),
        ("vip_wireguard", "true"),
        ("port", "http"),
        ("vip_adress", "192.0.2.1"),
    ])
    .unwrap_err();
    assert_eq!(
        wrong.to_string(),
        "vip_wireguard (environment): WireGuard is not built into this version; leave it out and set vip_arp=true or \
         bgp_enable=true\n\
         address=vip.example.org (environment): names are not supported yet; give the address\n\
         port=http (environment): not a port; write a number from 1 to 65535\n\
         vip_leaseduration=5x (environment): not a whole number of seconds; write for example 15\n\
         vip_retryperiod=0 (environment): out of range; write a duration from 1s to 1799s\n\
         vip_adress: unknown, did you mean vip_address?"
    );
}

#[test]
fn log_levels_are_names_or_numbers_of_kube_vip() {
    let table = [
        ("warn", LogLevel::Warn),
        ("DEBUG", LogLevel::Debug),
        ("-4", LogLevel::Debug),
        ("0", LogLevel::Info),
        ("4", LogLevel::Warn),
        ("8", LogLevel::Error),
        ("5", LogLevel::Debug),
    ];
    for (text, level) in table {
        assert_eq!(config(&[("vip_loglevel", text)]).log.level, level, "{text}");
    }
}

#[test]
fn metrics_are_on_unless_switched_off_by_name() {
    let listen =
        |text: &str| config(&[("prometheus_server", text)]).admin.metrics.map(|listen| listen.to_string());
    let table = [
        ("", Some(":2112")),
        (":9100", Some(":9100")),
        ("127.0.0.1:9100", Some("127.0.0.1:9100")),
        ("[::1]:9100", Some("[::1]:9100")),
        ("localhost:9100", Some("127.0.0.1:9100")),
        ("off", None),
        ("false", None),
    ];
    for (text, expected) in table {
        assert_eq!(listen(text).as_deref(), expected, "{text}");
    }
}

#[test]
fn servers_are_hosts_or_urls_and_get_the_port_of_the_control_plane() {
    let server = |text: &str| {
        let address = config(&[("kubernetes_addr", text), ("port", "8443")]).kubernetes.address;
        address.map(|uri| uri.to_string())
    };
    let table = [
        ("192.0.2.1", "https://192.0.2.1:8443/"),
        ("192.0.2.1:6443", "https://192.0.2.1:6443/"),
        ("2001:db8::1", "https://[2001:db8::1]:8443/"),
        ("[2001:db8::1]:6443", "https://[2001:db8::1]:6443/"),
        ("http://127.0.0.1:8001", "http://127.0.0.1:8001/"),
        ("kubernetes", "https://kubernetes:8443/"),
    ];
    for (text, expected) in table {
        assert_eq!(server(text).as_deref(), Some(expected));
    }
}

#[test]
fn a_path_in_the_probed_url_stands_for_the_path() {
    let health = config(&[("control_plane_health_check_address", "https://127.0.0.1:6443/livez?verbose")])
        .health
        .unwrap();
    let probed = (health.address.unwrap().to_string(), health.path);
    assert_eq!(probed, ("https://127.0.0.1:6443/".to_owned(), "/livez?verbose".to_owned()));
    let both = [
        ("control_plane_health_check_address", "https://127.0.0.1/livez"),
        ("vipcast_health_path", "/healthz"),
    ];
    assert_eq!(
        complaints(&both),
        [
            "vipcast_health_path=/healthz (environment): contradicts the path in control_plane_health_check_address; \
          keep one of the two"
        ]
    );
}

#[test]
fn credentials_are_not_shown() {
    assert_eq!(
        complaints(&[("kubernetes_addr", "https://admin:hunter2@192.0.2.1")]),
        [
            "kubernetes_addr=***@192.0.2.1 (environment): carries credentials, which belong in the kubeconfig; \
          write for example 192.0.2.1, 192.0.2.1:6443 or https://api.example.org:6443"
        ]
    );
    let wrong =
        with(&[("bgp_enable", "true"), ("bgp_peerpass", "hunter2"), ("bgp_peerpas", "hunter2")]).unwrap_err();
    assert!(!format!("{wrong}").contains("hunter2"), "{wrong}");
}

#[test]
fn a_value_from_outside_stays_on_its_line() {
    let complaint = complaints(&[("port", &format!("1\n\u{1b}[2J{}", "9".repeat(500)))]).remove(0);
    let shown = format!("1\\n\\u{{1b}}[2J{}…", "9".repeat(114));
    assert_eq!(complaint, format!("port={shown} (environment): not a port; write a number from 1 to 65535"));
}

#[test]
fn every_default_is_a_value_that_could_be_written() {
    for spec in table::ALL {
        if let (Some(default), Some(name)) = (spec.default, spec.env.first())
            && !matches!(spec.key, "controlPlane.enabled" | "layer2.enabled")
        {
            let on = ("bgp_enable", "true");
            let around = vec![on, ("bgp_peeraddress", "198.51.100.1")];
            let around = if spec.section() == "bgp" && name.text != on.0 { around } else { vec![] };
            let expected = config(&around);
            let written = config(&[around, vec![(name.text, default)]].concat());
            assert_eq!(written, expected, "{}", spec.key);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_text_in_any_variable_or_file_panics(text in ".*", near in "[0-9a-z:/,.@%\\[\\]\\-]{0,24}") {
        for spec in table::ALL {
            for name in spec.env {
                for text in [&text, &near] {
                    let _ = with(&[(name.text, text)]);
                }
            }
        }
        let file = Some(("f".to_owned(), format!("controlPlane:\n  address: {near}\n{text}")));
        let _ = resolve(&super::Flags::default(), std::iter::empty(), file, &super::host());
    }

    #[test]
    fn an_accepted_vip_is_the_one_that_was_written(bits: u32) {
        let address = IpAddr::from(bits.to_be_bytes());
        if let Ok(resolved) = with(&[("address", &address.to_string())]) {
            let vips: Vec<_> = resolved.config.control_plane.unwrap().vips.iter().map(|vip| vip.addr()).collect();
            prop_assert_eq!(vips, vec![address]);
        }
    }
}

/// Setting, value, complaint.
const REFUSED: &[(&str, &str, &str)] = &[
    ("vip_leaseduration", "5x", "not a whole number of seconds; write for example 15"),
    ("vip_leaseduration", "2500ms", "not a whole number of seconds; write for example 15"),
    ("vip_leaseduration", "-5", "not a whole number of seconds; write for example 15"),
    ("vip_leaseduration", "2", "out of range; write a duration from 3s to 3600s"),
    ("vip_leaseduration", "99999999999999999999", "not a whole number of seconds; write for example 15"),
    ("vipcast_layer2_address_lifetime", "61", "out of range; write a duration from 1s to 60s"),
    ("vipcast_layer2_address_lifetime", "0", "out of range; write a duration from 1s to 60s"),
    ("vip_arpRate", "499", "out of range; write a duration from 500ms to 3600s"),
    ("vip_arpRate", "soon", "not a duration; write for example 60s"),
    ("vipcast_shutdown_wait", "2s", "out of range; write a duration from 50ms to 1s"),
    ("vip_arp", "yes", "neither true nor false; write true or false"),
    ("port", "0", "not a port; write a number from 1 to 65535"),
    ("port", "65536", "not a port; write a number from 1 to 65535"),
    ("vipcast_layer2_wire_check_probes", "0", "not a whole number in range; write 1 to 10"),
    ("vipcast_layer2_wire_check_probes", "2.5", "not a whole number in range; write 1 to 10"),
    ("vip_interface", "lo", "nobody asks for addresses on the loopback interface; name a LAN interface"),
    (
        "vip_interface",
        "eth0/../..",
        "not an interface name; write a name of at most 15 characters, such as eth0, or nothing to have it found",
    ),
    (
        "vip_nodename",
        "node_1",
        "not a Kubernetes name (lower-case letters, digits, - and .); write the name of a Node, as in kubectl get nodes",
    ),
    (
        "cp_namespace",
        "a.b",
        "not a Kubernetes name (lower-case letters, digits, - and .); write a namespace, such as kube-system",
    ),
    (
        "vip_leasename",
        "a/b/c",
        "not a Kubernetes name (lower-case letters, digits, - and .); write name or namespace/name, such as kube-system/vipcast",
    ),
    ("vip_subnet", "33,128", "the first prefix length is IPv4's, at most 32; write 32,128"),
    ("vip_subnet", "64", "too long for the IPv4 VIP 192.0.2.10; write at most 32"),
    ("vip_subnet", "255.255.255.0", "not a prefix length; write 32, 128, or both as 32,128 (IPv4 first)"),
    ("vip_subnet", "+8", "not a prefix length; write 32, 128, or both as 32,128 (IPv4 first)"),
    ("vip_loglevel", "1", "not a log level; write error, warn, info, debug or trace"),
    ("vipcast_log_format", "xml", "not a log format; write text or json"),
    ("prometheus_server", "2112", "not an address to listen on; write :2112, 127.0.0.1:2112, or off"),
    ("prometheus_server", ":0", "not an address to listen on; write :2112, 127.0.0.1:2112, or off"),
    ("vipcast_health_path", "readyz", "not a path of a URL; write /readyz or /livez"),
    (
        "control_plane_health_check_address",
        "ftp://127.0.0.1/",
        "neither http nor https; write for example https://127.0.0.1:6443/readyz",
    ),
    (
        "control_plane_health_check_address",
        "https://127.0.0.1:66000/",
        "has a wrong port; write for example https://127.0.0.1:6443/readyz",
    ),
    (
        "kubernetes_addr",
        "https://192.0.2.1/path",
        "a server has no path; write for example 192.0.2.1, 192.0.2.1:6443 or https://api.example.org:6443",
    ),
    (
        "vipcast_admin_socket",
        "vipcast.sock",
        "not an absolute path of a socket; write an absolute path such as /run/vipcast/vipcast.sock",
    ),
];
