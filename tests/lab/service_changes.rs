//! What people do to Services while they are announced, against a real kube-apiserver.

use std::collections::BTreeSet;
use std::net::IpAddr;

use serde_json::{Value, json};

use super::REAL;
use super::bed::{Bed, SOON, wait};
use super::objects::{ingress, service_path, slice, slice_path};
use super::services::{answered, asked, cluster, create_with, host_of, told};
use super::support::{Test, trial};

pub(crate) fn all() -> Vec<Test> {
    vec![
        trial("service_changes::what_is_written_is_followed", REAL, followed),
        trial("service_changes::a_restarted_api_server_is_followed_from_where_it_is", REAL, restarted),
    ]
}

fn followed() {
    let bed = cluster(3, "spread");
    create_with(&bed, "web", &json!({}), &["node2"]);
    let address = has_address(&bed, "web");
    answered(&bed, address);
    its_policy(&bed, address);
    its_slices(&bed, address);
    let wished = its_annotations(&bed);
    silent(&bed, address);
    its_class(&bed, wished);
    its_namespace(&bed, wished);
}

/// From every node to those with an endpoint, and back.
fn its_policy(bed: &Bed, address: IpAddr) {
    change(bed, "web", |service| service["spec"]["externalTrafficPolicy"] = "Local".into());
    answered_by(bed, address, &["node2"]);
    change(bed, "web", |service| service["spec"]["externalTrafficPolicy"] = "Cluster".into());
    answered(bed, address);
}

/// A second one comes, the first one goes, then the last one.
fn its_slices(bed: &Bed, address: IpAddr) {
    let slices = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices";
    let mut second = slice("web", &["node3"]);
    second["metadata"]["name"] = "web-2".into();
    bed.kubernetes().create(slices, &second);
    bed.kubernetes().delete(&slice_path("web"));
    change(bed, "web", |service| service["spec"]["externalTrafficPolicy"] = "Local".into());
    answered_by(bed, address, &["node3"]);
    bed.kubernetes().delete(&slice_path("web-2"));
    silent(bed, address);
    bed.kubernetes().create(slices, &slice("web", &["node1"]));
    answered_by(bed, address, &["node1"]);
}

/// In quick succession: the last one counts. Answers with the address that it asked for.
fn its_annotations(bed: &Bed) -> IpAddr {
    for last in (100..120).chain([77]) {
        let wish = format!("10.77.1.{last}");
        change(bed, "web", |service| {
            service["metadata"]["annotations"]["kube-vip.io/loadbalancerIPs"] = wish.as_str().into();
        });
    }
    let wished: IpAddr = "10.77.1.77".parse().unwrap();
    wait("it has the address that was asked for last", SOON, || {
        (ingress(&bed.kubernetes().get(&service_path("web"))?)? == wished).then_some(())
    });
    answered_by(bed, wished, &["node1"]);
    wished
}

/// No load balancer any more, another's, and ours again.
fn its_class(bed: &Bed, wished: IpAddr) {
    change(bed, "web", |service| service["spec"] = with_type(&service["spec"], "ClusterIP", None));
    silent(bed, wished);
    wait("its status is cleared", SOON, || {
        let status = bed.kubernetes().get(&service_path("web"))?["status"]["loadBalancer"].clone();
        (status == json!({})).then_some(())
    });
    let theirs = Some("example.com/theirs");
    change(bed, "web", |service| service["spec"] = with_type(&service["spec"], "LoadBalancer", theirs));
    wait("it is said to be another's", SOON, || {
        (told(bed, 0, &["explain", "service", "default/web"])["ours"] == json!(false)).then_some(())
    });
    silent(bed, wished);
    change(bed, "web", |service| service["spec"] = with_type(&service["spec"], "ClusterIP", None));
    let ours = Some("kube-vip.io/kube-vip-class");
    change(bed, "web", |service| service["spec"] = with_type(&service["spec"], "LoadBalancer", ours));
    wait("it has its address again", SOON, || ingress(&bed.kubernetes().get(&service_path("web"))?));
    answered(bed, wished);
}

/// All that is in it at once, as when it is deleted.
fn its_namespace(bed: &Bed, wished: IpAddr) {
    create_with(bed, "mail", &json!({}), &["node1"]);
    let mail = has_address(bed, "mail");
    answered(bed, mail);
    bed.kubernetes().delete("/api/v1/namespaces/default/services");
    silent(bed, mail);
    silent(bed, wished);
}

fn restarted() {
    let mut bed = cluster(2, "spread");
    create_with(&bed, "web", &json!({}), &["node1"]);
    create_with(&bed, "mail", &json!({}), &["node1"]);
    let (web, mail) = (has_address(&bed, "web"), has_address(&bed, "mail"));
    answered(&bed, web);
    answered(&bed, mail);
    bed.real.as_mut().unwrap().restart_api().unwrap();
    assert_eq!(asked(&bed, &[web, mail]).len(), 2, "what is granted is answered for while the API is away");
    bed.kubernetes().delete(&service_path("mail"));
    create_with(&bed, "news", &json!({}), &["node1"]);
    let news = has_address(&bed, "news");
    answered(&bed, news);
    if news != mail {
        silent(&bed, mail);
    }
    answered(&bed, web);
}

fn has_address(bed: &Bed, name: &str) -> IpAddr {
    wait("it has an address", SOON, || ingress(&bed.kubernetes().get(&service_path(name))?))
}

/// Changes what is there now; others may have changed it in between.
fn change(bed: &Bed, name: &str, edit: impl Fn(&mut Value)) {
    wait("the change is taken", SOON, || {
        let mut service = bed.kubernetes().get(&service_path(name))?;
        edit(&mut service);
        bed.kubernetes().try_replace(&service_path(name), &service).then_some(())
    });
}

fn with_type(spec: &Value, kind: &str, class: Option<&str>) -> Value {
    let mut spec = spec.clone();
    spec["type"] = kind.into();
    spec["loadBalancerClass"] = class.into();
    if kind != "LoadBalancer" {
        spec["externalTrafficPolicy"] = Value::Null;
        spec["allocateLoadBalancerNodePorts"] = Value::Null;
    }
    spec
}

fn answered_by(bed: &Bed, address: IpAddr, names: &[&str]) {
    let names: BTreeSet<String> = names.iter().map(|name| (*name).to_owned()).collect();
    wait(&format!("{address} is answered for by {names:?}"), SOON, || {
        let owners = asked(bed, &[address]);
        let hosts: BTreeSet<String> = owners.get(&address)?.iter().map(|mac| host_of(bed, *mac)).collect();
        (hosts == names).then_some(())
    });
}

fn silent(bed: &Bed, address: IpAddr) {
    wait(&format!("nobody answers for {address}"), SOON, || asked(bed, &[address]).is_empty().then_some(()));
}
