//! That the documentation is true where a program can tell: links, commands, metrics, log lines, names of tests.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use tokio::sync::watch;
use vipcast::admin::bgp_metrics::Direction;
use vipcast::admin::board::{KubernetesFact, ScopeFact, StatusBoard, VipFact};
use vipcast::admin::metrics::{Metrics, Operation, Outcome, Transition};
use vipcast::admin::peers::{BfdWord, PeerFact};
use vipcast::admin::service_metrics::ServiceFigures;
use vipcast::admin::services::{PoolStatus, PoolUsage};
use vipcast::admin::status::{HealthVerdict, NO_LEASE, ScopeState, VipState};
use vipcast::announce::bgp::loopback::INTERFACE as LOOPBACK;
use vipcast_proto::bgp::fsm::State;
use vipcast_proto::bgp::types::Family;

#[test]
fn every_link_leads_to_a_file_and_to_a_heading_that_exist() {
    let pages = pages();
    assert!(pages.len() > 10, "{pages:?}");
    let broken: Vec<String> = pages.iter().flat_map(|page| broken_links(page)).collect();
    assert_eq!(broken, Vec::<String>::new());
}

#[test]
fn metrics_and_their_table_name_the_same() {
    let documented: BTreeSet<String> = first_column(&section("docs/operations.md", "Metrics")).collect();
    assert_eq!(documented, metrics());
}

#[test]
fn alerts_ask_for_metrics_that_exist() {
    let exist = metrics();
    let text = read("docs/alerts.yaml");
    let asked: BTreeSet<&str> = words(&text)
        .filter(|word| word.starts_with("vipcast_"))
        .map(|word| word.trim_end_matches("_count").trim_end_matches("_bucket"))
        .collect();
    assert!(asked.len() > 5, "{asked:?}");
    let unknown: Vec<&&str> = asked.iter().filter(|name| !exist.contains(**name)).collect();
    assert_eq!(unknown, Vec::<&&str>::new());
}

#[test]
fn alerts_know_the_nodes_that_announce_without_a_lease_and_by_routes_only() {
    let text = read("docs/alerts.yaml");
    let rule = |name: &str| {
        let rules = text.split("- alert: ").skip(1);
        rules.into_iter().find(|rule| rule.starts_with(&format!("{name}\n"))).unwrap().to_owned()
    };
    let (nobody, two) = (rule("VIPHeldByNobody"), rule("VIPHeldByTwo"));
    assert!(
        two.contains(&format!("and on (instance) vipcast_lease_holder{{lease!=\"{NO_LEASE}\"}}")),
        "{two}"
    );
    assert!(nobody.contains(&format!("vipcast_vip_held{{interface!=\"{LOOPBACK}\"}}")), "{nobody}");
    assert!(nobody.contains("max by (instance) (vipcast_bgp_session_established)"), "{nobody}");
    let asked = words(&text).collect::<BTreeSet<_>>();
    let of_bgp = [
        "vipcast_bgp_session_established",
        "vipcast_bgp_bfd_up",
        "vipcast_bfd_lateness_seconds_bucket",
        "vipcast_bgp_send_lag_seconds",
        "vipcast_bgp_malformed_updates_total",
    ];
    assert_eq!(of_bgp.map(|name| asked.contains(name)), [true; 5]);
}

#[test]
fn alerts_do_not_take_a_daemon_of_services_for_none() {
    let text = read("docs/alerts.yaml");
    let absent = text.split("absent(").nth(1).unwrap().split(')').next().unwrap();
    assert_eq!(absent, "vipcast_build_info");
    let of_services =
        words(&text).filter(|word| word.starts_with("vipcast_service")).collect::<BTreeSet<_>>();
    assert_eq!(of_services.len(), 4, "{of_services:?}");
}

#[test]
fn log_lines_of_the_table_are_written_somewhere() {
    let sources: String =
        files(&root().join("src"), "rs").iter().map(|path| fs::read_to_string(path).unwrap()).collect();
    let messages: Vec<String> = second_column(&section("docs/operations.md", "Log lines")).collect();
    assert!(messages.len() > 30, "{messages:?}");
    let unwritten: Vec<&String> =
        messages.iter().filter(|message| !sources.contains(&format!("\"{message}\""))).collect();
    assert_eq!(unwritten, Vec::<&String>::new());
}

#[test]
fn tests_that_are_named_as_proof_exist() {
    let code: String = ["src", "proto", "tests"]
        .iter()
        .flat_map(|folder| files(&root().join(folder), "rs"))
        .map(|path| fs::read_to_string(path).unwrap())
        .collect();
    let mut named = BTreeSet::new();
    // These pages name settings and variables, which can be as long as a sentence.
    let of_names =
        |page: &&PathBuf| ["configuration.md", "kubespray.md"].iter().any(|name| page.ends_with(name));
    for page in pages().iter().filter(|page| !of_names(page)) {
        named.extend(quoted(&fs::read_to_string(page).unwrap()).filter(|name| is_a_sentence(name)));
    }
    assert!(named.len() > 20, "{named:?}");
    // Those that make their own laboratory have their names as text.
    let forms = |name: &str| [format!("fn {name}("), format!("\"{name}\","), format!("::{name}\",")];
    let exists = |name: &&String| forms(name).iter().any(|form| code.contains(form));
    let missing: Vec<&String> = named.iter().filter(|name| !exists(name)).collect();
    assert_eq!(missing, Vec::<&String>::new());
}

#[test]
fn the_two_commands_of_the_readme_exist() {
    let readme = read("README.md");
    assert!(
        readme.contains("\ncargo run --release -- demo\n") && readme.contains("\ntools/test\n"),
        "{readme}"
    );
    let demo = Command::new(env!("CARGO_BIN_EXE_vipcast")).args(["demo", "--help"]).output().unwrap();
    let help = String::from_utf8(demo.stdout).unwrap();
    assert!(demo.status.success() && help.contains("--keep") && help.contains("--json"), "{help}");
    let script = root().join("tools/test");
    assert_ne!(
        fs::metadata(&script).unwrap().permissions().mode() & 0o111,
        0,
        "tools/test is not executable"
    );
    assert!(fs::read_to_string(script).unwrap().contains("--no-install"));
}

#[test]
fn manifests_of_the_documentation_are_those_that_are_printed() {
    let page = read("docs/manifest.md");
    let mut compared = 0;
    for (command, shown) in shown(&page) {
        let output =
            Command::new(env!("CARGO_BIN_EXE_vipcast")).args(command.split(' ')).env_clear().output();
        assert_eq!(String::from_utf8(output.unwrap().stdout).unwrap(), shown, "vipcast {command}");
        compared += 1;
    }
    assert_eq!(compared, 2, "the pod and the permissions");
}

#[test]
fn configurations_of_routers_are_those_of_the_example() {
    let page = read("docs/bgp.md");
    let blocks: BTreeSet<&str> =
        page.split("\n```text\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    for name in ["rack-frr.conf", "rack-bird.conf", "core-bird.conf"] {
        assert!(blocks.contains(read(&format!("examples/kubeadm-bgp/{name}")).as_str()), "{name}");
    }
}

/// Commands of one line, without the program's name, and the YAML that follows them.
fn shown(page: &str) -> impl Iterator<Item = (&str, &str)> {
    page.split("```sh\nvipcast ").skip(1).filter_map(|rest| {
        let (command, rest) = rest.split_once("\n```\n\n```yaml\n")?;
        Some((command, rest.split("```").next()?)).filter(|_| !command.contains('\n'))
    })
}

/// The relative links of a page that lead nowhere.
fn broken_links(page: &Path) -> Vec<String> {
    let text = fs::read_to_string(page).unwrap();
    let broken = |link: &&str| {
        let (file, anchor) = link.split_once('#').unwrap_or((*link, ""));
        let target = if file.is_empty() { page.to_owned() } else { page.parent().unwrap().join(file) };
        !target.exists() || (!anchor.is_empty() && !anchors(&target).contains(anchor))
    };
    let shown = page.strip_prefix(root()).unwrap().display();
    links(&text).into_iter().filter(broken).map(|link| format!("{shown}: {link}")).collect()
}

/// Where `[text](here)` points, without what is elsewhere on the net.
fn links(text: &str) -> Vec<&str> {
    let ends = prose(text).flat_map(|line| line.split("](").skip(1));
    ends.filter_map(|rest| rest.split(')').next()).filter(|link| !link.contains("://")).collect()
}

/// The lines outside of code blocks.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut code = false;
    text.lines().filter(move |line| {
        let fence = line.starts_with("```");
        code ^= fence;
        !code && !fence
    })
}

/// The anchors that a page's headings get.
fn anchors(page: &Path) -> BTreeSet<String> {
    let text = fs::read_to_string(page).unwrap();
    prose(&text)
        .filter(|line| line.starts_with('#'))
        .map(|line| anchor(line.trim_start_matches('#').trim()))
        .collect()
}

fn anchor(heading: &str) -> String {
    let kept = heading.to_lowercase().replace(' ', "-");
    kept.chars().filter(|char| char.is_alphanumeric() || "-_".contains(*char)).collect()
}

/// The lines of a page from one heading of the second level to the next.
fn section(page: &str, heading: &str) -> String {
    let text = read(page);
    let start = text.lines().skip_while(|line| *line != format!("## {heading}")).skip(1);
    let lines: Vec<&str> = start.take_while(|line| !line.starts_with("## ")).collect();
    assert!(!lines.is_empty(), "{page} has no section {heading}");
    lines.join("\n")
}

fn first_column(text: &str) -> impl Iterator<Item = String> {
    column(text, 1)
}

fn second_column(text: &str) -> impl Iterator<Item = String> {
    column(text, 2)
}

/// What stands in back quotes in a column of the tables in `text`.
fn column(text: &str, number: usize) -> impl Iterator<Item = String> {
    let cells =
        text.lines().filter(|line| line.starts_with('|')).filter_map(move |line| line.split('|').nth(number));
    cells.flat_map(|cell| quoted(cell).collect::<Vec<_>>())
}

/// What stands in back quotes.
fn quoted(text: &str) -> impl Iterator<Item = String> {
    let lines: Vec<&str> = prose(text).collect();
    let spans: Vec<String> = lines.join("\n").split('`').skip(1).step_by(2).map(str::to_owned).collect();
    spans.into_iter()
}

/// A name that is too long to be anything but a test's.
fn is_a_sentence(name: &str) -> bool {
    let plain = |char: char| char.is_ascii_lowercase() || char.is_ascii_digit() || char == '_';
    let prefixed = ["vip_", "vipcast_"].iter().any(|prefix| name.starts_with(prefix));
    name.chars().all(plain) && name.matches('_').count() >= 4 && !prefixed
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|char: char| !char.is_ascii_alphanumeric() && char != '_')
}

/// The names of all metrics of a daemon that has something to say about everything.
fn metrics() -> BTreeSet<String> {
    let (board, reader) = StatusBoard::new("0.1.0", "cp1");
    let vip = "192.0.2.10".parse().unwrap();
    board.scope("control-plane", scope());
    board.vip(vip, held());
    board.health(HealthVerdict::Healthy, "ok");
    board.kubernetes(KubernetesFact {
        endpoint: None,
        source: None,
        connected: true,
        condition: "connected".into(),
    });
    let (_publish, figures) = watch::channel(Arc::new(figures()));
    let bfd = vipcast::bfd::Stats::default();
    let metrics = Metrics::with_collectors("0.1.0", None, reader, Some(bfd), Some(figures));
    let peer = metrics.bgp_peer("10.0.0.254");
    peer.established();
    peer.messages(Direction::Sent, "update", 1);
    board.peer("10.0.0.254", Some(session(peer.routes_received.clone())));
    metrics.declare_vip(vip);
    drop(metrics.responder("eth0"));
    metrics.declare_scope("control-plane", "kube-system/plndr-cp-lock");
    metrics.lease_transition("control-plane", "kube-system/plndr-cp-lock", Transition::Acquired);
    metrics.lease_request(Operation::Renew, Outcome::Ok, Duration::from_millis(3));
    let text = metrics.render();
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let named = |line: &str| match line.split_once(' ') {
        Some((name, "counter")) => format!("{name}_total"),
        Some((name, _)) => name.to_owned(),
        None => line.to_owned(),
    };
    // Only in a process with a CPU quota.
    types.map(named).chain(["vipcast_cpu_throttled_periods_total".to_owned()]).collect()
}

fn session(received: Counter) -> PeerFact {
    PeerFact {
        local_as: 65000,
        peer_as: 65001,
        remote_as: None,
        at: "10.0.0.254".into(),
        port: 179,
        local: None,
        state: State::Established,
        established: None,
        families: [Family::IPV4_UNICAST].into(),
        negotiated: None,
        told: Arc::default(),
        waiting: None,
        received,
        last_error: None,
        notified: None,
        notification: Some((6, 2)),
        bfd: Some(BfdWord::Up),
        waits_for_bfd: false,
        draining: false,
    }
}

fn figures() -> ServiceFigures {
    let pool = PoolStatus {
        pool: "lan".into(),
        source: "vipcast".into(),
        ranges: vec![],
        usage: vec![PoolUsage { family: "IPv4".into(), used: 1, free: 1 }],
        foreign: 0,
        conflicts: vec![],
    };
    ServiceFigures { members: Some(1), allocator: Some(true), pools: vec![pool], ..ServiceFigures::default() }
}

fn scope() -> ScopeFact {
    ScopeFact {
        lease: "kube-system/plndr-cp-lock".into(),
        state: ScopeState::Holding,
        holder: Some("cp1".into()),
        until: None,
        why: "this node holds the Lease".into(),
    }
}

fn held() -> VipFact {
    VipFact {
        prefix_length: 32,
        interface: "eth0".into(),
        scope: "control-plane".into(),
        state: VipState::Held,
        until: None,
        rival: None,
        why: "held and announced".into(),
    }
}

/// Every page of the documentation.
fn pages() -> Vec<PathBuf> {
    let mut pages = files(&root().join("docs"), "md");
    pages.extend(files(&root().join("examples"), "md"));
    pages.extend(["README.md", "CONTRIBUTING.md", "CHANGELOG.md"].map(|name| root().join(name)));
    pages
}

/// The files below a folder whose names end so, sorted.
fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, extension));
        } else if path.extension().is_some_and(|end| end == extension) {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn read(page: &str) -> String {
    fs::read_to_string(root().join(page)).unwrap()
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}
