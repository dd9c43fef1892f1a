//! What is said of a session, wherever it is said: for all peers, or for one.

use std::time::Duration;

use vipcast_proto::bgp::types::HoldTime;

use crate::config::bgp::{
    Attributes, Authentication, BfdOptions, GracefulRestartOptions, NextHop, PeerOptions, Source,
};
use crate::config::reader::Settings;
use crate::config::secret::{Password, SecretKey};
use crate::config::setting::Spec;
use crate::config::table::session::{AttributeRows, PasswordRows, SessionRows};
use crate::config::value::NextHopMode;

/// Reads everything, and blames what does not go together. `of_all` is the hold time where none is said here.
pub(super) fn options(
    s: &mut impl Settings,
    rows: &'static SessionRows,
    namespace: &str,
    of_all: Option<HoldTime>,
) -> Option<PeerOptions> {
    let authentication = authentication(s, &rows.password, namespace);
    let source = source(s, rows);
    let multihop = s.optional(&rows.multihop);
    let gtsm = s.optional(&rows.gtsm);
    let hold_time = s.optional(&rows.hold_time);
    let keepalive = s.optional(&rows.keepalive);
    let connect_retry = s.optional(&rows.connect_retry);
    let send_hold = s.optional(&rows.send_hold);
    let families = s.optional(&rows.families);
    let bfd = bfd(s, rows);
    let restart = s.optional(&rows.graceful_restart);
    let restart_time = s.optional(&rows.restart_time);
    let next_hop = next_hop(s, &rows.attributes);
    let attributes = attributes(s, &rows.attributes);
    if let (Some(hold_time), Some(keepalive), Some(send_hold)) = (hold_time, keepalive, send_hold) {
        timers(s, rows, (hold_time.or(of_all), keepalive, send_hold));
    }
    let graceful_restart = GracefulRestartOptions { enabled: restart?, restart_time: restart_time? };
    Some(PeerOptions {
        authentication: authentication?,
        source: source?,
        multihop: multihop?,
        gtsm: gtsm?,
        hold_time: hold_time?,
        keepalive: keepalive?,
        connect_retry: connect_retry?,
        send_hold: send_hold?,
        families: families?,
        bfd: bfd?,
        graceful_restart,
        next_hop: next_hop?,
        attributes: attributes?,
    })
}

/// What is said of VIPs; `None`: something was wrong.
pub(super) fn attributes(s: &mut impl Settings, rows: &'static AttributeRows) -> Option<Attributes> {
    let communities = s.optional(&rows.communities);
    let large_communities = s.optional(&rows.large_communities);
    let extended_communities = s.optional(&rows.extended_communities);
    let link_bandwidth = s.optional(&rows.link_bandwidth);
    let med = s.optional(&rows.med);
    let local_preference = s.optional(&rows.local_preference);
    let prepend = s.optional(&rows.prepend);
    Some(Attributes {
        communities: communities?.unwrap_or_default(),
        large_communities: large_communities?.unwrap_or_default(),
        extended_communities: extended_communities?.unwrap_or_default(),
        link_bandwidth: link_bandwidth?,
        med: med?,
        local_preference: local_preference?,
        prepend: prepend?.and_then(|times| u8::try_from(times).ok()),
    })
}

/// A way to a next hop; an address without one is a fixed next hop.
pub(super) fn next_hop(s: &mut impl Settings, rows: &'static AttributeRows) -> Option<Option<NextHop>> {
    let mode = s.optional(&rows.next_hop);
    let ipv4 = s.optional(&rows.next_hop_ipv4);
    let ipv6 = s.optional(&rows.next_hop_ipv6);
    let (mode, ipv4, ipv6) = (mode?, ipv4?, ipv6?);
    let some = ipv4.is_some() || ipv6.is_some();
    match mode {
        Some(NextHopMode::Fixed) if !some => {
            let (v4, v6) = (s.name(&rows.next_hop_ipv4.spec), s.name(&rows.next_hop_ipv6.spec));
            s.blame(&rows.next_hop.spec, "without an address", format!("set {v4}, {v6} or both"));
            None
        }
        Some(NextHopMode::Own | NextHopMode::Found) if some && s.says(&rows.next_hop.spec) => {
            let reason = "contradicts the addresses that are given";
            s.blame(&rows.next_hop.spec, reason, "write fixed, or leave the addresses out");
            None
        }
        Some(NextHopMode::Own) => Some(Some(NextHop::Own)),
        Some(NextHopMode::Found) => Some(Some(NextHop::Found)),
        Some(NextHopMode::Fixed) => Some(Some(NextHop::Fixed { ipv4, ipv6 })),
        None => Some(some.then_some(NextHop::Fixed { ipv4, ipv6 })),
    }
}

fn authentication(
    s: &mut impl Settings,
    rows: &'static PasswordRows,
    own: &str,
) -> Option<Option<Authentication>> {
    let given = s.optional(&rows.given);
    let file = s.optional(&rows.file);
    let namespace = s.optional(&rows.secret_namespace);
    let name = s.optional(&rows.secret_name);
    let key = s.optional(&rows.secret_key);
    let send_id = s.optional(&rows.send_id);
    let receive_id = s.optional(&rows.receive_id);
    let algorithm = s.optional(&rows.algorithm);
    let (given, file, namespace, name) = (given?, file?, namespace?, name?);
    let (key, send_id, receive_id, algorithm) = (key??, send_id?, receive_id?, algorithm??);
    let namespace = namespace.unwrap_or_else(|| own.to_owned());
    let ways = [
        (&rows.given.spec, given.map(Password::Given)),
        (&rows.file.spec, file.map(Password::File)),
        (&rows.secret_name.spec, name.map(|name| Password::Kubernetes(SecretKey { namespace, name, key }))),
    ];
    let password = one_of(s, ways)?;
    let id = |id: u32| u8::try_from(id).ok();
    match (password, send_id.and_then(id)) {
        (None, None) if receive_id.is_none() => Some(None),
        (None, _) => {
            s.blame(
                &rows.send_id.spec,
                "TCP-AO without a password",
                "give a file or a Secret with the password",
            );
            None
        }
        (Some(_), None) if receive_id.is_some() => {
            s.blame(&rows.receive_id.spec, "TCP-AO needs both KeyIDs", "give sendId as well");
            None
        }
        (Some(password), None) => Some(Some(Authentication::Md5(password))),
        (Some(password), Some(send_id)) => {
            let receive_id = receive_id.and_then(id).unwrap_or(send_id);
            Some(Some(Authentication::TcpAo { password, send_id, receive_id, algorithm }))
        }
    }
}

/// The only one that is given.
fn one_of<T>(s: &mut impl Settings, ways: [(&'static Spec, Option<T>); 3]) -> Option<Option<T>> {
    let mut found: Option<(&'static Spec, T)> = None;
    let mut fine = true;
    for (spec, way) in ways {
        let Some(way) = way else { continue };
        if let Some((first, _)) = &found {
            let first = s.name(first);
            s.blame(spec, format!("contradicts {first}"), "keep one of the two");
            fine = false;
        } else {
            found = Some((spec, way));
        }
    }
    fine.then(|| found.map(|(_, way)| way))
}

fn source(s: &mut impl Settings, rows: &'static SessionRows) -> Option<Option<Source>> {
    let address = s.optional(&rows.source_address);
    let interface = s.optional(&rows.source_interface);
    match (address?, interface?) {
        (Some(_), Some(_)) => {
            let first = s.name(&rows.source_address.spec);
            s.blame(&rows.source_interface.spec, format!("contradicts {first}"), "keep one of the two");
            None
        }
        (None, Some(lo)) if lo == "lo" => {
            let address = s.name(&rows.source_address.spec);
            let fix = format!("name another, or give the address of lo in {address}");
            s.blame(&rows.source_interface.spec, "no router is reached out of the loopback interface", fix);
            None
        }
        (Some(address), None) => Some(Some(Source::Address(address))),
        (None, Some(interface)) => Some(Some(Source::Interface(interface))),
        (None, None) => Some(None),
    }
}

fn bfd(s: &mut impl Settings, rows: &'static SessionRows) -> Option<BfdOptions> {
    let enabled = s.optional(&rows.bfd.enabled);
    let transmit_interval = s.optional(&rows.bfd.transmit_interval);
    let receive_interval = s.optional(&rows.bfd.receive_interval);
    let multiplier = s.optional(&rows.bfd.multiplier);
    let multihop = s.optional(&rows.bfd.multihop);
    let strict = s.optional(&rows.bfd.strict);
    Some(BfdOptions {
        enabled: enabled?,
        transmit_interval: transmit_interval?,
        receive_interval: receive_interval?,
        multiplier: multiplier?,
        multihop: multihop?,
        strict: strict?,
    })
}

/// A session that is silent for a third of the hold time survives the loss of a message or two.
fn timers(
    s: &mut impl Settings,
    rows: &'static SessionRows,
    (hold, keepalive, send_hold): (Option<HoldTime>, Option<Duration>, Option<Duration>),
) {
    let Some(hold) = hold.and_then(HoldTime::duration) else { return };
    let seconds = hold.as_secs();
    let name = s.name(&rows.hold_time.spec);
    if keepalive.is_some_and(|keepalive| keepalive.saturating_mul(3) > hold) {
        let reason =
            format!("more than a third of {name}, {seconds}s: two lost messages would end the session");
        s.blame(&rows.keepalive.spec, reason, format!("write at most {}, or leave it out", seconds / 3));
    }
    if send_hold.is_some_and(|send_hold| send_hold <= hold) {
        let reason = format!("not longer than {name}, {seconds}s, as RFC 9687 demands");
        s.blame(&rows.send_hold.spec, reason, format!("write at least {}, or leave it out", seconds + 1));
    }
}
