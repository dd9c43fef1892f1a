//! zettabgp reads what we mean; we read what it writes.

use std::net::{IpAddr, Ipv4Addr};

use bytes::BytesMut;
use ipnet::IpNet;
use proptest::prelude::*;
use vipcast_proto::bgp::types::{Asn, Attributes, Capability, Family, Message, NextHop, Open};
use vipcast_proto::bgp::wire::{AsNumbers, Parameters};
use zettabgp::message::open::BgpOpenMessage;
use zettabgp::message::update::BgpUpdateMessage;
use zettabgp::prelude::*;

use crate::said::{Said, messages, nothing, open, ours, said, written, written_open};

fn session(as_numbers: AsNumbers) -> BgpSessionParams {
    let mut session =
        BgpSessionParams::new(65001, 90, BgpTransportMode::IPv4, Ipv4Addr::new(192, 0, 2, 1), vec![]);
    session.has_as32bit = as_numbers == AsNumbers::FourOctets;
    session.fuzzy_pathid = false;
    session
}

fn read(octets: &BytesMut, as_numbers: AsNumbers) -> Said {
    let session = session(as_numbers);
    let mut all = Said::default();
    for octets in messages(octets) {
        let (message_type, length) = session.decode_message_head(octets).unwrap();
        assert!(message_type == BgpMessageType::Update && length == octets.len() - 19);
        let mut update = BgpUpdateMessage::new();
        update.decode_from(&session, &octets[19..]).unwrap();
        add(&update, &mut all);
    }
    all
}

fn add(update: &BgpUpdateMessage, all: &mut Said) {
    all.announced.extend(prefixes(&update.updates));
    all.withdrawn.extend(prefixes(&update.withdraws));
    let mut attributes = nothing();
    for attribute in &update.attrs {
        match attribute {
            BgpAttrItem::MPUpdates(reach) => {
                if let BgpAddr::V6(address) = reach.nexthop {
                    attributes.next_hop = NextHop::V6 { address, link_local: None };
                }
                all.announced.extend(prefixes(&reach.addrs));
            }
            BgpAttrItem::MPWithdraws(unreach) => all.withdrawn.extend(prefixes(&unreach.addrs)),
            attribute => add_attribute(attribute, &mut attributes),
        }
    }
    if attributes != nothing() {
        let known = all.attributes.get_or_insert_with(|| attributes.clone());
        assert_eq!(*known, attributes, "each UPDATE has the same attributes");
    }
}

fn add_attribute(attribute: &BgpAttrItem, into: &mut Attributes) {
    match attribute {
        BgpAttrItem::Origin(origin) => assert_eq!(origin.value, BgpAttrOrigin::Igp),
        BgpAttrItem::ASPath(path) => into.as_path = path.value.iter().flat_map(sequence).collect(),
        BgpAttrItem::NextHop(next_hop) => match next_hop.value {
            IpAddr::V4(address) => into.next_hop = NextHop::V4(address),
            IpAddr::V6(address) => panic!("we did not write {address}"),
        },
        BgpAttrItem::MED(med) => into.med = Some(med.value),
        BgpAttrItem::LocalPref(preference) => into.local_pref = Some(preference.value),
        BgpAttrItem::CommunityList(list) => into.communities = list.value.iter().map(|c| c.value).collect(),
        BgpAttrItem::ExtCommunityList(list) => {
            let octets = |c: &BgpExtCommunity| {
                let ([a, b], [d, e, f, g]) = (c.a.to_be_bytes(), c.b.to_be_bytes());
                [c.ctype, c.subtype, a, b, d, e, f, g]
            };
            into.extended_communities = list.value.iter().map(octets).collect();
        }
        BgpAttrItem::LargeCommunityList(list) => {
            into.large_communities = list.value.iter().map(|c| [c.ga, c.ldp1, c.ldp2]).collect();
        }
        other => panic!("we did not write {other:?}"),
    }
}

fn sequence(item: &BgpASitem) -> Vec<Asn> {
    match item {
        BgpASitem::Seq(sequence) => sequence.value.iter().map(|asn| Asn(asn.value)).collect(),
        BgpASitem::Set(set) => panic!("we did not write {set:?}"),
    }
}

fn prefixes(addresses: &BgpAddrs) -> Vec<IpNet> {
    match addresses {
        BgpAddrs::None => vec![],
        BgpAddrs::IPV4U(nets) => {
            nets.iter().map(|n| IpNet::new(n.addr.into(), n.prefixlen).unwrap()).collect()
        }
        BgpAddrs::IPV6U(nets) => {
            nets.iter().map(|n| IpNet::new(n.addr.into(), n.prefixlen).unwrap()).collect()
        }
        other => panic!("we did not write {other:?}"),
    }
}

/// It knows neither a second next hop nor RFC 8950.
fn without_what_it_does_not_know(mut said: Said) -> Said {
    let attributes = said.attributes.as_mut().unwrap();
    if let NextHop::V6 { link_local, .. } = &mut attributes.next_hop {
        *link_local = None;
        said.announced.retain(|prefix| matches!(prefix, IpNet::V6(_)));
    }
    said
}

fn check(said: Said, as_numbers: AsNumbers) -> Result<(), TestCaseError> {
    let said = without_what_it_does_not_know(said);
    if said.announced.is_empty() {
        return Ok(());
    }
    let (announcements, withdrawals) = written(&said, as_numbers);
    prop_assert_eq!(&read(&announcements, as_numbers), &said);
    let withdrawn = Said { withdrawn: said.announced, ..Said::default() };
    prop_assert_eq!(read(&withdrawals, as_numbers), withdrawn);
    Ok(())
}

/// What it has a word for, in its words.
fn theirs(capability: &Capability) -> Option<BgpCapability> {
    Some(match capability {
        Capability::MultiProtocol(Family::IPV4_UNICAST) => BgpCapability::SafiIPv4u,
        Capability::MultiProtocol(Family::IPV6_UNICAST) => BgpCapability::SafiIPv6u,
        Capability::RouteRefresh => BgpCapability::CapRR,
        Capability::EnhancedRouteRefresh => BgpCapability::CapEnhancedRR,
        Capability::FourOctetAs(asn) => BgpCapability::CapASN32(asn.0),
        _ => return None,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn zettabgp_reads_what_we_mean(said in said(1..=u32::MAX)) {
        check(said, AsNumbers::FourOctets)?;
    }

    /// It does not know AS4_PATH.
    #[test]
    fn zettabgp_reads_what_we_mean_in_two_octets(said in said(1..=65535)) {
        check(said, AsNumbers::TwoOctets)?;
    }

    #[test]
    fn zettabgp_and_we_read_each_others_opens(open in open()) {
        let capabilities: Vec<_> = open.capabilities.iter().filter(|c| theirs(c).is_some()).cloned().collect();
        let open = Open { capabilities, ..open };
        let session = session(AsNumbers::FourOctets);
        let mut read = BgpOpenMessage::new();
        read.decode_from(&session, &written_open(&open)[19..]).unwrap();
        let expected = BgpOpenMessage {
            as_num: open.my_as.into(),
            hold_time: open.hold_time,
            router_id: open.identifier,
            caps: open.capabilities.iter().filter_map(theirs).collect(),
        };
        prop_assert_eq!(&read, &expected);

        let mut octets = [0; 4096];
        let length = expected.encode_to(&session, &mut octets[19..]).unwrap();
        let length = session.prepare_message_buf(&mut octets, BgpMessageType::Open, length).unwrap();
        prop_assert_eq!(ours(Parameters::default(), &octets[..length]), Message::Open(open));
    }
}
