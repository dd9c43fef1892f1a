//! netgauze-bgp-pkt reads what we mean, and writes the same octets.

use std::net::IpAddr;

use bytes::BytesMut;
use ipnet::IpNet;
use netgauze_bgp_pkt::BgpMessage;
use netgauze_bgp_pkt::capabilities::BgpCapability;
use netgauze_bgp_pkt::nlri::{Ipv4UnicastAddress, Ipv6UnicastAddress};
use netgauze_bgp_pkt::path_attribute::{AsPath, MpReach, MpUnreach, PathAttributeValue};
use netgauze_bgp_pkt::update::BgpUpdateMessage;
use netgauze_bgp_pkt::wire::deserializer::BgpParsingContext;
use netgauze_parse_utils::WritablePdu;
use netgauze_parse_utils::reader::SliceReader;
use netgauze_parse_utils::traits::ParseFromWithOneInput;
use proptest::prelude::*;
use vipcast_proto::bgp::types::{Asn, Attributes, Capability, Family, Message, NextHop};
use vipcast_proto::bgp::wire::{AsNumbers, Parameters};

use crate::said::{Said, is_flawless, messages, nothing, open, ours, said, written, written_open};

fn parse(octets: &[u8], as_numbers: AsNumbers) -> BgpMessage {
    let mut context = match as_numbers {
        AsNumbers::FourOctets => BgpParsingContext::default(),
        AsNumbers::TwoOctets => BgpParsingContext::asn2_default(),
    };
    BgpMessage::parse(&mut SliceReader::new(octets), &mut context).unwrap()
}

fn rewritten(message: &BgpMessage) -> Vec<u8> {
    let mut octets = Vec::new();
    message.write(&mut octets).unwrap();
    octets
}

/// All that is said in a stream of UPDATEs, each of which it writes as we did.
fn read(octets: &BytesMut, as_numbers: AsNumbers) -> Said {
    let mut all = Said::default();
    for octets in messages(octets) {
        let message = parse(octets, as_numbers);
        assert_eq!(rewritten(&message), octets);
        let BgpMessage::Update(update) = message else { panic!("{message:?}") };
        add(&update, &mut all);
    }
    all
}

fn add(update: &BgpUpdateMessage, all: &mut Said) {
    all.announced.extend(update.nlri().iter().map(ipv4));
    all.withdrawn.extend(update.withdraw_routes().iter().map(ipv4));
    let mut attributes = nothing();
    for attribute in update.path_attributes() {
        match attribute.value() {
            PathAttributeValue::MpReach(reach) => mp_reach(reach, &mut attributes, all),
            PathAttributeValue::MpUnreach(unreach) => mp_unreach(unreach, all),
            value => add_attribute(value, &mut attributes),
        }
    }
    if attributes != nothing() {
        let known = all.attributes.get_or_insert_with(|| attributes.clone());
        assert_eq!(*known, attributes, "each UPDATE has the same attributes");
    }
}

fn add_attribute(value: &PathAttributeValue, into: &mut Attributes) {
    match value {
        PathAttributeValue::Origin(_) => {}
        PathAttributeValue::AsPath(AsPath::As4PathSegments(segments)) => {
            into.as_path =
                segments.iter().flat_map(|segment| segment.as_numbers()).map(|asn| Asn(*asn)).collect();
        }
        PathAttributeValue::AsPath(AsPath::As2PathSegments(segments)) => {
            let asns = segments.iter().flat_map(|segment| segment.as_numbers());
            into.as_path = asns.map(|asn| Asn((*asn).into())).collect();
        }
        PathAttributeValue::As4Path(path) => {
            let asns = path.segments().iter().flat_map(|segment| segment.as_numbers());
            let long: Vec<_> = asns.map(|asn| Asn(*asn)).collect();
            let mapped: Vec<_> = long.iter().map(|asn| Asn(asn.two_octets().into())).collect();
            assert_eq!(into.as_path, mapped, "AS_PATH is AS4_PATH in two octets");
            into.as_path = long;
        }
        PathAttributeValue::NextHop(next_hop) => into.next_hop = NextHop::V4(next_hop.next_hop()),
        PathAttributeValue::MultiExitDiscriminator(med) => into.med = Some(med.metric()),
        PathAttributeValue::LocalPreference(preference) => into.local_pref = Some(preference.metric()),
        PathAttributeValue::Communities(communities) => {
            into.communities = communities.communities().iter().map(|community| community.value()).collect();
        }
        PathAttributeValue::ExtendedCommunities(communities) => {
            into.extended_communities = communities.communities().iter().map(octets).collect();
        }
        PathAttributeValue::LargeCommunities(communities) => {
            let parts = communities.communities().iter();
            into.large_communities =
                parts.map(|c| [c.global_admin(), c.local_data1(), c.local_data2()]).collect();
        }
        other => panic!("we did not write {other:?}"),
    }
}

fn octets<E: std::fmt::Debug>(community: &impl WritablePdu<E>) -> [u8; 8] {
    let mut octets = Vec::new();
    community.write(&mut octets).unwrap();
    octets.try_into().unwrap()
}

fn mp_reach(reach: &MpReach, attributes: &mut Attributes, all: &mut Said) {
    match reach {
        MpReach::Ipv4Unicast { next_hop: IpAddr::V6(address), next_hop_local, nlri } => {
            attributes.next_hop = NextHop::V6 { address: *address, link_local: *next_hop_local };
            all.announced.extend(nlri.iter().map(ipv4));
        }
        MpReach::Ipv6Unicast { next_hop_global, next_hop_local, nlri } => {
            attributes.next_hop = NextHop::V6 { address: *next_hop_global, link_local: *next_hop_local };
            all.announced.extend(nlri.iter().map(ipv6));
        }
        other => panic!("we did not write {other:?}"),
    }
}

fn mp_unreach(unreach: &MpUnreach, all: &mut Said) {
    match unreach {
        MpUnreach::Ipv6Unicast { nlri } => all.withdrawn.extend(nlri.iter().map(ipv6)),
        other => panic!("we did not write {other:?}"),
    }
}

fn ipv4(address: &Ipv4UnicastAddress) -> IpNet {
    IpNet::V4(address.network().address())
}

fn ipv6(address: &Ipv6UnicastAddress) -> IpNet {
    IpNet::V6(address.network().address())
}

fn capability(capability: &BgpCapability) -> Capability {
    macro_rules! family_of {
        ($their:expr) => {{
            let address_type = $their.address_type();
            family(address_type.address_family(), address_type.subsequent_address_family())
        }};
    }
    match capability {
        BgpCapability::MultiProtocolExtensions(family) => Capability::MultiProtocol(family_of!(family)),
        BgpCapability::RouteRefresh => Capability::RouteRefresh,
        BgpCapability::EnhancedRouteRefresh => Capability::EnhancedRouteRefresh,
        BgpCapability::FourOctetAs(asn) => Capability::FourOctetAs(Asn(asn.asn4())),
        BgpCapability::ExtendedNextHopEncoding(encoding) => Capability::ExtendedNextHop(
            encoding
                .encodings()
                .iter()
                .map(|encoding| (family_of!(encoding), encoding.next_hop_afi().into()))
                .collect(),
        ),
        BgpCapability::GracefulRestartCapability(restart) => {
            let families = restart.address_families().iter();
            Capability::GracefulRestart(vipcast_proto::bgp::types::GracefulRestart {
                restarting: restart.restart(),
                notification: restart.graceful_notification(),
                restart_time: restart.time(),
                families: families.map(|f| (family_of!(f), f.forwarding_state())).collect(),
            })
        }
        other => panic!("we did not write {other:?}"),
    }
}

fn family(afi: impl Into<u16>, safi: impl Into<u8>) -> Family {
    Family { afi: afi.into(), safi: safi.into() }
}

fn check(said: Said, as_numbers: AsNumbers) -> Result<(), TestCaseError> {
    let (announcements, withdrawals) = written(&said, as_numbers);
    let mut read_back = read(&announcements, as_numbers);
    // Routes in one UPDATE are of one family, in their order.
    read_back.announced.sort();
    let mut announced = said.announced.clone();
    announced.sort();
    prop_assert_eq!(&read_back, &Said { announced: announced.clone(), ..said });
    let mut withdrawn = read(&withdrawals, as_numbers);
    withdrawn.withdrawn.sort();
    prop_assert_eq!(withdrawn, Said { withdrawn: announced, ..Said::default() });
    let parameters =
        Parameters { as_numbers, external: true, extended_next_hop: true, ..Parameters::default() };
    let external = Parameters { external: false, ..parameters };
    let has_preference = read_back.attributes.is_some_and(|attributes| attributes.local_pref.is_some());
    let parameters = if has_preference { external } else { parameters };
    for message in messages(&announcements) {
        prop_assert!(is_flawless(&ours(parameters, message)));
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn netgauze_reads_what_we_mean_and_writes_the_same(said in said(1..=u32::MAX)) {
        check(said, AsNumbers::FourOctets)?;
    }

    #[test]
    fn netgauze_reads_what_we_mean_in_two_octets(said in said(1..=u32::MAX)) {
        check(said, AsNumbers::TwoOctets)?;
    }

    #[test]
    fn netgauze_and_we_read_the_same_opens(open in open()) {
        let octets = written_open(&open);
        let message = parse(&octets, AsNumbers::FourOctets);
        prop_assert_eq!(ours(Parameters::default(), &rewritten(&message)), Message::Open(open.clone()));
        let BgpMessage::Open(theirs) = message else { panic!("{message:?}") };
        prop_assert_eq!((theirs.my_as(), theirs.hold_time(), theirs.bgp_id()), (open.my_as, open.hold_time, open.identifier));
        let capabilities: Vec<_> = theirs.capabilities().into_iter().map(capability).collect();
        prop_assert_eq!(capabilities, open.capabilities);
    }
}
