//! The BGP speaker.

mod peers;
mod session;
mod unused;

use std::net::IpAddr;

use vipcast_proto::bgp::types::family_of;

use self::peers::Speaker;
pub(super) use self::unused::beside_a_lease;
use self::unused::unused;
use crate::config::bgp::{
    AddressGroup, Bgp, Drain, NodeAnnotations, PeerOptions, RouterId, Said, Source, stable_router_id,
};
use crate::config::problem::{Notice, Problem};
use crate::config::reader::{Reader, Settings};
use crate::config::source;
use crate::config::table::ALL;
use crate::config::table::bgp as t;
use crate::config::table::session::OF_GROUP;
use crate::config::{HostFacts, Purpose};

/// What there is to announce.
#[derive(Clone, Copy)]
pub(super) struct Announced<'a> {
    /// Of the control plane.
    pub(super) vips: &'a [IpAddr],
    /// Whether there may be those of Services as well, which nobody knows yet.
    pub(super) of_services: bool,
}

/// Reads everything, and where BGP is on checks what goes together.
pub(super) fn bgp(
    r: &mut Reader<'_>,
    host: &HostFacts,
    node_name: Option<&str>,
    announced: Announced<'_>,
) -> Option<Option<Bgp>> {
    let vips = announced.vips;
    let enabled = r.value(&t::BGP);
    let before = r.problems.len();
    let local_as = r.value(&t::LOCAL_AS);
    let namespace = host.service_account_namespace.as_deref().unwrap_or(NAMESPACE);
    let of_all = session::options(r, &t::OF_ALL, namespace, None);
    let router_id = router_id(r, node_name, of_all.as_ref(), vips);
    let all = local_as.zip(of_all.as_ref());
    let peers = Speaker { all, namespace, vips }.peers(r);
    let annotations = annotations(r);
    let address_groups = groups(r, announced);
    let wait = r.value(&t::DRAIN_WAIT);
    let cordoned = r.value(&t::DRAIN_CORDON);
    let communication = r.optional(&t::DRAIN_COMMUNICATION);
    let coalesce = r.value(&t::COALESCE);
    if enabled == Some(false) {
        idle(r);
        return (r.problems.len() == before).then_some(None);
    }
    let (local_as, said) = (local_as?, Said { of_all: of_all?, peers: peers? });
    let bgp = Bgp {
        local_as,
        router_id: router_id?,
        peers: said.peers(local_as),
        address_groups: address_groups?,
        node_annotations: annotations?,
        drain: Drain { wait: wait?, cordoned: cordoned?, communication: communication? },
        coalesce: coalesce?,
        said,
    };
    enabled?;
    whole(r, &bgp, vips);
    Some(Some(bgp))
}

/// Which of the settings of BGP were given for nothing.
fn idle(r: &mut Reader<'_>) {
    let given =
        ALL.iter().filter(|spec| spec.section() == t::BGP.spec.section() && spec.key != t::BGP.spec.key);
    let names: Vec<String> = given.filter(|spec| r.is_explicit(spec)).map(|spec| r.name(spec)).collect();
    if !names.is_empty() {
        let switch = r.name(&t::BGP.spec);
        let text = format!("without use while {switch} is false: ignored");
        r.notices.push(Notice::info(names.join(", "), text));
    }
}

fn router_id(
    r: &mut Reader<'_>,
    node_name: Option<&str>,
    of_all: Option<&PeerOptions>,
    vips: &[IpAddr],
) -> Option<RouterId> {
    let id = r.optional(&t::ROUTER_ID);
    let interface = r.optional(&t::ROUTER_INTERFACE);
    let (id, interface) = (id?, interface?);
    if id.is_some_and(|id| vips.contains(&IpAddr::V4(id))) {
        let reason = "the VIP, which is not one node's, and every node has to have a router ID of its own";
        r.blame(&t::ROUTER_ID.spec, reason, "leave it out");
        return None;
    }
    let otherwise = stable_router_id(node_name?);
    Some(match (id, interface, of_all.and_then(|of_all| of_all.source.as_ref())) {
        (Some(id), ..) => RouterId::Given(id),
        (None, Some(interface), _) => RouterId::OfInterface { interface, otherwise },
        (None, None, Some(Source::Address(IpAddr::V4(source)))) => {
            r.derived(&t::ROUTER_ID.spec, source.to_string(), "bgp.sourceAddress");
            RouterId::Given(*source)
        }
        (None, None, _) => RouterId::OfNode { otherwise },
    })
}

fn annotations(r: &mut Reader<'_>) -> Option<Option<NodeAnnotations>> {
    let prefix = r.optional(&t::NODE_ANNOTATIONS);
    let remote_as = r.value(&t::PEER_AS);
    let (prefix, remote_as) = (prefix?, remote_as?);
    Some(prefix.map(|prefix| NodeAnnotations { prefix, remote_as }))
}

fn groups(r: &mut Reader<'_>, announced: Announced<'_>) -> Option<Vec<AddressGroup>> {
    let mut groups: Option<Vec<AddressGroup>> = Some(Vec::new());
    for mut record in r.records(&t::GROUPS)? {
        let prefixes = record.optional(&t::GROUP_PREFIXES);
        let attributes = session::attributes(&mut record, &OF_GROUP);
        let next_hop = session::next_hop(&mut record, &OF_GROUP);
        if prefixes == Some(None) {
            record.missing("without a prefix", "add prefixes, those of the VIPs");
        }
        let group = prefixes.flatten().zip(attributes).zip(next_hop);
        let known = groups.iter().flatten();
        let twice = group.as_ref().and_then(|((prefixes, _), _)| {
            known.map(|group| group.prefix).find(|prefix| prefixes.contains(prefix))
        });
        if let Some(twice) = twice {
            record.blame(
                &t::GROUP_PREFIXES.spec,
                format!("{twice} is in a group before"),
                "write every prefix once",
            );
        }
        if let Some(((prefixes, _), _)) = &group {
            let vips = announced.vips;
            let holds_none = !vips.iter().any(|vip| prefixes.iter().any(|prefix| prefix.contains(vip)));
            if holds_none && !vips.is_empty() && !announced.of_services {
                r.notices.push(Notice::warning(&record.name, "without use: no VIP is in it"));
            }
        }
        r.problems.append(&mut record.problems);
        groups = groups.zip(group).map(|(mut groups, ((prefixes, attributes), next_hop))| {
            let group = |prefix| AddressGroup { prefix, attributes: attributes.clone(), next_hop };
            groups.extend(prefixes.into_iter().map(group));
            groups
        });
    }
    let mut groups = groups?;
    groups.sort_by_key(|group| std::cmp::Reverse(group.prefix.prefix_len()));
    Some(groups)
}

/// What can be seen only when everything is there.
fn whole(r: &mut Reader<'_>, bgp: &Bgp, vips: &[IpAddr]) {
    let needed = r.purpose == Purpose::Run && r.layers.complete;
    if bgp.peers.is_empty() && bgp.node_annotations.is_none() && needed {
        let fix = "set bgp_peers to address and AS number of routers, for example bgp_peers=192.0.2.1:65001";
        r.problems.push(Problem::plain("bgp_peers", "BGP is switched on without a router to talk to", fix));
    }
    if bgp.node_annotations.is_none() && !bgp.peers.is_empty() {
        for vip in
            vips.iter().filter(|vip| !bgp.peers.iter().any(|peer| peer.families.contains(&family_of(**vip))))
        {
            let family = if vip.is_ipv4() { "ipv4" } else { "ipv6" };
            let name = r.name(&crate::config::table::ADDRESS.spec);
            let text = format!(
                "{vip} is announced to nobody: sessions carry the family of the peer's address. Add {family} to families \
                 (vipcast_bgp_families=ipv4,ipv6), or set mpbgp_nexthop"
            );
            r.notices.push(Notice::warning(name, text));
        }
    }
    unused(r, bgp);
    in_clear(r);
}

/// A manifest and the environment of a process are read by many.
fn in_clear(r: &mut Reader<'_>) {
    for spec in [&t::PEERS.spec, &t::PEER_PASSWORD.spec, &t::OF_ALL.password.given.spec] {
        let seen = |from: &source::Source| !matches!(from, source::Source::File { .. });
        if r.secret_from(spec).is_some_and(seen) {
            let text = "a password in clear, for everybody who may read the manifest or the process: better in a file \
                        (bgp.passwordFile) or in a Secret (bgp.passwordSecret.name)";
            r.notices.push(Notice::info(r.name(spec), text));
        }
    }
}

/// Where Secrets are looked for outside of a cluster.
const NAMESPACE: &str = "kube-system";
