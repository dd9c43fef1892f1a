//! BIRD 2.0: its configuration, and its control socket.

use std::fmt::Write as _;
use std::net::IpAddr;

use ipnet::IpNet;

use super::super::route::{Route, community, prefix};
use super::super::setup::{Family, Peer, Restart, Setup};
use super::super::support::terminal;
use super::{Session, Site};

pub(super) fn run(site: &mut Site, setup: &Setup) {
    let config = site.write("bird.conf", &config(setup)).display().to_string();
    let socket = site.file(SOCKET).display().to_string();
    let restarts = setup.peers.iter().any(|peer| peer.restart == Restart::Restarts);
    // What is left of the last run says that there was one.
    let again = std::fs::remove_file(&socket).is_ok() && restarts;
    let recover: &[&str] = if again { &["-R"] } else { &[] };
    site.spawn("bird", &[&["-f", "-c", &config, "-s", &socket], recover].concat(), &[]);
}

fn config(setup: &Setup) -> String {
    let mut text = format!("log stderr all;\nrouter id {};\nprotocol device {{ }}\n", setup.router_id);
    let interval = setup.peers.iter().find_map(|peer| peer.bfd);
    if let Some(interval) = interval {
        let timers = format!("interval {interval} ms; idle tx interval 300 ms; multiplier 3;");
        let _ = writeln!(
            text,
            "protocol bfd bfd0 {{ interface \"*\" {{ {timers} }}; multihop {{ {timers} }}; }}"
        );
    }
    if setup.installs {
        text += "protocol kernel { ipv4 { import none; export where source = RTS_BGP; }; merge paths on; }\n";
        text += "protocol kernel { ipv6 { import none; export where source = RTS_BGP; }; merge paths on; }\n";
    }
    for family in [Family::V4, Family::V6] {
        let own = setup.routes.iter().filter(|route| Family::of(route) == family);
        let routes: String = own.map(|route| format!("route {route} blackhole; ")).collect();
        let name = family.name();
        let _ = writeln!(text, "protocol static static_{name} {{ {name}; {routes} }}");
    }
    for (number, peer) in setup.peers.iter().enumerate() {
        text += &protocol(setup, number, peer);
    }
    text
}

fn protocol(setup: &Setup, number: usize, peer: &Peer) -> String {
    let mut text = format!("protocol bgp p{number} {{ local {} as {};\n", peer.local, setup.local_as);
    // It takes two sessions with one address for the same unless their ports differ, though it dials neither.
    let port = if peer.passive { 10_000 + number } else { 179 };
    // Without four octets it cannot be told such a number, and takes no other.
    let remote = match peer.two_octets {
        true => "external".to_owned(),
        false => format!("as {}", peer.remote_as),
    };
    let _ = writeln!(text, "  neighbor {} port {port} {remote}; hold time {};", peer.address, peer.hold);
    text += "  connect delay time 1; connect retry time 1; error wait time 1, 1;\n";
    let mut say = |condition: bool, line: &str| {
        if condition {
            let _ = writeln!(text, "  {line};");
        }
    };
    say(peer.passive, "passive on");
    say(peer.two_octets, "enable as4 off");
    say(peer.hops.is_none(), "direct");
    say(peer.bfd.is_some(), "bfd on");
    say(peer.gtsm, "ttl security on");
    say(peer.hops.is_some(), &format!("multihop {}", peer.hops.unwrap_or(0)));
    say(peer.restart == Restart::Helps, "graceful restart aware");
    say(peer.restart == Restart::Restarts, "graceful restart on; graceful restart time 30");
    say(peer.password.is_some(), &format!("password \"{}\"", peer.password.as_deref().unwrap_or("")));
    for family in &peer.families {
        let extended =
            if peer.extended_next_hop && *family == Family::V4 { "extended next hop on;" } else { "" };
        let export = "export where source = RTS_STATIC; next hop self;";
        let _ = writeln!(text, "  {} {{ import all; {export} {extended} }};", family.name());
    }
    text + "}\n"
}

pub(super) fn answers(site: &Site) -> bool {
    ask(site, "show status").is_some()
}

pub(super) fn routes(site: &Site, setup: &Setup, family: Family) -> Vec<Route> {
    let table = table(family);
    let shown = (0..setup.peers.len())
        .filter_map(|number| ask(site, &format!("show route table {table} protocol p{number} all")));
    shown.flat_map(|text| parse(&text)).collect()
}

fn parse(text: &str) -> Vec<Route> {
    let mut routes: Vec<Route> = Vec::new();
    let mut destination: Option<IpNet> = None;
    for line in text.lines() {
        if line.contains("[p") && !line.starts_with(['\t', ' ']) {
            destination = line.split_whitespace().next().map(prefix);
        }
        // Several paths to one prefix: it is written once.
        if let Some(prefix) = destination.filter(|_| line.contains("[p")) {
            routes.push(Route { prefix, ..Route::new("0.0.0.0/0", "0.0.0.0", &[]) });
        }
        if let Some(route) = routes.last_mut() {
            attribute(route, line.trim());
        }
    }
    routes
}

fn attribute(route: &mut Route, line: &str) {
    let Some((name, value)) = line.split_once(": ") else { return };
    let numbers = || value.split_whitespace().filter_map(|word| word.parse().ok());
    match name {
        "BGP.as_path" => route.as_path = numbers().collect(),
        "BGP.next_hop" => {
            route.next_hop = value.split_whitespace().next().and_then(|hop| hop.parse().ok()).unwrap();
        }
        "BGP.med" => route.med = numbers().next(),
        "BGP.local_pref" => route.local_pref = numbers().next(),
        "BGP.community" => {
            let words = value.split_whitespace().map(|word| word.trim_matches(['(', ')']));
            route.communities = words.filter_map(community).collect();
        }
        _ => (),
    }
}

pub(super) fn count(site: &Site, family: Family) -> usize {
    let answer = ask(site, &format!("show route table {} count", table(family))).unwrap_or_default();
    answer.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or(0)
}

pub(super) fn paths(site: &Site) -> (usize, usize) {
    let text = ask(site, "show protocols").unwrap_or_default();
    let established = text.lines().filter(|line| line.trim_end().ends_with("Established")).count();
    (established, count(site, Family::V4))
}

pub(super) fn session(site: &Site, setup: &Setup, peer: IpAddr) -> Session {
    let text = ask(site, &format!("show protocols all {}", name(setup, peer))).unwrap_or_default();
    let field = |name: &str| {
        text.lines().find_map(|line| line.trim().strip_prefix(name).map(str::trim)).unwrap_or_default()
    };
    let state = field("BGP state:");
    Session { established: state == "Established", words: format!("{state} {}", field("Last error:")) }
}

/// The ports of its connections, which nothing else in its network has. BIRD's own "since" is reckoned anew each time it is
/// asked for, and may be another by a millisecond.
pub(super) fn era(site: &Site) -> String {
    let table = |name: &str| std::fs::read_to_string(format!("/proc/thread-self/net/{name}")).unwrap();
    let text = site.net.run(|| [table("tcp"), table("tcp6")].concat()).unwrap();
    let rows = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let established = rows.filter(|row| row.get(3) == Some(&ESTABLISHED));
    let mut ends: Vec<String> = established.map(|row| format!("{} {}", row[1], row[2])).collect();
    ends.sort();
    ends.join(", ")
}

pub(super) fn updates(site: &Site, setup: &Setup, peer: IpAddr) -> u64 {
    received(site, setup, peer, "Import ")
}

pub(super) fn announced(site: &Site, setup: &Setup, peer: IpAddr) -> u64 {
    received(site, setup, peer, "Import updates:")
}

/// The sum of its counters with that name. They cost it nothing to tell, however many routes there are.
fn received(site: &Site, setup: &Setup, peer: IpAddr, counters: &str) -> u64 {
    let text = ask(site, &format!("show protocols all {}", name(setup, peer))).unwrap_or_default();
    let lines = text.lines().filter(|line| line.trim().starts_with(counters));
    lines.filter_map(|line| line.split_whitespace().nth(2)).filter_map(|n| n.parse::<u64>().ok()).sum()
}

pub(super) fn bfd_is_up(site: &Site, peer: IpAddr) -> bool {
    let text = ask(site, "show bfd sessions").unwrap_or_default();
    text.lines().any(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        matches!(words.as_slice(), [address, _, "Up", ..] if *address == peer.to_string())
    })
}

pub(super) fn bfd_admin_down(site: &Site) {
    ask(site, "disable bfd0").unwrap();
}

pub(super) fn refresh(site: &Site, setup: &Setup, peer: IpAddr) {
    ask(site, &format!("reload in {}", name(setup, peer))).unwrap();
}

pub(super) fn clear(site: &Site, setup: &Setup, peer: IpAddr) {
    ask(site, &format!("restart {}", name(setup, peer))).unwrap();
}

fn name(setup: &Setup, address: IpAddr) -> String {
    let number = setup.peers.iter().position(|peer| peer.address == address);
    format!("p{}", number.unwrap())
}

fn table(family: Family) -> &'static str {
    match family {
        Family::V4 => "master4",
        Family::V6 => "master6",
    }
}

fn ask(site: &Site, command: &str) -> Option<String> {
    terminal::bird(&site.file(SOCKET), command)
}

const SOCKET: &str = "bird.ctl";
/// As `/proc/net/tcp` writes it.
const ESTABLISHED: &str = "01";
