//! What a Node's annotations say of BGP, by kube-vip's names: another Autonomous System, source or peer on every node.

use std::collections::BTreeMap;
use std::net::IpAddr;

use k8s_openapi::ByteString;
use vipcast_proto::bgp::types::Asn;

use super::{Bgp, Multihop, PeerAt, PeerOptions, RemoteAs, RouterId, SaidPeer, Source};
use crate::config::Problem;
use crate::config::secret::{Password, Secret};
use crate::config::value;

/// Annotations that are asked for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NodeAnnotations {
    /// What stands before the slash, such as `bgp.kube-vip.io`.
    pub prefix: String,
    /// The Autonomous System of a peer of which they say none.
    pub(in crate::config) remote_as: RemoteAs,
}

/// What the annotations of one Node say.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct NodeBgp {
    /// `node-asn`.
    pub local_as: Option<Asn>,
    /// `src-ip`: sessions are dialled from it, and an IPv4 address is the BGP Identifier too.
    pub source: Option<IpAddr>,
    /// `peer-ip`, each with what is said of it.
    pub peers: Vec<NodePeer>,
}

/// A peer of one Node.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NodePeer {
    /// `peer-ip`.
    pub address: IpAddr,
    /// `peer-asn`.
    pub remote_as: Option<Asn>,
    /// `bgp-pass`.
    pub password: Option<Secret>,
    /// `peer-multi-hop`.
    pub multihop: Option<bool>,
}

impl NodeAnnotations {
    /// Reads the annotations `PREFIX/KEY` and `PREFIX/bgp-peers-NUMBER-KEY` of a Node. What is said with a number is said
    /// of that number's peers, and where it is silent number 0 counts, then what has no number. Other annotations are
    /// not looked at. Nothing of ours: the default.
    ///
    /// # Errors
    ///
    /// Everything that is wrong, at once.
    pub fn read(&self, annotations: &BTreeMap<String, String>) -> Result<NodeBgp, Vec<Problem>> {
        let mut given = Given { prefix: &self.prefix, entries: BTreeMap::new(), problems: Vec::new() };
        for (name, text) in annotations {
            let Some(key) = name.strip_prefix(&self.prefix).and_then(|rest| rest.strip_prefix('/')) else {
                continue;
            };
            if let Some((group, key)) = place(key) {
                given.entries.insert((group, key), text.trim().to_owned());
            }
        }
        let node = given.node();
        if given.problems.is_empty() { Ok(node) } else { Err(given.problems) }
    }
}

impl Bgp {
    /// The configuration of a Node whose annotations say more. Of a peer that is configured as well, the annotations
    /// count. Ask it of what is configured, each time that the annotations have changed.
    #[must_use]
    pub fn with_node(&self, node: &NodeBgp) -> Self {
        let mut bgp = self.clone();
        let mut said = self.said.clone();
        bgp.local_as = node.local_as.unwrap_or(self.local_as);
        if let Some(IpAddr::V4(source)) = node.source {
            bgp.router_id = RouterId::Given(source);
        }
        if let Some(source) = node.source {
            said.of_all.source = Some(Source::Address(source));
        }
        let remote_as = self.node_annotations.as_ref().map_or(RemoteAs::External, |asked| asked.remote_as);
        for one in &node.peers {
            let peer = one.said(remote_as);
            said.peers.retain(|other| (&other.at, other.port) != (&peer.at, peer.port));
            said.peers.push(peer);
        }
        bgp.peers = said.peers(bgp.local_as);
        bgp
    }
}

impl NodePeer {
    fn said(&self, remote_as: RemoteAs) -> SaidPeer {
        let password = self.password.clone().map(Password::Given);
        let multihop = |on| if on { Multihop::Hops(value::MULTIHOP) } else { Multihop::No };
        let own = PeerOptions {
            authentication: password.map(super::Authentication::Md5),
            multihop: self.multihop.map(multihop),
            ..PeerOptions::default()
        };
        let remote_as = self.remote_as.map_or(remote_as, RemoteAs::Is);
        SaidPeer { at: PeerAt::Address(self.address), port: super::PORT, remote_as, own }
    }
}

/// A number, or none, and what is said.
type Place = (Option<u16>, Key);

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Key {
    NodeAsn,
    SrcIp,
    PeerAsn,
    PeerIp,
    BgpPass,
    PeerMultiHop,
}

struct Given<'a> {
    prefix: &'a str,
    entries: BTreeMap<Place, String>,
    problems: Vec<Problem>,
}

impl Given<'_> {
    fn node(&mut self) -> NodeBgp {
        let node = [Some(0), None];
        let local_as = self.first(Key::NodeAsn, &node).and_then(|place| self.parse(place, value::as_number));
        let source = self.first(Key::SrcIp, &node).and_then(|place| self.parse(place, value::host));
        let places: Vec<Place> =
            self.entries.keys().copied().filter(|(_, key)| *key == Key::PeerIp).collect();
        let peers = places.into_iter().flat_map(|place| self.peers(place)).collect();
        NodeBgp { local_as, source, peers }
    }

    fn peers(&mut self, place: Place) -> Vec<NodePeer> {
        let (group, _) = place;
        let order = [group, Some(0), None];
        let remote_as =
            self.first(Key::PeerAsn, &order).and_then(|place| self.parse(place, value::as_number));
        let password = self.first(Key::BgpPass, &order).and_then(|place| self.parse(place, password));
        let multihop =
            self.first(Key::PeerMultiHop, &order).and_then(|place| self.parse(place, value::yes_or_no));
        let addresses: Option<Vec<IpAddr>> = self.parse(place, |text| {
            text.split(',').map(str::trim).filter(|text| !text.is_empty()).map(value::host).collect()
        });
        let peer = |address| NodePeer { address, remote_as, password: password.clone(), multihop };
        addresses.unwrap_or_default().into_iter().map(peer).collect()
    }

    /// The first place in order where something is said.
    fn first(&self, key: Key, order: &[Option<u16>]) -> Option<Place> {
        let said = |place: &Place| self.entries.get(place).is_some_and(|text| !value::is_unset(text));
        order.iter().map(|group| (*group, key)).find(said)
    }

    fn parse<T>(&mut self, place: Place, parse: impl Fn(&str) -> Result<T, value::Wrong>) -> Option<T> {
        let text = self.entries.get(&place)?;
        match parse(text) {
            Ok(value) => Some(value),
            Err(wrong) => {
                let (group, key) = place;
                let value = (key != Key::BgpPass).then(|| text.clone());
                let name = match group {
                    Some(number) => format!("{}/bgp-peers-{number}-{}", self.prefix, key.text()),
                    None => format!("{}/{}", self.prefix, key.text()),
                };
                let problem = Problem { value, ..Problem::plain(name, wrong.reason, wrong.fix) };
                if !self.problems.contains(&problem) {
                    self.problems.push(problem);
                }
                None
            }
        }
    }
}

impl Key {
    fn text(self) -> &'static str {
        match self {
            Self::NodeAsn => "node-asn",
            Self::SrcIp => "src-ip",
            Self::PeerAsn => "peer-asn",
            Self::PeerIp => "peer-ip",
            Self::BgpPass => "bgp-pass",
            Self::PeerMultiHop => "peer-multi-hop",
        }
    }
}

fn place(key: &str) -> Option<Place> {
    let known = |text: &str| KEYS.iter().copied().find(|key| key.text() == text);
    match key.strip_prefix("bgp-peers-") {
        None => Some((None, known(key)?)),
        Some(rest) => {
            let (number, key) = rest.split_once('-')?;
            Some((Some(number.parse().ok()?), known(key)?))
        }
    }
}

/// Base64, as in a Kubernetes Secret.
fn password(text: &str) -> Result<Secret, value::Wrong> {
    let wrong = |reason: String| value::Wrong::new(reason, "write the password in base64");
    let decoded: Result<ByteString, _> = serde_json::from_value(text.into());
    let ByteString(octets) = decoded.map_err(|_| wrong("not base64".into()))?;
    let text = String::from_utf8(octets).map_err(|_| wrong("not text".into()))?;
    Secret::from_file(&text).map_err(|error| wrong(error.to_string()))
}

const KEYS: [Key; 6] = [Key::NodeAsn, Key::SrcIp, Key::PeerAsn, Key::PeerIp, Key::BgpPass, Key::PeerMultiHop];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Flags, HostFacts, resolve};

    const PREFIX: &str = "bgp.example.org";

    fn speaker(more: &[(&str, &str)]) -> Bgp {
        let minimum = [
            ("address", "192.0.2.10"),
            ("cp_enable", "true"),
            ("bgp_enable", "true"),
            ("annotation", PREFIX),
        ];
        let own = |(name, text): &(&str, &str)| ((*name).to_owned(), (*text).to_owned());
        let env = minimum.iter().chain(more).map(own);
        let host = HostFacts { hostname: "cp1".into(), service_account_namespace: None };
        resolve(&Flags::default(), env, None, &host).unwrap().config.bgp.unwrap()
    }

    fn read(annotations: &[(&str, &str)]) -> Result<NodeBgp, Vec<String>> {
        let own = |(key, text): &(&str, &str)| (format!("{PREFIX}/{key}"), (*text).to_owned());
        let all = annotations.iter().map(own).collect();
        let asked = NodeAnnotations { prefix: PREFIX.into(), remote_as: RemoteAs::External };
        asked.read(&all).map_err(|wrong| wrong.iter().map(ToString::to_string).collect())
    }

    fn peer(address: &str, asn: Option<u32>) -> NodePeer {
        let address = address.parse().unwrap();
        NodePeer { address, remote_as: asn.map(Asn), password: None, multihop: None }
    }

    #[test]
    fn annotations_are_read_with_a_number_and_without() {
        let keys = [
            ("node-asn", "65010"),
            ("src-ip", "192.0.2.7"),
            ("peer-asn", "65001"),
            ("peer-ip", "192.0.2.1, 2001:db8::1"),
        ];
        let expected = NodeBgp {
            local_as: Some(Asn(65010)),
            source: Some([192, 0, 2, 7].into()),
            peers: vec![peer("192.0.2.1", Some(65001)), peer("2001:db8::1", Some(65001))],
        };
        assert_eq!(read(&keys), Ok(expected.clone()));
        let numbered = keys.map(|(key, text)| (format!("bgp-peers-0-{key}"), text));
        let numbered: Vec<_> = numbered.iter().map(|(key, text)| (key.as_str(), *text)).collect();
        assert_eq!(read(&numbered), Ok(expected));
        let others = [("something-else", "x"), ("bgp-peers-x-peer-ip", "y"), ("bgp-peers-0", "z")];
        assert_eq!(read(&others), Ok(NodeBgp::default()));
    }

    #[test]
    fn a_number_has_what_is_its_own_and_else_that_of_number_0() {
        let found = read(&[
            ("bgp-peers-0-peer-ip", "192.0.2.1"),
            ("bgp-peers-0-peer-asn", "65001"),
            ("bgp-peers-0-bgp-pass", "aHVudGVyMg=="),
            ("bgp-peers-1-peer-ip", "192.0.2.2"),
            ("bgp-peers-1-peer-multi-hop", "true"),
            ("bgp-peers-2-peer-ip", "192.0.2.3"),
            ("bgp-peers-2-peer-asn", "65003"),
            ("peer-asn", "65009"),
        ])
        .unwrap();
        let password = Some(Secret::password("hunter2").unwrap());
        let expected = [
            NodePeer { password: password.clone(), ..peer("192.0.2.1", Some(65001)) },
            NodePeer { password: password.clone(), multihop: Some(true), ..peer("192.0.2.2", Some(65001)) },
            NodePeer { password, ..peer("192.0.2.3", Some(65003)) },
        ];
        assert_eq!(found.peers, expected);
    }

    #[test]
    fn everything_that_is_wrong_is_said_once_and_no_password() {
        let found = read(&[
            ("node-asn", "0"),
            ("bgp-peers-0-peer-ip", "router"),
            ("bgp-peers-1-peer-ip", "192.0.2.1"),
            ("bgp-peers-0-bgp-pass", "hunter2!"),
            ("peer-multi-hop", "yes"),
        ]);
        assert_eq!(
            found.unwrap_err(),
            [
                "bgp.example.org/node-asn=0: reserved by RFC 7607, nobody has it; write 1 to 4294967294, or as asdot 1.10",
                "bgp.example.org/bgp-peers-0-bgp-pass: not base64; write the password in base64",
                "bgp.example.org/peer-multi-hop=yes: neither true nor false; write true or false",
                "bgp.example.org/bgp-peers-0-peer-ip=router: not an IP address; \
                 write an address of a host, such as 192.0.2.1 or 2001:db8::1",
            ]
        );
    }

    #[test]
    fn a_node_says_what_is_different_and_keeps_what_is_configured() {
        let configured = speaker(&[("bgp_peers", "192.0.2.1:65000,192.0.2.2:65001"), ("bgp_hold_time", "9")]);
        assert_eq!(configured.with_node(&NodeBgp::default()), configured);
        let node = NodeBgp {
            local_as: Some(Asn(65010)),
            source: Some([192, 0, 2, 7].into()),
            peers: vec![peer("192.0.2.2", Some(65002)), peer("2001:db8::1", None)],
        };
        let bgp = configured.with_node(&node);
        let expected = speaker(&[
            ("bgp_as", "65010"),
            ("bgp_sourceip", "192.0.2.7"),
            ("bgp_peers", "192.0.2.1:65000,192.0.2.2:65002,[2001:db8::1]:65000"),
            ("bgp_hold_time", "9"),
        ]);
        // Of a router in our own AS nothing is known of the way; to another AS it is one link.
        let hops = |bgp: &Bgp| bgp.peers.iter().map(|peer| peer.distance.hops.is_some()).collect::<Vec<_>>();
        assert_eq!((hops(&configured), hops(&bgp)), (vec![false, true], vec![true, true, true]));
        assert_eq!(
            (bgp.local_as, bgp.router_id.clone(), bgp.peers.clone()),
            (expected.local_as, expected.router_id, expected.peers)
        );
        assert_eq!(bgp.with_node(&node), bgp);
    }
}
