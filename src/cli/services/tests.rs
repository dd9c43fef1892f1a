//! What operators see of Services and pools.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::mpsc;

use super::*;
use crate::admin::client::ClientError;
use crate::admin::fixture;
use crate::admin::listen::serve_unix;
use crate::admin::services::{
    AddressExplanation, AddressStatus, Ask, Candidate, NO_SERVICE, PoolUsage, PoolVerdict, ServicesSummary,
    Successor, Told,
};
use crate::admin::timestamp::Timestamp;
use crate::task::Tasks;

fn now() -> Timestamp {
    let moment: SystemTime = UNIX_EPOCH + Duration::from_secs(1_795_225_783);
    moment.into()
}

fn address(text: &str, owners: &[&str], why: &str) -> AddressStatus {
    let owners: Vec<String> = owners.iter().map(|&owner| owner.to_owned()).collect();
    AddressStatus {
        address: text.parse().unwrap(),
        pool: Some("lan".into()),
        modes: if owners.is_empty() { vec![] } else { vec!["arp".into()] },
        interface: None,
        lease: None,
        also_by_others: false,
        owners,
        why: why.into(),
    }
}

fn service(name: &str, addresses: Vec<AddressStatus>, lacks: &[&str]) -> ServiceStatus {
    ServiceStatus {
        namespace: "default".into(),
        name: name.into(),
        class: None,
        addresses,
        lacks: lacks.iter().map(|&lack| lack.to_owned()).collect(),
    }
}

fn answer(services: Vec<ServiceStatus>) -> Services {
    Services { node: "cp1".into(), now: now(), services, notes: vec![] }
}

fn pool(free: u64, conflicts: &[&str]) -> PoolStatus {
    PoolStatus {
        pool: "lan".into(),
        source: "vipcast".into(),
        ranges: vec!["192.0.2.0-192.0.2.3".into()],
        usage: vec![PoolUsage { family: "IPv4".into(), used: 4 - free, free }],
        foreign: 0,
        conflicts: conflicts.iter().map(|&conflict| conflict.to_owned()).collect(),
    }
}

fn summary() -> ServicesSummary {
    ServicesSummary {
        distribution: "spread".into(),
        role: "member".into(),
        services: 2,
        waiting: 1,
        addresses: 1,
        announced: 1,
        allocates: true,
        allocator: None,
        notes: vec![],
    }
}

fn explanation() -> ServiceExplanation {
    let candidate =
        |node: &str, eligible, why: &str| Candidate { node: node.into(), eligible, why: why.into() };
    let address = AddressExplanation {
        address: "192.0.2.7".parse().unwrap(),
        pool: Some("lan".into()),
        why: "given from pool lan".into(),
        shared_with: vec!["default/dns".into()],
        owners: vec!["n1".into()],
        modes: vec!["arp".into()],
        interface: Some("eth0".into()),
        lease: Some("default/kubevip-web".into()),
        also_by_others: false,
        why_owners: "its share by hashing".into(),
        nodes: vec![candidate("n1", true, "has a ready endpoint"), candidate("n2", false, "cordoned")],
        successors: vec![Successor { without: "n1".into(), then: None, why: None }],
        notes: vec![],
    };
    ServiceExplanation {
        node: "n1".into(),
        now: now(),
        namespace: "default".into(),
        name: "web".into(),
        class: None,
        ours: true,
        why_ours: "Services without a class are ours".into(),
        allocator: Some("n2".into()),
        addresses: vec![address],
        lacks: vec!["an IPv6 address: no pool serves this Service".into()],
        pools: vec![PoolVerdict {
            pool: "lan".into(),
            source: "vipcast".into(),
            verdict: "has 192.0.2.7".into(),
        }],
        notes: vec![],
    }
}

#[test]
fn each_address_has_a_line_and_so_has_what_is_lacking() {
    let web = service("web", vec![address("192.0.2.7", &["n1"], "its share")], &["an IPv6 address: no pool"]);
    let dns = service("dns", vec![address("192.0.2.8", &["a", "b", "c", "d"], "every node")], &[]);
    let new = service("new", vec![], &[]);
    let expected = "\
NAMESPACE  NAME  ADDRESS    CLASS  POOL  OWNER     MODE  WHY
default    web   192.0.2.7  -      lan   n1        arp   its share
default    web   -          -      -     -         -     an IPv6 address: no pool
default    dns   192.0.2.8  -      lan   a,b,c +1  arp   every node
default    new   -          -      -     -         -     has no address yet
";
    assert_eq!(table::services(&answer(vec![web, dns, new]), false), expected);
    assert_eq!(table::services(&answer(vec![]), true), "no Services of type LoadBalancer that are ours\n");
}

#[test]
fn a_service_is_served_when_it_has_all_it_wants_and_all_of_it_is_announced() {
    let at = |owners: &[&str]| vec![address("192.0.2.7", owners, "")];
    let served = [
        service("web", at(&["n1"]), &[]),
        service("web", at(&[]), &[]),
        service("web", at(&["n1"]), &["more"]),
        service("web", vec![], &[]),
        service("web", vec![AddressStatus { also_by_others: true, ..at(&[]).remove(0) }], &[]),
    ];
    assert_eq!(served.map(|service| service.is_served()), [true, false, false, false, true]);
}

#[test]
fn pools_say_what_is_left_and_what_is_wrong() {
    let wide = pool(1, &["192.0.2.1 is a gateway", "192.0.2.2 is a gateway"]);
    let huge = PoolStatus {
        usage: vec![PoolUsage { family: "IPv6".into(), used: 0, free: u64::MAX }],
        ..pool(0, &[])
    };
    let pools = |pools, why_none| Pools { node: "cp1".into(), now: now(), pools, why_none, notes: vec![] };
    let expected = "\
POOL  SOURCE   RANGES               FAMILY  USED  FREE  CONFLICTS
lan   vipcast  192.0.2.0-192.0.2.3  IPv4    3     1     2
lan   vipcast  192.0.2.0-192.0.2.3  IPv6    0     2^64  -

! lan (vipcast): 192.0.2.1 is a gateway
! lan (vipcast): 192.0.2.2 is a gateway
";
    assert_eq!(table::pools(&pools(vec![wide, huge], None), false), expected);
    let fine = table::pools(&pools(vec![pool(1, &[])], None), false);
    assert!(fine.ends_with("  -\n"), "{fine}");
    let others = pools(vec![], Some("addresses are given by somebody else".into()));
    assert_eq!(table::pools(&others, false), "no pools here: addresses are given by somebody else\n");
    assert_eq!([pool(1, &[]), pool(0, &[]), pool(1, &["x"])].map(|it| it.is_fine()), [true, false, false]);
}

#[test]
fn every_decision_about_a_service_is_told_with_its_reason() {
    let expected = "\
Service default/web
  class: none
  ours: Services without a class are ours
  addresses are given by: n2
  lacks: an IPv6 address: no pool serves this Service

192.0.2.7
  assigned: given from pool lan
  pool: lan
  shared with: default/dns
  announced by: n1 (arp), on eth0
  lease: default/kubevip-web
  because: its share by hashing
  without n1: nobody announces it
  NODE  ELIGIBLE  WHY
  n1    yes       has a ready endpoint
  n2    no        cordoned

Pools, in the order in which they are tried
  POOL  SOURCE   VERDICT
  lan   vipcast  has 192.0.2.7
";
    assert_eq!(prose::service(&explanation()), expected);
    let announced = |owners: &[&str]| {
        let mut it = explanation();
        it.addresses[0].also_by_others = true;
        it.addresses[0].owners = owners.iter().map(|&owner| owner.to_owned()).collect();
        let text = prose::service(&it);
        text.lines().find(|line| line.contains("announced by")).unwrap().trim().to_owned()
    };
    assert!(announced(&["n1"]).contains("n1, and other eligible nodes (arp)"), "{}", announced(&["n1"]));
    assert!(announced(&[]).contains("other eligible nodes, not this one (arp)"), "{}", announced(&[]));
}

#[test]
fn a_service_is_named_as_kubectl_prints_it() {
    let name = |text: &str| text.parse::<ServiceName>().map(|it| format!("{} {}", it.namespace, it.name));
    assert_eq!(name("kube-system/dns"), Ok("kube-system dns".to_owned()));
    assert_eq!(name("dns"), Ok("default dns".to_owned()));
    for wrong in ["", "/", "a/", "/b", "a/b/c"] {
        assert_eq!(name(wrong), Err("write NAMESPACE/NAME"), "{wrong}");
    }
}

#[tokio::test]
async fn whoever_knows_about_services_is_asked_and_without_them_that_is_said() {
    let directory = tempfile::tempdir().unwrap();
    let mut tasks = Tasks::default();
    let (asked, mut asks) = mpsc::channel(4);
    let (mut on, _board, _beat) = fixture::admin();
    on.services = Some(asked);
    let (off, _board, _beat) = fixture::admin();
    let (with, without) = (directory.path().join("on"), directory.path().join("off"));
    tasks.spawn("on", serve_unix(with.clone(), on.private()));
    tasks.spawn("off", serve_unix(without.clone(), off.private()));
    tasks.spawn("services", async move {
        while let Some(ask) = asks.recv().await {
            match ask {
                Ask::Summary(to) => drop(to.send(summary())),
                Ask::Services(namespace, to) => {
                    let named = namespace.unwrap_or_else(|| "all".to_owned());
                    drop(to.send(Told { all: vec![service(&named, vec![], &[])], notes: vec![] }));
                }
                Ask::Explain(key, to) => {
                    let missing = format!("{NO_SERVICE} {key} of type LoadBalancer");
                    drop(to.send((*key.name == *"web").then(explanation).ok_or(missing)));
                }
                Ask::Pools(to) => drop(to.send(Ok(Told { all: vec![pool(1, &[])], notes: vec![] }))),
            }
        }
    });
    for socket in [&with, &without] {
        while tokio::net::UnixStream::connect(socket).await.is_err() {
            tokio::task::yield_now().await;
        }
    }
    let names = async |path: &str| {
        let answer = client::fetch::<Services>(&with, path).await.unwrap();
        answer.services.into_iter().map(|service| service.name).collect::<Vec<_>>()
    };
    assert_eq!(names("/v1/services").await, ["all"]);
    assert_eq!(names("/v1/services?namespace=kube-system").await, ["kube-system"]);
    assert_eq!(client::fetch::<Pools>(&with, "/v1/pools").await.unwrap().pools, [pool(1, &[])]);
    assert_eq!(client::status(&with).await.unwrap().services, Some(summary()));
    assert_eq!(client::status(&without).await.unwrap().services, None);
    let explain = async |path: &str| client::fetch::<ServiceExplanation>(&with, path).await;
    assert_eq!(explain("/v1/services/default/web").await.unwrap(), explanation());
    let refused = |error: ClientError| error.to_string();
    assert_eq!(
        explain("/v1/services/default/gone").await.map_err(refused),
        Err("there is no Service default/gone of type LoadBalancer".to_owned())
    );
    assert_eq!(
        client::fetch::<Pools>(&without, "/v1/pools").await.map_err(refused),
        Err("Services are switched off on this node: set svc_enable=true".to_owned())
    );
}
