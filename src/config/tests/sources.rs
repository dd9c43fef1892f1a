//! Flags, environment and file against each other.

use clap::{Args, Command, FromArgMatches};

use super::super::setting::{Kind, Spec, Status};
use super::super::{Flags, Resolved, RunArgs, Source, foreign, resolve, table};
use super::{MINIMUM, complaints, config, file, host, notices, pairs, with};

#[test]
fn every_setting_can_be_given_by_flag_environment_and_file_in_this_precedence() {
    for spec in table::ALL {
        for mask in 1..8u8 {
            let resolved = given(spec, mask);
            let noted = resolved.sources.iter().find(|noted| noted.key == spec.key).unwrap();
            let (flag, env) = (spec.flags.first().unwrap().text, spec.env.first().unwrap().text);
            let expected = match mask {
                FLAG.. => (Some(0), format!("flag --{flag}")),
                ENV.. => (Some(1), format!("environment {env}")),
                _ => (Some(2), format!("file vipcast.yaml:{}", spec.key)),
            };
            let expected_value = expected.0.map(|layer| canonical(spec, samples(spec)[layer]));
            assert_eq!(
                (noted.value.clone(), noted.source.to_string()),
                (expected_value, expected.1),
                "{}",
                spec.key
            );
        }
    }
}

#[test]
fn every_setting_changes_the_configuration() {
    for spec in table::ALL {
        let around = companions(spec);
        let unchanged = config(&around);
        let name = spec.env.first().unwrap().text;
        if matches!(spec.key, "controlPlane.enabled" | "layer2.enabled") {
            assert!(with(&[(name, "false")]).is_err(), "{}", spec.key);
        } else {
            let other = if matches!(spec.kind, Kind::Switch) && spec.default == Some("true") {
                "false"
            } else {
                samples(spec)[1]
            };
            let changed = config(&[around, vec![(name, other)]].concat());
            assert_ne!(changed, unchanged, "{}", spec.key);
        }
    }
}

#[test]
fn no_two_settings_share_a_name() {
    let mut env: Vec<_> = table::ALL.iter().flat_map(|spec| spec.env).map(|name| name.text).collect();
    env.extend(foreign::ALL.iter().flat_map(|row| row.env));
    let mut flags: Vec<_> = table::ALL.iter().flat_map(|spec| spec.flags).map(|name| name.text).collect();
    flags.extend(foreign::ALL.iter().flat_map(|row| row.flags));
    for mut names in [env, flags, table::ALL.iter().map(|spec| spec.key).collect()] {
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
    }
}

#[test]
fn our_own_names_follow_from_the_key() {
    let snake = |key: &str| {
        let split = |c: char| {
            if c.is_uppercase() { format!("_{}", c.to_lowercase()) } else { c.to_string() }
        };
        key.replace('.', "_").chars().map(split).collect::<String>()
    };
    for spec in table::ALL {
        for name in spec.env.iter().filter(|name| name.text.starts_with("vipcast_")) {
            assert_eq!(name.text, format!("vipcast_{}", snake(spec.key)));
        }
        for name in spec.flags.iter().filter(|name| name.text.contains('-')) {
            assert_eq!(name.text, snake(spec.key).replace('_', "-"));
        }
        assert!(spec.env.first().is_some_and(|name| name.status == Status::Current));
        assert!(spec.default.is_some() == spec.otherwise.is_empty(), "{}", spec.key);
    }
}

#[test]
fn flags_are_written_as_kube_vip_reads_them() {
    let args = [
        "--arp",
        "--controlplane=True",
        "--address",
        "192.0.2.10",
        "-n",
        "vips",
        "--log",
        "-4",
        "--leaderElection",
    ];
    assert_eq!(
        parse(&args).unwrap(),
        Flags(pairs(&[
            ("controlplane", "True"),
            ("address", "192.0.2.10"),
            ("arp", "true"),
            ("leaderElection", "true"),
            ("namespace", "vips"),
            ("log", "-4"),
        ]))
    );
    assert_eq!(parse(&["--arp=false"]).unwrap(), Flags(pairs(&[("arp", "false")])));
    assert_eq!(
        parse(&["--prometheusHTTPServer", ""]).unwrap(),
        Flags(pairs(&[("prometheusHTTPServer", "")]))
    );
    let several =
        ["--multihop", "--sourceIP", "10.0.0.1", "--bgp-multihop", "--bgp-bfd-multihop", "--peerAS=65001"];
    let expected = [
        ("sourceIP", "10.0.0.1"),
        ("peerAS", "65001"),
        ("multihop", "true"),
        ("bgp-multihop", "true"),
        ("bgp-bfd-multihop", "true"),
    ];
    assert_eq!(sorted(parse(&several).unwrap()), sorted(Flags(pairs(&expected))));
    assert_eq!(parse(&["--multihop=3"]).unwrap(), Flags(pairs(&[("multihop", "3")])));
    let unknown = parse(&["--adress", "192.0.2.10"]).unwrap_err();
    assert!(
        unknown.contains("unexpected argument '--adress'") && unknown.contains("'--address'"),
        "{unknown}"
    );
}

#[test]
fn an_empty_flag_switches_metrics_off_and_nothing_else() {
    let flags = Flags(pairs(&[("prometheusHTTPServer", ""), ("interface", ""), ("nodeName", "None")]));
    let resolved = resolve(&flags, pairs(&MINIMUM).into_iter(), None, &host()).unwrap().config;
    assert_eq!(
        (resolved.admin.metrics, resolved.layer2.unwrap().interface, resolved.node_name.as_str()),
        (None, None, "cp1")
    );
}

#[test]
fn every_way_of_writing_nothing_means_nothing() {
    for spec in table::ALL
        .iter()
        .filter(|spec| !matches!(spec.section(), "controlPlane") && spec.key != "layer2.enabled")
    {
        let around = companions(spec);
        let unchanged = config(&around);
        for nothing in ["", " ", "None", "null", "~"] {
            for name in spec.env {
                let nothing = vec![(name.text, nothing)];
                assert_eq!(config(&[around.clone(), nothing].concat()), unchanged, "{}", name.text);
            }
        }
    }
}

#[test]
fn a_deprecated_name_counts_and_is_answered_with_the_new_one() {
    let old = [("address", ""), ("vip_address", "192.0.2.11"), ("vip_cidr", "24")];
    let resolved = with(&old).unwrap();
    assert_eq!(resolved.config.control_plane.unwrap().vips, ["192.0.2.11/24".parse().unwrap()]);
    let source = &resolved.sources.iter().find(|noted| noted.key == "controlPlane.address").unwrap().source;
    assert_eq!(source.to_string(), "environment vip_address (deprecated name, use address)");
    assert_eq!(
        notices(&old),
        ["vip_address: deprecated name, use address", "vip_cidr: deprecated name, use vip_subnet"]
    );
}

#[test]
fn two_names_of_one_setting_must_not_contradict() {
    assert_eq!(
        complaints(&[("vip_address", "192.0.2.99")]),
        ["vip_address=192.0.2.99 (environment): contradicts address; keep only address"]
    );
    assert_eq!(notices(&[("vip_address", "192.0.2.10")]), Vec::<String>::new());
}

#[test]
fn unknown_variables_get_the_nearest_name() {
    let table = [
        ("vip_adress", "vip_adress: unknown, did you mean vip_address?"),
        ("cp_enabled", "cp_enabled: unknown, did you mean cp_enable?"),
        ("vip_arprate", "vip_arprate: unknown, did you mean vip_arpRate?"),
        ("VIP_ARP", "VIP_ARP: unknown, did you mean vip_arp? Names are lower case"),
        ("svc_frobnicate", "svc_frobnicate: unknown"),
        ("vipcast_log_fromat", "vipcast_log_fromat: unknown, did you mean vipcast_log_format?"),
    ];
    for (name, notice) in table {
        assert_eq!(notices(&[(name, "x")]), [notice]);
    }
    assert_eq!(notices(&[("VIP_SERVICE_HOST", "10.0.0.1"), ("PATH", "/bin")]), Vec::<String>::new());
}

#[test]
fn the_file_is_checked_as_a_whole_with_lines() {
    let text = "controlPlane:\n  enabled: yes\n  adress: 192.0.2.10\n  port: [1]\nlayer2: eth0\nelection:\n  leaseDuration: 5x\nlog:\n";
    let wrong = file(text).unwrap_err();
    let lines: Vec<_> = wrong.problems.iter().map(ToString::to_string).collect();
    assert_eq!(
        lines,
        [
            "controlPlane.adress (vipcast.yaml line 3): unknown, did you mean controlPlane.address?; \
             vipcast config --schema lists every key",
            "controlPlane.port (vipcast.yaml line 4): a list; write a single value",
            "layer2 (vipcast.yaml line 5): a group of settings, not a value; write its settings below it",
            "controlPlane.enabled=yes (vipcast.yaml line 2): neither true nor false; write true or false",
            "election.leaseDuration=5x (vipcast.yaml line 7): not a whole number of seconds; write for example 15",
        ]
    );
}

#[test]
fn a_file_that_is_no_yaml_says_where_and_nothing_that_is_unknown() {
    for (text, line) in [("a: [1\nb: 2", 2), ("a: 1\na: 2", 2), ("\tx", 1)] {
        let wrong = file(text).unwrap_err();
        assert_eq!(wrong.problems.len(), 1, "{wrong}");
        let expected = Source::File { path: "vipcast.yaml".into(), key: String::new(), line };
        assert_eq!(wrong.problems[0].source, Some(expected), "{wrong}");
    }
}

#[test]
fn numbers_in_the_file_are_taken_as_they_are_written() {
    let text =
        "controlPlane: {enabled: true, address: 192.0.2.10}\nlayer2: {enabled: true}\nnode: {name: 007}\n";
    assert_eq!(file(text).unwrap().config.node_name, "007");
    assert_eq!(file(&text.replace("007", "1.10")).unwrap().config.node_name, "1.10");
    assert_eq!(file(&text.replace("007", "0x10")).unwrap().config.node_name, "0x10");
}

#[test]
fn a_hostile_file_is_refused_and_does_not_grow_the_process() {
    let laughs: String =
        (1..40).map(|i| format!("a{i}: &a{i} [*a{0}, *a{0}, *a{0}, *a{0}]\n", i - 1)).collect();
    let texts = [
        "[".repeat(200_000),
        "{a: ".repeat(100_000),
        "a:\n".to_owned() + &" ".repeat(500_000),
        format!("a0: &a0 [x, x]\n{laughs}"),
        (0..50_000).map(|i| format!("vip_adress{i}: 1\n")).collect(),
        format!("controlPlane: {{address: [{}]}}", "192.0.2.1, ".repeat(50_000)),
    ];
    for text in texts {
        let problems = file(&text).unwrap_err().problems.len();
        assert!((1..60).contains(&problems), "{problems}");
    }
}

#[test]
fn an_empty_file_is_no_file() {
    for text in ["", "# nothing\n", "controlPlane:\n"] {
        let text = Some(("vipcast.yaml".to_owned(), text.to_owned()));
        let resolved = resolve(&Flags::default(), pairs(&MINIMUM).into_iter(), text, &host());
        assert_eq!(resolved, with(&[]));
    }
}

#[test]
fn an_unreadable_file_is_a_problem_of_its_own() {
    let flags = Flags(pairs(&[("config", "/nonexistent/vipcast.yaml"), ("port", "x")]));
    let lines: Vec<_> =
        super::super::load(&flags).unwrap_err().problems.iter().map(ToString::to_string).collect();
    assert_eq!(
        lines,
        [
            "--config=/nonexistent/vipcast.yaml (flag): No such file or directory (os error 2); \
             name a readable YAML or JSON file",
            "--port=x (flag): not a port; write a number from 1 to 65535",
        ]
    );
    let directory = Flags(pairs(&[("config-file", "/")]));
    assert_eq!(
        super::super::load(&directory).unwrap_err().to_string(),
        "--config-file=/ (flag): not a regular file; name a readable YAML or JSON file"
    );
}

const FILE: u8 = 1;
const ENV: u8 = 2;
const FLAG: u8 = 4;

/// The minimum from the environment, and one setting from the layers of `mask`.
fn given(spec: &'static Spec, mask: u8) -> Resolved {
    let [flag, env, file] = samples(spec);
    let name = spec.env.first().unwrap().text;
    let arg = format!("--{}={flag}", spec.flags.first().unwrap().text);
    let flags = if mask & FLAG == 0 { Flags::default() } else { parse(&[&arg]).unwrap() };
    let minimum = pairs(&MINIMUM).into_iter().filter(|(minimum, _)| minimum != name);
    let minimum = minimum.chain(pairs(&companions(spec)));
    let env = if mask & ENV == 0 { vec![] } else { pairs(&[(name, env)]) };
    let file = (mask & FILE != 0).then(|| ("vipcast.yaml".to_owned(), yaml(spec.key, file)));
    resolve(&flags, minimum.chain(env), file, &host()).unwrap()
}

fn yaml(key: &str, value: &str) -> String {
    let braces = key.matches('.').count();
    format!("{}: \"{value}\"{}", key.replace('.', ": {"), "}".repeat(braces))
}

fn canonical(spec: &Spec, text: &str) -> String {
    let bare = text.bytes().all(|b| b.is_ascii_digit());
    if matches!(spec.kind, Kind::Switch) {
        "true".into()
    } else if matches!(spec.kind, Kind::Secret) {
        "***".into()
    } else if spec.key == "bgp.addressGroups" {
        text.replace("[{prefixes: ", "[{\"prefixes\":\"").replace("}]", "\"}]")
    } else if spec.key == "services.pools" {
        text.replace("{addresses: ", "{\"addresses\":\"")
            .replace(", name: ", "\",\"name\":\"")
            .replace("}]", "\"}]")
    } else if matches!(spec.kind, Kind::Server) {
        format!("https://{text}/")
    } else if matches!(spec.kind, Kind::Span(_)) && bare {
        format!("{text}s")
    } else {
        text.into()
    }
}

/// Three values: for flag, environment and file. None is the default, except of switches.
fn samples(spec: &Spec) -> [&'static str; 3] {
    match spec.kind {
        Kind::Switch => ["true", "1", "T"],
        Kind::Addresses => ["192.0.2.1", "2001:db8::1", "192.0.2.1,2001:db8::1"],
        Kind::Prefixes => ["24", "25", "26,64"],
        Kind::Port => ["1", "2", "3"],
        Kind::Count(_) => ["4", "5", "6"],
        Kind::Choice(words) => [words[1]; 3],
        Kind::Level => ["warn", "debug", "trace"],
        Kind::Listen => [":1", "off", "127.0.0.1:3"],
        Kind::Path => ["/a", "/b", "/c"],
        Kind::Url => ["https://a.example/", "https://b.example/", "http://c.example/"],
        Kind::Server => ["a.example:1", "b.example:2", "c.example:3"],
        Kind::UrlPath => ["/a", "/b", "/c"],
        Kind::Interface => ["eth1", "eth2", "eth3"],
        Kind::NodeName | Kind::Namespace | Kind::LeaseName => ["a", "b", "c"],
        Kind::Number(..) => ["7", "8", "9"],
        Kind::Secret => ["a", "b", "c"],
        Kind::Text(_) | Kind::NumberOr(_) | Kind::SwitchOr(_) | Kind::Texts(_) | Kind::Records(_) => {
            samples_of_texts(spec.key)
        }
        Kind::Span(_) => match spec.key {
            "election.leaseDuration" | "services.leaseDuration" => ["16", "17", "18s"],
            "election.renewDeadline" | "services.renewDeadline" => ["7", "8", "9s"],
            "election.retryPeriod" | "services.retryPeriod" | "layer2.addressLifetime" => ["1", "3", "4s"],
            "bgp.keepalive" => ["1", "2", "3s"],
            "bgp.sendHold" => ["40", "50", "60s"],
            "bgp.connectRetry" | "bgp.gracefulRestart.restartTime" => ["5", "7", "9s"],
            "bgp.bfd.transmitInterval" | "bgp.bfd.receiveInterval" => ["100ms", "200ms", "400ms"],
            "layer2.refresh" => ["5s", "7s", "9s"],
            _ => ["100ms", "300ms", "400ms"],
        },
    }
}

fn samples_of_texts(key: &str) -> [&'static str; 3] {
    match key.rsplit('.').next().unwrap() {
        "localAs" => ["65010", "65020", "65030"],
        "as" => ["65001", "external", "any"],
        "routerId" | "sourceAddress" | "ipv4" => ["192.0.2.1", "192.0.2.2", "192.0.2.3"],
        "ipv6" => ["2001:db8::1", "2001:db8::2", "2001:db8::3"],
        "peers" => ["198.51.100.7:65007", "198.51.100.8:65008", "198.51.100.9:65009"],
        "address" => ["198.51.100.2", "2001:db8::2", "fe80::1%eth0"],
        "multihop" => ["2", "3", "4"],
        "holdTime" => ["9", "12", "15"],
        "families" => ["ipv6", "ipv4,ipv6", "ipv6"],
        "communities" => ["65000:1", "65000:2", "no-export"],
        "largeCommunities" => ["1:2:3", "4:5:6", "7:8:9"],
        "extendedCommunities" => ["rt:65000:1", "soo:65000:2", "0x4304000000000001"],
        "linkBandwidth" => ["10G", "20G", "40G"],
        "addressGroups" => {
            ["[{prefixes: 192.0.2.0/24}]", "[{prefixes: 192.0.2.0/25}]", "[{prefixes: 192.0.2.0/26}]"]
        }
        "pools" => [
            "[{addresses: 192.0.2.0/28, name: a}]",
            "[{addresses: 192.0.2.0/28, name: b}]",
            "[{addresses: 192.0.2.0/28, name: c}]",
        ],
        "poolConfigMaps" => ["a/b", "c/d,e/f", "off"],
        "podNetworks" | "serviceNetworks" => ["10.0.0.0/8", "10.1.0.0/16", "fd00::/8"],
        "interface" => ["auto", "eth2", "eth3"],
        "nodeAnnotations" | "name" | "key" | "communication" => ["a", "b", "c"],
        _ => panic!("{key}"),
    }
}

/// What has to be there so that a setting of BGP counts, without itself.
fn companions(spec: &Spec) -> Vec<(&'static str, &'static str)> {
    let mut all = vec![];
    if spec.key == "election.enabled" || spec.section() == "bgp" {
        all.extend([("bgp_enable", "true"), ("bgp_peeraddress", "198.51.100.1")]);
    }
    if spec.section() == "services" {
        all.push(("svc_enable", "true"));
    }
    all.extend(match spec.key {
        "election.enabled" => vec![("vip_arp", "false")],
        "services.hostAnnotation" => vec![("vipcast_services_distribution", "spread")],
        _ if spec.key.starts_with("bgp.bfd.") => vec![("vipcast_bgp_bfd_enabled", "true")],
        "bgp.gracefulRestart.restartTime" => vec![("vipcast_bgp_graceful_restart_enabled", "true")],
        "bgp.nextHop.ipv4" => vec![("mpbgp_nexthop", "fixed"), ("mpbgp_ipv6", "2001:db8::9")],
        "bgp.nextHop.ipv6" => vec![("mpbgp_nexthop", "fixed"), ("mpbgp_ipv4", "192.0.2.9")],
        _ if spec.key.starts_with("bgp.passwordSecret.") => vec![("vipcast_bgp_password_secret_name", "s")],
        _ if spec.key.starts_with("bgp.tcpAo.") => {
            vec![("vipcast_bgp_password", "s"), ("vipcast_bgp_tcp_ao_send_id", "1")]
        }
        _ => vec![],
    });
    all.retain(|(name, _)| !spec.env.iter().any(|own| own.text == *name));
    if spec.key == "bgp.peer.address" {
        all.push(("bgp_peers", "198.51.100.9:65001"));
    }
    all
}

fn sorted(mut flags: Flags) -> Flags {
    flags.0.sort_unstable();
    flags
}

fn parse(args: &[&str]) -> Result<Flags, String> {
    let command = RunArgs::augment_args(Command::new("run"));
    let args = std::iter::once("run").chain(args.iter().copied());
    let matches = command.try_get_matches_from(args).map_err(|wrong| wrong.to_string())?;
    Ok(RunArgs::from_arg_matches(&matches).map_err(|wrong| wrong.to_string())?.flags)
}
