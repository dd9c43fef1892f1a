//! What of ours stands on a Service, what should, and the one request that makes it so.

use std::collections::BTreeSet;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use vipcast_proto::ipam::{Assignment, Port, ServiceView};

/// The annotation that says which addresses were assigned, and from which pools.
pub const ASSIGNED: &str = "vipcast.io/assigned";

/// The text of the annotation [`ASSIGNED`].
#[must_use]
pub fn annotation(record: &[Assignment]) -> String {
    let entries =
        record.iter().map(|it| Entry { address: it.address, pool: it.pool.as_deref().map(Into::into) });
    // Of addresses and names, which can always be written.
    serde_json::to_string(&entries.collect::<Vec<_>>()).unwrap_or_default()
}

/// What the annotation [`ASSIGNED`] says. Users can write it: what makes no sense says nothing.
#[must_use]
pub fn record(annotation: &str) -> Vec<Assignment> {
    let entries: Vec<Value> = serde_json::from_str(annotation).unwrap_or_default();
    let entries =
        entries.into_iter().take(MAX_ENTRIES).filter_map(|entry| serde_json::from_value(entry).ok());
    entries.map(|Entry { address, pool }| Assignment { address, pool: pool.map(Into::into) }).collect()
}

#[derive(Deserialize, Serialize)]
struct Entry {
    address: IpAddr,
    #[serde(skip_serializing_if = "Option::is_none")]
    pool: Option<String>,
}

/// The addresses in a Service's status, and our annotation.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Shown {
    pub(super) ingress: Vec<IpAddr>,
    /// Whether each of them comes with the Service's ports.
    pub(super) ports: bool,
    pub(super) record: Vec<Assignment>,
}

impl Shown {
    pub(super) fn on(view: &ServiceView) -> Self {
        Self { ingress: view.ingress.clone(), ports: view.ports_shown, record: view.record.clone() }
    }

    pub(super) fn of(assignments: Vec<Assignment>) -> Self {
        let ingress = assignments.iter().map(|it| it.address).collect();
        Self { ingress, ports: true, record: assignments }
    }

    /// What is left where nothing is ours: addresses that our annotation does not name are somebody else's.
    pub(super) fn without_ours(&self) -> Self {
        let ours: BTreeSet<_> = self.record.iter().map(|it| it.address).collect();
        let ingress = self.ingress.iter().copied().filter(|address| !ours.contains(address)).collect();
        Self { ingress, ports: self.ports, record: vec![] }
    }

    /// What of this has to be written to `view` where `now` stands; `None`: nothing. Order means nothing in either.
    pub(super) fn patch(&self, now: &Self, view: &ServiceView) -> Option<Patch> {
        let addresses = |shown: &Self| shown.ingress.iter().copied().collect::<BTreeSet<_>>();
        let pools = |shown: &Self| {
            shown.record.iter().map(|it| (it.address, it.pool.clone())).collect::<BTreeSet<_>>()
        };
        let lacks_ports = self.ports && !now.ports && !self.ingress.is_empty();
        let status = (lacks_ports || addresses(self) != addresses(now)).then(|| Status {
            addresses: self.ingress.clone(),
            ports: if self.ports { view.ports.clone() } else { vec![] },
        });
        let record = (pools(self) != pools(now)).then(|| self.record.clone());
        (status.is_some() || record.is_some()).then(|| Patch { uid: view.uid.clone(), status, record })
    }

    /// `patch` has been applied to `view`, which may have other ports since it was made.
    pub(super) fn apply(&mut self, patch: &Patch, view: &ServiceView) {
        if let Some(status) = &patch.status {
            self.ingress.clone_from(&status.addresses);
            self.ports = status.ports == view.ports;
        }
        if let Some(record) = &patch.record {
            self.record.clone_from(record);
        }
    }
}

/// A change of the `status` subresource, which takes our annotation too: both are there, or neither.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Patch {
    /// A Service that was created anew under the same name is another one: the server refuses.
    pub(super) uid: String,
    /// `status.loadBalancer.ingress`; `None`: as it is.
    pub(super) status: Option<Status>,
    /// The annotation; `None`: as it is; empty: none.
    pub(super) record: Option<Vec<Assignment>>,
}

/// `status.loadBalancer`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Status {
    pub(super) addresses: Vec<IpAddr>,
    /// Of each address.
    pub(super) ports: Vec<Port>,
}

impl Status {
    fn body(&self) -> Value {
        let port = |it: &Port| json!({"port": it.number, "protocol": it.protocol.to_string()});
        let ports: Vec<_> = self.ports.iter().map(port).collect();
        let ports = (!ports.is_empty()).then(|| json!(ports));
        let entry = |ip: &IpAddr| {
            present([("ip", Some(json!(ip))), ("ipMode", Some(json!("VIP"))), ("ports", ports.clone())])
        };
        let ingress: Vec<_> = self.addresses.iter().map(entry).collect();
        json!({"loadBalancer": {"ingress": (!ingress.is_empty()).then_some(ingress)}})
    }
}

impl Patch {
    /// Takes the annotation away and leaves the status alone.
    pub(super) fn forgetting(uid: &str) -> Self {
        Self { uid: uid.to_owned(), status: None, record: Some(vec![]) }
    }

    /// As a JSON merge patch.
    pub(super) fn body(&self) -> Value {
        let annotations = self.record.as_ref().map(|record| {
            let text = (!record.is_empty()).then(|| annotation(record));
            json!({ ASSIGNED: text })
        });
        let status = self.status.as_ref().map(Status::body);
        let metadata = present([("uid", Some(json!(self.uid))), ("annotations", annotations)]);
        present([("metadata", Some(metadata)), ("status", status)])
    }
}

/// An object without what is not there: null would remove it.
fn present<const N: usize>(fields: [(&str, Option<Value>); N]) -> Value {
    fields
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)))
        .collect::<Map<_, _>>()
        .into()
}

/// Far more than a Service can have.
const MAX_ENTRIES: usize = 64;

#[cfg(test)]
mod tests {
    use vipcast_proto::ipam::Protocol;

    use super::super::tests::view as named;
    use super::*;

    fn view(ports: &[(Protocol, u16)]) -> ServiceView {
        let ports = ports.iter().map(|&(protocol, number)| Port { protocol, number }).collect();
        ServiceView { uid: "u1".into(), ports, ..(*named("a")).clone() }
    }

    fn assignment(address: &str, pool: Option<&str>) -> Assignment {
        Assignment { address: address.parse().unwrap(), pool: pool.map(Into::into) }
    }

    #[test]
    fn what_is_written_down_is_read_again_and_nonsense_says_nothing() {
        let assigned = vec![assignment("192.0.2.7", Some("web")), assignment("2001:db8::7", None)];
        let text = annotation(&assigned);
        assert_eq!(text, r#"[{"address":"192.0.2.7","pool":"web"},{"address":"2001:db8::7"}]"#);
        assert_eq!(record(&text), assigned);
        assert_eq!(record(r#"[{"address":"x"},{"address":"192.0.2.7","pool":"web"},7]"#), assigned[..1]);
        for nonsense in ["", "{}", "[", "192.0.2.7"] {
            assert_eq!(record(nonsense), []);
        }
    }

    #[test]
    fn only_what_differs_is_written_and_order_is_no_difference() {
        let (a, b) = (assignment("192.0.2.7", Some("web")), assignment("192.0.2.8", None));
        let wanted = Shown::of(vec![a.clone(), b.clone()]);
        assert_eq!(wanted.patch(&Shown::of(vec![b.clone(), a.clone()]), &view(&[])), None);
        let bare = Shown { record: vec![], ..wanted.clone() };
        let patch = wanted.patch(&bare, &view(&[])).unwrap();
        let body = json!({"metadata": {"uid": "u1", "annotations": {ASSIGNED: annotation(&wanted.record)}}});
        assert_eq!(patch.body(), body);
        let patch = Shown::of(vec![a.clone()]).patch(&Shown::default(), &view(&[])).unwrap();
        let body = json!({
            "metadata": {"uid": "u1", "annotations": {ASSIGNED: r#"[{"address":"192.0.2.7","pool":"web"}]"#}},
            "status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.7", "ipMode": "VIP"}]}},
        });
        assert_eq!(patch.body(), body);
    }

    #[test]
    fn each_address_has_the_ports_of_the_service_and_ports_that_are_right_are_not_written_again() {
        let wanted = Shown::of(vec![assignment("192.0.2.7", None), assignment("2001:db8::7", None)]);
        let service = view(&[(Protocol::Tcp, 53), (Protocol::Udp, 53)]);
        let mut now = Shown { ports: false, ..wanted.clone() };
        let patch = wanted.patch(&now, &service).unwrap();
        let ports = json!([{"port": 53, "protocol": "TCP"}, {"port": 53, "protocol": "UDP"}]);
        let ingress = json!([
            {"ip": "192.0.2.7", "ipMode": "VIP", "ports": ports},
            {"ip": "2001:db8::7", "ipMode": "VIP", "ports": ports},
        ]);
        let body = json!({"metadata": {"uid": "u1"}, "status": {"loadBalancer": {"ingress": ingress}}});
        assert_eq!(patch.body(), body);
        // The Service got other ports while these were on their way.
        now.apply(&patch, &view(&[(Protocol::Tcp, 53)]));
        assert_ne!(wanted.patch(&now, &service), None);
        now.apply(&patch, &service);
        assert_eq!(wanted.patch(&now, &service), None);
    }

    #[test]
    fn what_is_cleared_is_ours_and_nothing_else() {
        let shown = Shown {
            ingress: vec!["192.0.2.7".parse().unwrap(), "198.51.100.1".parse().unwrap()],
            ports: false,
            record: vec![assignment("192.0.2.7", None)],
        };
        let left = shown.without_ours();
        let expected = Shown { ingress: vec!["198.51.100.1".parse().unwrap()], ports: false, record: vec![] };
        assert_eq!(left, expected);
        let body = json!({
            "metadata": {"uid": "u1", "annotations": {ASSIGNED: null}},
            "status": {"loadBalancer": {"ingress": [{"ip": "198.51.100.1", "ipMode": "VIP"}]}},
        });
        assert_eq!(left.patch(&shown, &view(&[])).unwrap().body(), body);
        let forgotten = json!({"metadata": {"uid": "u1", "annotations": {ASSIGNED: null}}});
        assert_eq!(Patch::forgetting("u1").body(), forgotten);
    }
}
