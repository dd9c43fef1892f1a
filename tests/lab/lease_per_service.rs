//! A Lease for each Service, against a real kube-apiserver: who holds it answers, and Leases go with their Services.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use serde_json::{Value, json};
use vipcast::clock;

use super::REAL;
use super::bed::{Bed, SOON, ms, wait};
use super::objects::{ingress, objects, service_path, slice, slice_path};
use super::services::{asked, cluster, create_with, host_of, number, told};
use super::support::{Test, trial};

pub(crate) fn all() -> Vec<Test> {
    vec![
        trial("lease_per_service::each_service_has_one_answerer_that_others_replace", REAL, replaced),
        trial("lease_per_service::leases_go_with_their_services", REAL, churned),
        trial("lease_per_service::services_that_name_one_lease_stay_together", REAL, together),
        trial("lease_per_service::on_demand_only_those_that_say_so_have_their_own", REAL, on_demand),
        trial("lease_per_service::a_service_names_the_node_that_announces_it", REAL, hosts),
    ]
}

fn replaced() {
    let mut bed = cluster(3, "leasePerService");
    let addresses = created(&bed, "web", MANY, &json!({}));
    let begin = clock::now();
    let owners = all_answered(&bed, &addresses);
    eprintln!(
        "{MANY} Services answered for {:?} after they had addresses: {:?}",
        begin.elapsed(),
        shares(&owners)
    );
    named(&bed, &owners);

    // Planned: nobody waits for a Lease to run out, and nobody answers beside another.
    let leaving = most(&owners);
    let begin = clock::now();
    bed.daemon(number(&bed, &leaving)).term().unwrap();
    let (owners, double) = without(&bed, &addresses, &leaving);
    eprintln!("{leaving} stopped: all answered for by others after {:?}", begin.elapsed());
    assert_eq!(double, 0, "two answered for one");
    assert!(begin.elapsed() < ms(2500), "{:?}", begin.elapsed());

    // Unplanned: the Leases run out.
    let dying = most(&owners);
    let begin = clock::now();
    bed.daemon(number(&bed, &dying)).kill().unwrap();
    let (owners, double) = without(&bed, &addresses, &dying);
    eprintln!("{dying} killed: all answered for by others after {:?}", begin.elapsed());
    assert_eq!((double, shares(&owners).len()), (0, 1));
    assert!(begin.elapsed() < Duration::from_secs(8), "{:?}", begin.elapsed());
}

fn churned() {
    let bed = cluster(3, "leasePerService");
    for cycle in 0..CYCLES {
        let name = format!("web{cycle}");
        create_with(&bed, &name, &json!({}), &["node1"]);
        // Some go before they are answered for, some while they are.
        if cycle % 4 == 0 {
            let address =
                wait("it has an address", SOON, || ingress(&bed.kubernetes().get(&service_path(&name))?));
            wait("one answers", SOON, || (asked(&bed, &[address]).get(&address)?.len() == 1).then_some(()));
        }
        bed.kubernetes().delete(&service_path(&name));
    }
    wait("no Lease is left behind", Duration::from_secs(40), || leases(&bed).is_empty().then_some(()));
}

fn together() {
    let mut bed = cluster(3, "leasePerService");
    let annotations = json!({ "annotations": { "kube-vip.io/leaseName": "front" } });
    let addresses = created(&bed, "web", 5, &annotations);
    let owners = all_answered(&bed, &addresses);
    assert_eq!((shares(&owners).len(), leases(&bed)), (1, ["front".to_owned()].into()));
    let leaving = most(&owners);
    bed.daemon(number(&bed, &leaving)).term().unwrap();
    let (owners, double) = without(&bed, &addresses, &leaving);
    assert_eq!((double, shares(&owners).len()), (0, 1), "{owners:?}");
}

fn on_demand() {
    let bed = super::services::cluster_with(3, "lease", &[("per_service_election_on_demand", "true")]);
    let forced = json!({ "annotations": { "kube-vip.io/forcePerServiceElection": "true" } });
    let addresses = [created(&bed, "own", 6, &forced), created(&bed, "web", 6, &json!({}))].concat();
    let owners = all_answered(&bed, &addresses);
    let mut expected: BTreeSet<_> = (0..6).map(|number| format!("kubevip-own{number}")).collect();
    assert_eq!(leases(&bed), expected);
    let all = told(&bed, 0, &["services"]);
    let by_lease = |service: &Value| service["addresses"][0]["lease"].as_str().unwrap().to_owned();
    let said: BTreeSet<_> = all["services"].as_array().unwrap().iter().map(by_lease).collect();
    expected = expected.into_iter().map(|name| format!("default/{name}")).collect();
    expected.insert("kube-system/plndr-svcs-lock".into());
    assert_eq!(said, expected);
    let shared: BTreeSet<_> = addresses[6..].iter().map(|address| &owners[address]).collect();
    assert_eq!(shared.len(), 1, "{owners:?}");
}

fn hosts() {
    let mut bed = cluster(3, "leasePerService");
    let addresses = created(&bed, "web", 2, &json!({}));
    let owners = all_answered(&bed, &addresses);
    let host = |bed: &Bed, index: usize| {
        let service = bed.kubernetes().get(&service_path(&format!("web{index}"))).unwrap();
        service["metadata"]["annotations"]["kube-vip.io/vipHost"].as_str().map(str::to_owned)
    };
    for (index, address) in addresses.iter().enumerate() {
        wait("it names who answers", SOON, || {
            (host(&bed, index) == Some(owners[address].clone())).then_some(())
        });
    }
    let leaving = owners[&addresses[0]].clone();
    bed.daemon(number(&bed, &leaving)).term().unwrap();
    let (owners, _) = without(&bed, &addresses, &leaving);
    let next = owners[&addresses[0]].clone();
    wait("it names who follows", SOON, || (host(&bed, 0) == Some(next.clone())).then_some(()));
    let without_endpoints = slice("web0", &[]);
    bed.kubernetes().replace(&slice_path("web0"), &without_endpoints);
    wait("it names nobody", SOON, || host(&bed, 0).is_none().then_some(()));
    assert_eq!(host(&bed, 1), Some(owners[&addresses[1]].clone()));
}

/// Services with these `metadata`, all at once, and the addresses they are given, in the order of their numbers.
fn created(bed: &Bed, prefix: &str, count: usize, metadata: &Value) -> Vec<IpAddr> {
    let names: Vec<String> = (0..count).map(|number| format!("{prefix}{number}")).collect();
    let mut all = names.iter().flat_map(|name| objects(name, &json!({}), &["node1"])).collect::<Vec<_>>();
    for (_, object) in all.iter_mut().filter(|(_, object)| object["kind"] == "Service") {
        for (key, value) in metadata.as_object().unwrap() {
            object["metadata"][key] = value.clone();
        }
    }
    bed.kubernetes().create_all(&all);
    let address = |name: &String| {
        wait("it has an address", SOON, || ingress(&bed.kubernetes().get(&service_path(name))?))
    };
    names.iter().map(address).collect()
}

/// Who answers, once one node does for each.
fn all_answered(bed: &Bed, addresses: &[IpAddr]) -> BTreeMap<IpAddr, String> {
    let owners = wait("each is answered for", SOON, || {
        let owners = asked(bed, addresses);
        (owners.len() == addresses.len()).then_some(owners)
    });
    assert!(owners.values().all(|macs| macs.len() == 1), "two answer for one: {owners:?}");
    owners.into_iter().map(|(address, macs)| (address, host_of(bed, *macs.first().unwrap()))).collect()
}

/// Who answers once `gone` answers for none, and how often two did on the way.
fn without(bed: &Bed, addresses: &[IpAddr], gone: &str) -> (BTreeMap<IpAddr, String>, usize) {
    let mut double = 0;
    let owners = wait("others answer for all", SOON, || {
        let owners = asked(bed, addresses);
        double += owners.values().filter(|macs| macs.len() > 1).count();
        let one = |(address, macs): (&IpAddr, &BTreeSet<_>)| (*address, host_of(bed, *macs.first().unwrap()));
        let owners: BTreeMap<_, _> = owners.iter().map(one).collect();
        (owners.len() == addresses.len() && owners.values().all(|owner| owner != gone)).then_some(owners)
    });
    (owners, double)
}

/// The daemons name the Lease of a Service, and who holds it.
fn named(bed: &Bed, owners: &BTreeMap<IpAddr, String>) {
    let (address, owner) = owners.first_key_value().unwrap();
    for node in 0..3 {
        let said = wait("each node knows", SOON, || {
            let all = told(bed, node, &["services"]);
            let services = all["services"].as_array()?;
            let with = |service: &&Value| service["addresses"][0]["address"] == json!(address);
            let service = services.iter().find(with)?.clone();
            (service["addresses"][0]["owners"] == json!([owner])).then_some(service)
        });
        let name = said["name"].as_str().unwrap();
        assert_eq!(said["addresses"][0]["lease"], format!("default/kubevip-{name}"));
        let explained = told(bed, node, &["explain", "service", &format!("default/{name}")]);
        assert_eq!(explained["addresses"][0]["lease"], said["addresses"][0]["lease"]);
        let lease = format!("/apis/coordination.k8s.io/v1/namespaces/default/leases/kubevip-{name}");
        let lease = bed.kubernetes().get(&lease).unwrap();
        assert_eq!(lease["spec"]["holderIdentity"], json!(owner));
        assert_eq!(lease["metadata"]["annotations"]["vipcast.io/addresses"], json!(address));
    }
}

/// Leases in the namespace of the Services.
fn leases(bed: &Bed) -> BTreeSet<String> {
    let all = bed.kubernetes().get("/apis/coordination.k8s.io/v1/namespaces/default/leases").unwrap();
    let name = |lease: &Value| lease["metadata"]["name"].as_str().unwrap().to_owned();
    all["items"].as_array().unwrap().iter().map(name).collect()
}

fn shares(owners: &BTreeMap<IpAddr, String>) -> BTreeMap<&str, usize> {
    let mut shares = BTreeMap::new();
    owners.values().for_each(|owner| *shares.entry(owner.as_str()).or_default() += 1);
    shares
}

fn most(owners: &BTreeMap<IpAddr, String>) -> String {
    shares(owners).into_iter().max_by_key(|(_, count)| *count).unwrap().0.to_owned()
}

const MANY: usize = 20;
const CYCLES: usize = 100;
