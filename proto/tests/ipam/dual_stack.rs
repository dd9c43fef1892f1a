//! One address of each family, as `ipFamilyPolicy` has it.

use vipcast_proto::ipam::{Family, FamilyPolicy};

use crate::support::{Service, create, ipam, key, outcome, pool};

const V4: Family = Family::V4;
const V6: Family = Family::V6;

#[test]
fn each_policy_gets_what_it_wants_the_primary_family_first() {
    let mut ipam = ipam(vec![pool("p", &["192.0.2.0/28", "2001:db8::/64"])]);
    let service = |name, policy, families: &[Family]| Service::new(name).families(policy, families);
    create(
        &mut ipam,
        &[
            service("web/single-4", FamilyPolicy::SingleStack, &[V4]),
            service("web/single-6", FamilyPolicy::SingleStack, &[V6]),
            service("web/prefer-46", FamilyPolicy::PreferDualStack, &[V4, V6]),
            service("web/prefer-64", FamilyPolicy::PreferDualStack, &[V6, V4]),
            // A cluster of one family: an address of the other one would lead nowhere.
            service("web/prefer-4", FamilyPolicy::PreferDualStack, &[V4]),
            service("web/require", FamilyPolicy::RequireDualStack, &[V4, V6]),
            service("web/unknown", FamilyPolicy::SingleStack, &[]),
        ],
    );
    let names = ["single-4", "single-6", "prefer-46", "prefer-64", "prefer-4", "require", "unknown"];
    let names = names.map(|name| format!("web/{name}"));
    assert_eq!(
        outcome(&ipam, &names.each_ref().map(String::as_str)),
        [
            "web/single-4 192.0.2.0",
            "web/single-6 2001:db8::",
            "web/prefer-46 192.0.2.1 2001:db8::1",
            "web/prefer-64 2001:db8::2 192.0.2.2",
            "web/prefer-4 192.0.2.3",
            "web/require 192.0.2.4 2001:db8::3",
            "web/unknown 192.0.2.5",
        ]
    );
}

#[test]
fn with_one_family_left_require_gets_nothing_prefer_one_and_any_the_other() {
    let mut ipam = ipam(vec![pool("p", &["2001:db8::/126"]), pool("q", &["192.0.2.1"])]);
    create(
        &mut ipam,
        &[
            Service::new("web/a"),
            Service::new("web/b").families(FamilyPolicy::RequireDualStack, &[V4, V6]),
            Service::new("web/c").families(FamilyPolicy::PreferDualStack, &[V4, V6]),
            Service::new("web/d").families(FamilyPolicy::SingleStack, &[]),
            Service::new("web/e").families(FamilyPolicy::RequireDualStack, &[V4]),
        ],
    );
    assert_eq!(
        outcome(&ipam, &["web/b", "web/c", "web/d", "web/e"]),
        [
            "web/b [an IPv4 address: pool q (vipcast): 1 of 1 IPv4 addresses used] \
         [an IPv6 address: the Service requires both families, and the other one cannot be had]",
            "web/c 2001:db8:: [an IPv4 address: pool q (vipcast): 1 of 1 IPv4 addresses used]",
            "web/d 2001:db8::1",
            "web/e [an IPv4 address: pool q (vipcast): 1 of 1 IPv4 addresses used] \
         [an IPv6 address: the Service has no cluster IP of this family]",
        ]
    );
    ipam.remove(&key("web/a"));
    assert_eq!(outcome(&ipam, &["web/b"]), ["web/b 192.0.2.1 2001:db8::2"]);
}

#[test]
fn a_service_that_becomes_single_stack_gives_the_other_family_back() {
    let mut ipam = ipam(vec![pool("p", &["192.0.2.1", "2001:db8::1"])]);
    let both = Service::new("web/a").families(FamilyPolicy::RequireDualStack, &[V4, V6]);
    create(&mut ipam, &[both, Service::new("web/b").families(FamilyPolicy::SingleStack, &[V6])]);
    create(&mut ipam, &[Service::new("web/a")]);
    assert_eq!(outcome(&ipam, &["web/a", "web/b"]), ["web/a 192.0.2.1", "web/b 2001:db8::1"]);
}

#[test]
fn an_address_that_is_asked_for_in_one_family_leaves_the_other_to_the_policy() {
    let mut ipam = ipam(vec![pool("p", &["192.0.2.1", "2001:db8::/64"])]);
    create(
        &mut ipam,
        &[
            Service::new("web/a").asks_for("192.0.2.9").families(FamilyPolicy::RequireDualStack, &[V4, V6]),
            Service::new("web/b").asks_for("192.0.2.10").families(FamilyPolicy::PreferDualStack, &[V4, V6]),
            Service::new("web/c").asks_for("192.0.2.11,2001:db8::9"),
        ],
    );
    assert_eq!(
        outcome(&ipam, &["web/a", "web/b", "web/c"]),
        [
            "web/a 192.0.2.9 2001:db8::",
            "web/b 192.0.2.10",
            "web/c 192.0.2.11 [an IPv6 address: the Service has no cluster IP of this family]",
        ]
    );
}

#[test]
fn a_second_family_that_is_needed_and_not_there_is_missed() {
    let mut ipam = ipam(vec![pool("p", &["192.0.2.1-192.0.2.9"])]);
    for (policy, missed) in [
        (FamilyPolicy::SingleStack, 0),
        (FamilyPolicy::PreferDualStack, 0),
        (FamilyPolicy::RequireDualStack, 1),
    ] {
        let families: &[Family] = if policy == FamilyPolicy::SingleStack { &[V4] } else { &[V4, V6] };
        create(&mut ipam, &[Service::new("web/a").families(policy, families)]);
        let decision = ipam.decision(&key("web/a")).unwrap();
        assert_eq!((decision.assigned.len(), decision.missing().count()), (1, missed), "{policy:?}");
    }
}
