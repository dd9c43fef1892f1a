//! FRR 8.4: zebra, bfdd and bgpd, and bgpd's terminal socket.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::os::unix::net::UnixStream;

use serde_json::Value;

use super::super::route::{Route, community};
use super::super::setup::{Family, Peer, Restart, Setup};
use super::super::support::terminal;
use super::super::wait::{SOON, wait};
use super::{Session, Site};

pub(super) fn run(site: &mut Site, setup: &Setup) {
    let config = site.write("bgpd.conf", &config(setup));
    let none = site.write("none.conf", "");
    let place = site.file("").display().to_string();
    let (place, zserv) = (place.trim_end_matches('/').to_owned(), site.file("zserv").display().to_string());
    let mut daemon = |name: &str, config: &str, more: &[&str]| {
        let pid = site.file(&format!("{name}.pid")).display().to_string();
        let vty = site.file(&format!("{name}.vty"));
        let _ = std::fs::remove_file(&vty);
        let mut arguments = vec!["-u", "frr", "-g", "frr", "-A", "127.0.0.1", "-P", "0", "--log", "stdout"];
        arguments.extend(["--vty_socket", &place, "-z", &zserv, "-i", &pid, "-f", config]);
        arguments.extend(more);
        site.spawn(&format!("/usr/lib/frr/{name}"), &arguments, &[]);
        wait(&format!("{name} answers"), SOON, || UnixStream::connect(&vty).is_ok().then_some(()));
    };
    let none = none.display().to_string();
    daemon("zebra", &none, &[]);
    if setup.peers.iter().any(|peer| peer.bfd.is_some()) {
        daemon("bfdd", &none, &["--bfdctl", &format!("{place}/bfdd.sock")]);
    }
    let kernel: &[&str] = if setup.installs { &[] } else { &["-n"] };
    daemon("bgpd", &config.display().to_string(), kernel);
}

fn config(setup: &Setup) -> String {
    let mut text = format!("router bgp {}\n bgp router-id {}\n", setup.local_as, setup.router_id);
    text += " no bgp ebgp-requires-policy\n no bgp default ipv4-unicast\n no bgp network import-check\n";
    text += " bgp bestpath as-path multipath-relax\n";
    if setup.peers.iter().any(|peer| peer.restart != Restart::No) {
        text += " bgp graceful-restart\n bgp graceful-restart preserve-fw-state\n bgp graceful-restart restart-time 30\n";
    }
    for peer in &setup.peers {
        text += &neighbour(peer);
    }
    for family in [Family::V4, Family::V6] {
        let _ = writeln!(text, " address-family {} unicast", family.name());
        for peer in setup.peers.iter().filter(|peer| peer.has(family)) {
            let _ = writeln!(text, "  neighbor {} activate", peer.name());
        }
        for route in setup.routes.iter().filter(|route| Family::of(route) == family) {
            let _ = writeln!(text, "  network {route}");
        }
        text += " exit-address-family\n";
    }
    text
}

fn neighbour(peer: &Peer) -> String {
    let keepalive = (peer.hold / 3).max(1);
    let interface = if peer.unnumbered.is_some() { "interface " } else { "" };
    let mut lines = vec![
        format!("{interface}remote-as {}", peer.remote_as),
        format!("timers {keepalive} {}", peer.hold),
        "timers connect 1".to_owned(),
    ];
    let mut say = |condition: bool, line: String| {
        if condition {
            lines.push(line);
        }
    };
    say(peer.unnumbered.is_none(), format!("update-source {}", peer.local));
    say(peer.passive, "passive".to_owned());
    // It has no word for two octets alone.
    say(peer.two_octets, "dont-capability-negotiate".to_owned());
    say(peer.gtsm, "ttl-security hops 1".to_owned());
    say(peer.extended_next_hop && peer.unnumbered.is_none(), "capability extended-nexthop".to_owned());
    lines.extend(peer.hops.map(|hops| format!("ebgp-multihop {hops}")));
    lines.extend(peer.bfd.map(|interval| format!("bfd 3 {interval} {interval}")));
    lines.extend(peer.password.as_ref().map(|password| format!("password {password}")));
    lines.iter().map(|line| format!(" neighbor {} {line}\n", peer.name())).collect()
}

pub(super) fn answers(site: &Site, setup: &Setup) -> bool {
    let summary = show(site, "show bgp summary json");
    let known = summary.to_string();
    setup.peers.iter().all(|peer| known.contains(&peer.name()))
}

pub(super) fn routes(site: &Site, family: Family) -> Vec<Route> {
    let known = show(site, &format!("show bgp {} unicast json", family.name()));
    let prefixes: Vec<String> =
        known["routes"].as_object().map(|routes| routes.keys().cloned().collect()).unwrap_or_default();
    // Only what is said of one prefix has communities; of many, one of the first is as good.
    let named = |prefix: &String| show(site, &format!("show bgp {} unicast {prefix} json", family.name()));
    prefixes.iter().map(named).flat_map(|said| paths(&said)).collect()
}

fn paths(said: &Value) -> Vec<Route> {
    let (Some(prefix), Some(paths)) = (said["prefix"].as_str(), said["paths"].as_array()) else {
        return Vec::new();
    };
    paths.iter().filter(|path| path["sourced"] != true).filter_map(|path| route(prefix, path)).collect()
}

fn route(prefix: &str, path: &Value) -> Option<Route> {
    let hops = path["nexthops"].as_array()?;
    let hop = hops.iter().find(|hop| hop["scope"] != "link-local").or_else(|| hops.first())?;
    let numbers = |list: &Value| -> Vec<u32> {
        list.as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_u64)
            .filter_map(|n| n.try_into().ok())
            .collect()
    };
    let number = |value: &Value| value.as_u64().and_then(|n| u32::try_from(n).ok());
    let segments = path["aspath"]["segments"].as_array();
    let communities = path["community"]["list"].as_array();
    Some(Route {
        prefix: prefix.parse().ok()?,
        next_hop: hop["ip"].as_str()?.parse().ok()?,
        as_path: segments.into_iter().flatten().flat_map(|segment| numbers(&segment["list"])).collect(),
        communities: communities.into_iter().flatten().filter_map(|text| community(text.as_str()?)).collect(),
        med: number(&path["metric"]),
        local_pref: number(&path["locPrf"]).or(Some(100)),
    })
}

pub(super) fn session(site: &Site, peer: IpAddr) -> Session {
    let said = &show(site, &format!("show bgp neighbors {peer} json"))[peer.to_string()];
    let state = said["bgpState"].as_str().unwrap_or("?").to_owned();
    let error = format!("{} {}", said["lastNotificationReason"], said["lastErrorCodeSubcode"]);
    Session {
        established: state == "Established",
        words: format!("{state} {} {error}", said["lastResetDueTo"]),
    }
}

pub(super) fn era(site: &Site, peer: IpAddr) -> String {
    show(site, &format!("show bgp neighbors {peer} json"))[peer.to_string()]["connectionsEstablished"]
        .to_string()
}

pub(super) fn updates(site: &Site, peer: IpAddr) -> u64 {
    let said = &show(site, &format!("show bgp neighbors {peer} json"))[peer.to_string()];
    said["messageStats"]["updatesRecv"].as_u64().unwrap_or(0)
}

pub(super) fn bfd_is_up(site: &Site, peer: IpAddr) -> bool {
    let said = ask(site, "bfdd", &["enable", "show bfd peers json"]).unwrap_or_default();
    let peers: Value = serde_json::from_str(&said).unwrap_or_default();
    let peer = peer.to_string();
    peers.as_array().into_iter().flatten().any(|one| one["peer"] == *peer && one["status"] == "up")
}

pub(super) fn bfd_admin_down(site: &Site, peer: IpAddr) {
    let said = ask(site, "bfdd", &["enable", "show bfd peers json"]).unwrap_or_default();
    let peers: Value = serde_json::from_str(&said).unwrap_or_default();
    let one = peers.as_array().into_iter().flatten().find(|one| one["peer"] == *peer.to_string()).unwrap();
    let local = one["local"].as_str().map(|local| format!(" local-address {local}")).unwrap_or_default();
    let interface = one["interface"].as_str().map(|name| format!(" interface {name}")).unwrap_or_default();
    let named = format!("peer {peer}{local}{interface}");
    ask(site, "bfdd", &["enable", "configure terminal", "bfd", &named, "shutdown"]).unwrap();
}

pub(super) fn refresh(site: &Site, peer: IpAddr, family: Family) {
    let command = format!("clear bgp {} unicast {peer} soft in", family.name());
    ask(site, "bgpd", &["enable", &command]).unwrap();
}

pub(super) fn clear(site: &Site, peer: IpAddr) {
    ask(site, "bgpd", &["enable", &format!("clear bgp {peer}")]).unwrap();
}

fn show(site: &Site, command: &str) -> Value {
    let said = ask(site, "bgpd", &["enable", command]).unwrap_or_default();
    // A summary of several families is written as several values without brackets.
    serde_json::from_str(&said).unwrap_or(Value::String(said))
}

fn ask(site: &Site, daemon: &str, commands: &[&str]) -> Option<String> {
    terminal::frr(&site.file(&format!("{daemon}.vty")), commands)
}
