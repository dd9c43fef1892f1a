//! GoBGP 3.10: gobgpd, and gobgp to ask it.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::net::IpAddr;

use serde_json::Value;

use super::super::net;
use super::super::route::Route;
use super::super::setup::{Family, Peer, Restart, Setup};
use super::{Session, Site};

pub(super) fn run(site: &mut Site, setup: &Setup) {
    let config = site.write("gobgpd.toml", &config(setup)).display().to_string();
    let _ = std::fs::remove_file(site.file("api"));
    let api = format!("unix://{}", site.file("api").display());
    site.spawn("gobgpd", &["-f", &config, "--api-hosts", &api, "--pprof-disable", "--log-plain"], &[]);
}

fn config(setup: &Setup) -> String {
    let mut text = "[global.config]\n".to_owned();
    let _ = writeln!(text, "as = {}\nrouter-id = \"{}\"\nport = 179", setup.local_as, setup.router_id);
    setup.peers.iter().for_each(|peer| text += &neighbour(peer));
    text
}

fn neighbour(peer: &Peer) -> String {
    let mut text = "[[neighbors]]\n[neighbors.config]\n".to_owned();
    let _ = writeln!(text, "neighbor-address = \"{}\"\npeer-as = {}", peer.address, peer.remote_as);
    if let Some(password) = &peer.password {
        let _ = writeln!(text, "auth-password = \"{password}\"");
    }
    let _ = writeln!(
        text,
        "[neighbors.timers.config]\nhold-time = {}\nkeepalive-interval = {}",
        peer.hold,
        peer.hold / 3
    );
    text += "connect-retry = 1\nidle-hold-time-after-reset = 1\n";
    let _ = writeln!(text, "[neighbors.transport.config]\npassive-mode = {}", peer.passive);
    let _ = writeln!(text, "local-address = \"{}\"", peer.local);
    if let Some(hops) = peer.hops {
        let _ = writeln!(text, "[neighbors.ebgp-multihop.config]\nenabled = true\nmultihop-ttl = {hops}");
    }
    if peer.gtsm {
        text += "[neighbors.ttl-security.config]\nenabled = true\nttl-min = 255\n";
    }
    if peer.restart != Restart::No {
        text += "[neighbors.graceful-restart.config]\nenabled = true\nrestart-time = 30\n";
    }
    for family in &peer.families {
        let _ = writeln!(text, "[[neighbors.afi-safis]]\n[neighbors.afi-safis.config]");
        let _ = writeln!(text, "afi-safi-name = \"{}-unicast\"", family.name());
        if peer.restart != Restart::No {
            text += "[neighbors.afi-safis.mp-graceful-restart.config]\nenabled = true\n";
        }
    }
    text
}

/// It has the peers, and what it originates: the configuration cannot say that.
pub(super) fn answers(site: &Site, setup: &Setup) -> bool {
    let known = ask(site, &["-j", "neighbor"]);
    if known.as_array().is_none_or(|peers| peers.len() < setup.peers.len()) {
        return false;
    }
    for route in &setup.routes {
        ask(site, &["global", "rib", "add", &route.to_string(), "-a", Family::of(route).name()]);
    }
    true
}

pub(super) fn routes(site: &Site, setup: &Setup, family: Family) -> Vec<Route> {
    let own: BTreeSet<String> = setup.routes.iter().map(ToString::to_string).collect();
    let known = ask(site, &["-j", "global", "rib", "-a", family.name()]);
    let table = known.as_object().into_iter().flatten();
    let heard = table.filter(|(prefix, _)| !own.contains(*prefix));
    heard
        .flat_map(|(prefix, paths)| {
            paths.as_array().into_iter().flatten().filter_map(|path| route(prefix, path))
        })
        .collect()
}

fn route(prefix: &str, path: &Value) -> Option<Route> {
    let attributes = path["attrs"].as_array()?;
    let attribute = |kind: u64| attributes.iter().find(|attribute| attribute["type"] == kind);
    let number = |value: &Value| value.as_u64().and_then(|n| u32::try_from(n).ok());
    let numbers =
        |list: &Value| -> Vec<u32> { list.as_array().into_iter().flatten().filter_map(number).collect() };
    let segments = attribute(2).and_then(|path| path["as_paths"].as_array());
    let hop = attribute(3).or_else(|| attribute(14))?;
    let communities = attribute(8).map(|list| numbers(&list["communities"])).unwrap_or_default();
    Some(Route {
        prefix: prefix.parse().ok()?,
        next_hop: hop["nexthop"].as_str()?.parse().ok()?,
        as_path: segments.into_iter().flatten().flat_map(|segment| numbers(&segment["asns"])).collect(),
        communities: communities.iter().map(|both| ((both >> 16) as u16, (both & 0xffff) as u16)).collect(),
        med: attribute(4).and_then(|med| number(&med["metric"])),
        local_pref: attribute(5).and_then(|pref| number(&pref["value"])),
    })
}

pub(super) fn session(site: &Site, peer: IpAddr) -> Session {
    let state = &neighbor(site, peer)["state"];
    // Idle, Connect, Active, OpenSent, OpenConfirm, Established: 1 to 6.
    Session { established: state["session_state"] == ESTABLISHED, words: state.to_string() }
}

pub(super) fn era(site: &Site, peer: IpAddr) -> String {
    neighbor(site, peer)["timers"]["state"]["uptime"].to_string()
}

pub(super) fn updates(site: &Site, peer: IpAddr) -> u64 {
    neighbor(site, peer)["state"]["messages"]["received"]["update"].as_u64().unwrap_or(0)
}

pub(super) fn accepted(site: &Site, peer: IpAddr) -> u64 {
    let families = neighbor(site, peer)["afi_safis"].as_array().cloned().unwrap_or_default();
    families.iter().filter_map(|family| family["state"]["accepted"].as_u64()).sum()
}

fn neighbor(site: &Site, peer: IpAddr) -> Value {
    let said = ask(site, &["-j", "neighbor"]);
    let mut all = said.as_array().into_iter().flatten();
    let peer = peer.to_string();
    all.find(|one| one["conf"]["neighbor_address"] == *peer).cloned().unwrap_or_default()
}

pub(super) fn clear(site: &Site, peer: IpAddr) {
    // After a reset it would stay idle for half a minute.
    for word in ["disable", "enable"] {
        ask(site, &["neighbor", &peer.to_string(), word]);
    }
}

fn ask(site: &Site, arguments: &[&str]) -> Value {
    let target = format!("unix://{}", site.file("api").display());
    let arguments = [&["--target", &target], arguments].concat();
    let said = net::output(&site.net, "gobgp", &arguments);
    serde_json::from_slice(&said.stdout).unwrap_or_default()
}

const ESTABLISHED: u8 = 6;
