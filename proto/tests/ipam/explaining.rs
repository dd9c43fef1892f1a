//! What is said about each pool, for one Service and for all.

use vipcast_proto::ipam::{Family, FamilyPolicy, Forbidden, ForbiddenReason, Ipam, Pool, Settings, kube_vip};

use crate::support::{Service, create, ip, ipam, key, pool};

fn considered(ipam: &Ipam, name: &str) -> Vec<String> {
    let considered = ipam.decision(&key(name)).unwrap().considered;
    considered.iter().map(|it| format!("{} {}", it.pool, it.verdict)).collect()
}

#[test]
fn every_pool_says_what_came_of_it() {
    let (mut pools, _) = kube_vip::parse([
        ("cidr-web", "192.0.2.8/31"),
        ("cidr-global", "192.0.2.16/30"),
        ("cidr-db", "0.0.0.0/32"),
    ]);
    pools.push(Pool { auto_assign: false, ..pool("asked", &["192.0.2.32/30"]) });
    pools.push(pool("six", &["2001:db8::/64"]));
    pools.push(pool("all", &["192.0.2.40/30"]));
    let mut ipam = ipam(pools);
    let services = ["web/a", "web/b", "web/c", "db/a"].map(Service::new);
    create(&mut ipam, &services);
    create(
        &mut ipam,
        &[Service::new("web/named").pool("asked"), Service::new("web/ip").asks_for("203.0.113.1")],
    );
    assert_eq!(
        considered(&ipam, "web/c"),
        [
            "cidr-db (kube-vip) addresses from DHCP are not supported",
            "cidr-web (kube-vip) would serve it",
            "all (vipcast) has 192.0.2.40",
            "asked (vipcast) serves only Services that ask for it",
            "six (vipcast) has no address of the wanted family",
            "cidr-global (kube-vip) the namespace has pools of its own",
        ]
    );
    assert_eq!(
        considered(&ipam, "db/a")[1],
        "cidr-web (kube-vip) is not for this Service: it is for other namespaces"
    );
    assert_eq!(considered(&ipam, "web/named")[2], "all (vipcast) the Service asks for another pool");
    assert_eq!(considered(&ipam, "web/ip")[4], "six (vipcast) the Service asks for addresses by name");
}

#[test]
fn a_pool_without_the_families_of_a_service_that_lacks_nothing_would_not_serve_it() {
    let mut ipam = ipam(vec![pool("four", &["192.0.2.0/28"]), pool("six", &["2001:db8::/64"])]);
    let both = [Family::V4, Family::V6];
    create(
        &mut ipam,
        &[
            Service::new("web/four"),
            Service::new("web/six").families(FamilyPolicy::SingleStack, &[Family::V6]),
            Service::new("web/both").families(FamilyPolicy::PreferDualStack, &both),
            Service::new("web/third").families(FamilyPolicy::PreferDualStack, &both),
        ],
    );
    let of = |name| considered(&ipam, name);
    let other = "has no address of the wanted family";
    assert_eq!(of("web/four")[1], format!("six (vipcast) {other}"));
    assert_eq!(of("web/six")[0], format!("four (vipcast) {other}"));
    assert!(
        of("web/both").iter().all(|line| line.contains(" has 192.0.2.") || line.contains(" has 2001:db8::"))
    );
}

#[test]
fn a_full_pool_and_one_of_the_other_family_are_told_apart() {
    let mut ipam = ipam(vec![pool("four", &["192.0.2.1"]), pool("six", &["2001:db8::/64"])]);
    create(&mut ipam, &[Service::new("web/a"), Service::new("web/b")]);
    assert_eq!(
        considered(&ipam, "web/b"),
        [
            "four (vipcast) pool four (vipcast): 1 of 1 IPv4 addresses used",
            "six (vipcast) has no address of the wanted family",
        ]
    );
}

#[test]
fn reports_have_the_numbers_and_the_conflicts() {
    let mut forbidden = Forbidden::default();
    forbidden.address(ip("192.0.2.254"), ForbiddenReason::Gateway);
    let a = Pool { avoid_buggy: true, ..pool("a", &["192.0.2.0/24", "2001:db8::/64"]) };
    let b = pool("b", &["192.0.2.128/25"]);
    let mut ipam = Ipam::new(Settings::default(), vec![a, b], forbidden);
    let dual = Service::new("web/a").families(FamilyPolicy::PreferDualStack, &[Family::V4, Family::V6]);
    create(
        &mut ipam,
        &[dual, Service::new("web/b").asks_for("192.0.2.200"), Service::new("web/c").asks_for("192.0.2.255")],
    );
    let reports: Vec<_> = ipam
        .reports()
        .iter()
        .map(|it| {
            let usage: Vec<_> = it.usage.iter().map(|it| format!("{}/{}", it.used, it.total)).collect();
            let overlaps: Vec<_> = it.overlaps.iter().map(|it| format!("{} {}", it.with, it.range)).collect();
            let forbidden: Vec<_> =
                it.forbidden.iter().map(|(range, why)| format!("{range}: {why}")).collect();
            (it.pool.to_string(), usage, overlaps, forbidden)
        })
        .collect();
    let gateway = || vec!["192.0.2.254: a gateway".to_owned()];
    // Of 256: without .0, .255 and the gateway; .255 is used, but is none of these.
    assert_eq!(
        reports,
        [
            (
                "a (vipcast)".to_owned(),
                vec!["2/253".to_owned(), "1/18446744073709551616".to_owned()],
                vec!["b (vipcast) 192.0.2.128-192.0.2.255".to_owned()],
                gateway()
            ),
            (
                "b (vipcast)".to_owned(),
                vec!["2/127".to_owned()],
                vec!["a (vipcast) 192.0.2.128-192.0.2.255".to_owned()],
                gateway()
            ),
        ]
    );
}

#[test]
fn a_shared_address_names_all_of_its_holders_the_oldest_first() {
    let mut ipam = ipam(vec![pool("p", &["192.0.2.0/29"])]);
    create(
        &mut ipam,
        &[
            Service::new("web/a").created(2).ports(&[80]).sharing("k"),
            Service::new("web/b").created(1).ports(&[81]).sharing("k"),
            Service::new("web/c").created(3).ports(&[82]).sharing("k"),
        ],
    );
    let with = ipam.decision(&key("web/a")).unwrap().assigned[0].shared_with.clone();
    assert_eq!(with, [key("web/b"), key("web/c")]);
    let holders: Vec<_> = ipam.holders(ip("192.0.2.0")).cloned().collect();
    assert_eq!(holders, [key("web/b"), key("web/a"), key("web/c")]);
}
