//! Addresses whose packets have to be filtered.

use super::*;

#[tokio::test]
async fn what_must_be_filtered_is_announced_from_when_it_is_and_stays_while_its_rule_changes() {
    let mut bench = Bench::new(|_| ()).await;
    bench.list(vec![restricted("shop", "10.0.0.0/8")]).await;
    assert_eq!(bench.wanted(), [on(VIP, false)]);
    let rules = |range: &str| {
        let (address, source_ranges) = (VIP.parse().unwrap(), &[range.parse().unwrap()]);
        let rule = Restricted { address, ports: &PORTS, source_ranges, others: Others::Pass };
        Some(Arc::new(Rules::of([rule])))
    };
    assert_eq!(bench.rules.borrow().clone(), rules("10.0.0.0/8"));
    // Somebody else's rule is in force, or none.
    bench.guard.send_replace(GuardState { trouble: Some("no nf_tables".into()), ..GuardState::default() });
    bench.turn();
    assert_eq!(bench.wanted(), []);
    let explained = bench.services.candidates(VIP.parse().unwrap());
    let explained: Vec<_> =
        explained.iter().map(|it| (it.node.as_str(), it.eligible, it.why.as_str())).collect();
    let filtered = ("a", false, "its packets cannot be filtered: no nf_tables");
    assert_eq!(explained, [filtered, ("b", true, "nothing speaks against it")]);
    bench.enforce();
    assert_eq!(bench.wanted(), [on(VIP, true)]);
    bench.hear(Event::Services(Change::Applied(restricted("shop", "172.16.0.0/12")))).await;
    assert_eq!(bench.rules.borrow().clone(), rules("172.16.0.0/12"));
    assert_eq!(bench.wanted(), []);
    // The kernel has lost everything.
    bench.guard.send_replace(GuardState::default());
    bench.turn();
    assert_eq!(bench.wanted(), [on(VIP, false)]);
}

#[tokio::test]
async fn where_nothing_can_be_filtered_ranges_that_come_silence_and_ranges_that_go_free() {
    let mut bench = Bench::new(|_| ()).await;
    bench.list(vec![restricted("shop", "10.0.0.0/8"), service("plain", ROUTER)]).await;
    bench.guard.send_replace(GuardState { trouble: Some("no nf_tables".into()), ..GuardState::default() });
    bench.turn();
    bench.wanted();
    let ranged = read(Written { source_ranges: vec!["10.0.0.0/8".into()], ..written("plain", ROUTER) });
    for (changed, expected) in [
        (service("shop", VIP), on(VIP, true)),
        (ranged, on(ROUTER, false)),
        (service("plain", ROUTER), on(ROUTER, true)),
    ] {
        bench.hear(Event::Services(Change::Applied(changed))).await;
        assert_eq!(bench.wanted(), [expected]);
    }
}

#[tokio::test]
async fn only_ports_of_services_pass_where_that_is_switched_on_and_not_ignored() {
    for (security, ignored, guarded) in
        [(false, "false", false), (true, "false", true), (true, "true", false), (true, "yes", true)]
    {
        let mut bench = Bench::new(|settings| settings.security = security).await;
        bench.list(vec![annotated("shop", INSECURE, ignored)]).await;
        let rules = bench.rules.borrow().clone().unwrap();
        let others = rules.rule(VIP.parse().unwrap()).map(vipcast_proto::guard::Rule::others);
        assert_eq!(others, guarded.then_some(Others::Drop), "{security} {ignored}");
        assert_eq!(bench.wanted(), [on(VIP, !guarded)]);
    }
}
