//! ExaBGP 4.2, which keeps no routes: it tells a program what it hears, and that program writes it down.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File, Permissions};
use std::io::Write as _;
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt;

use ipnet::IpNet;
use serde_json::Value;

use super::super::route::{Route, prefix};
use super::super::setup::{Family, Peer, Setup};
use super::{Session, Site};

pub(super) fn run(site: &mut Site, setup: &Setup) {
    let (events, commands) = (site.write(EVENTS, ""), site.write(COMMANDS, ""));
    // What it prints are commands; what it reads are events.
    let script = format!(
        "#!/bin/sh\ntail --pid=$$ -s 0.05 -f -n +1 {} &\nexec cat >> {}\n",
        commands.display(),
        events.display()
    );
    let program = site.write("watch", &script);
    fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
    let mut text = format!("process watch {{ run {}; encoder json; }}\n", program.display());
    setup.peers.iter().for_each(|peer| text += &neighbour(setup, peer));
    let config = site.write("exabgp.conf", &text).display().to_string();
    for route in &setup.routes {
        command(site, &format!("announce route {route} next-hop self"));
    }
    site.spawn("exabgp", &[&config], &ENVIRONMENT);
}

fn neighbour(setup: &Setup, peer: &Peer) -> String {
    let mut text = format!(
        "neighbor {} {{\n router-id {}; local-address {};\n",
        peer.address, setup.router_id, peer.local
    );
    let _ =
        writeln!(text, " local-as {}; peer-as {}; hold-time {};", setup.local_as, peer.remote_as, peer.hold);
    if peer.passive {
        text += " passive true; listen 179;\n";
    }
    if let Some(password) = &peer.password {
        let _ = writeln!(text, " md5-password '{password}';");
    }
    if peer.gtsm {
        text += " outgoing-ttl 255; incoming-ttl 255;\n";
    }
    let on = |condition: bool| if condition { "enable" } else { "disable" };
    let (four, extended) = (on(!peer.two_octets), on(peer.extended_next_hop));
    let _ = writeln!(text, " capability {{ asn4 {four}; route-refresh enable; nexthop {extended}; }}");
    // It takes IPv6 next hops only beside IPv6 routes.
    let all: &[Family] = &[Family::V4, Family::V6];
    let families = all.iter().filter(|family| peer.has(**family) || peer.extended_next_hop);
    let families: String = families.map(|family| format!("{} unicast; ", family.name())).collect();
    let _ = writeln!(text, " family {{ {families} }}");
    if peer.extended_next_hop {
        text += " nexthop { ipv4 unicast ipv6; }\n";
    }
    text += " api { processes [ watch ]; neighbor-changes; receive { parsed; update; notification; refresh; } }\n";
    text + "}\n"
}

/// What has been announced and not withdrawn since the session came up.
pub(super) fn routes(site: &Site, family: Family) -> Vec<Route> {
    let mut known = BTreeMap::<(String, IpNet), Route>::new();
    for event in events(site) {
        let peer = event["neighbor"]["address"]["peer"].to_string();
        if event["neighbor"]["state"] == "down" {
            known.retain(|(from, _), _| *from != peer);
        }
        let update = &event["neighbor"]["message"]["update"];
        let kind = format!("{} unicast", family.name());
        for lost in update["withdraw"][&kind].as_array().into_iter().flatten() {
            known.remove(&(peer.clone(), prefix(lost["nlri"].as_str().unwrap())));
        }
        // It lists the prefixes under each of two IPv6 next hops.
        for (hop, prefixes) in update["announce"][&kind].as_object().into_iter().flatten() {
            for nlri in prefixes.as_array().into_iter().flatten().filter_map(|one| one["nlri"].as_str()) {
                let route = route(nlri, hop, &update["attribute"]);
                let place = known.entry((peer.clone(), route.prefix)).or_insert_with(|| route.clone());
                if !hop.starts_with("fe80") {
                    *place = route;
                }
            }
        }
    }
    known.into_values().collect()
}

fn route(nlri: &str, hop: &str, attributes: &Value) -> Route {
    let number = |value: &Value| value.as_u64().and_then(|n| u32::try_from(n).ok());
    let pair = |pair: &Value| {
        let half = |at: usize| pair[at].as_u64().and_then(|n| u16::try_from(n).ok());
        Some((half(0)?, half(1)?))
    };
    Route {
        prefix: prefix(nlri),
        next_hop: hop.parse().unwrap(),
        as_path: attributes["as-path"].as_array().into_iter().flatten().filter_map(number).collect(),
        communities: attributes["community"].as_array().into_iter().flatten().filter_map(pair).collect(),
        med: number(&attributes["med"]),
        local_pref: number(&attributes["local-preference"]),
    }
}

pub(super) fn session(site: &Site, peer: IpAddr) -> Session {
    let peer = peer.to_string();
    let mut events = events(site).into_iter().filter(|event| event["neighbor"]["address"]["peer"] == *peer);
    let last = events.rfind(|event| event["type"] == "state").unwrap_or_default();
    let state = &last["neighbor"]["state"];
    Session { established: state == "up", words: format!("{state} {}", last["neighbor"]["reason"]) }
}

pub(super) fn era(site: &Site, peer: IpAddr) -> String {
    let peer = peer.to_string();
    let up =
        |event: &Value| event["neighbor"]["address"]["peer"] == *peer && event["neighbor"]["state"] == "up";
    events(site).iter().filter(|event| up(event)).count().to_string()
}

pub(super) fn updates(site: &Site) -> u64 {
    let updates = events(site).into_iter().filter(|event| event["neighbor"]["message"]["update"].is_object());
    updates.count().try_into().unwrap()
}

pub(super) fn refresh(site: &Site, family: Family) {
    command(site, &format!("announce route-refresh {} unicast", family.name()));
}

pub(super) fn clear(site: &Site, peer: IpAddr) {
    // Subcode 4: administrative reset.
    command(site, &format!("neighbor {peer} teardown 4"));
}

fn command(site: &Site, line: &str) {
    let mut file = File::options().append(true).open(site.file(COMMANDS)).unwrap();
    writeln!(file, "{line}").unwrap();
}

fn events(site: &Site) -> Vec<Value> {
    let text = fs::read_to_string(site.file(EVENTS)).unwrap_or_default();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

const EVENTS: &str = "events";
const COMMANDS: &str = "commands";
const ENVIRONMENT: [(&str, &str); 6] = [
    ("exabgp.daemon.user", "root"),
    ("exabgp.daemon.daemonize", "false"),
    ("exabgp.log.level", "INFO"),
    ("exabgp.api.ack", "false"),
    ("exabgp.api.cli", "false"),
    ("exabgp.tcp.attempts", "0"),
];
