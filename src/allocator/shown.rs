//! What of ours stands on a Service, what should, and the one request that makes it so.

use std::collections::BTreeSet;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use vipcast_proto::ipam::{Assignment, ServiceView};

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
    pub(super) record: Vec<Assignment>,
}

impl Shown {
    pub(super) fn on(view: &ServiceView) -> Self {
        Self { ingress: view.ingress.clone(), record: view.record.clone() }
    }

    pub(super) fn of(assignments: Vec<Assignment>) -> Self {
        Self { ingress: assignments.iter().map(|it| it.address).collect(), record: assignments }
    }

    /// What is left where nothing is ours: addresses that our annotation does not name are somebody else's.
    pub(super) fn without_ours(&self) -> Self {
        let ours: BTreeSet<_> = self.record.iter().map(|it| it.address).collect();
        let ingress = self.ingress.iter().copied().filter(|address| !ours.contains(address)).collect();
        Self { ingress, record: vec![] }
    }

    /// What of this has to be written where `now` stands; `None`: nothing. Order means nothing in either.
    pub(super) fn patch(&self, now: &Self, uid: &str) -> Option<Patch> {
        let addresses = |shown: &Self| shown.ingress.iter().copied().collect::<BTreeSet<_>>();
        let pools = |shown: &Self| {
            shown.record.iter().map(|it| (it.address, it.pool.clone())).collect::<BTreeSet<_>>()
        };
        let status = (addresses(self) != addresses(now)).then(|| self.ingress.clone());
        let record = (pools(self) != pools(now)).then(|| self.record.clone());
        (status.is_some() || record.is_some()).then(|| Patch { uid: uid.to_owned(), status, record })
    }
}

/// A change of the `status` subresource, which takes our annotation too: both are there, or neither.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Patch {
    /// A Service that was created anew under the same name is another one: the server refuses.
    pub(super) uid: String,
    /// `status.loadBalancer.ingress`; `None`: as it is.
    pub(super) status: Option<Vec<IpAddr>>,
    /// The annotation; `None`: as it is; empty: none.
    pub(super) record: Option<Vec<Assignment>>,
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
        let status = self.status.as_ref().map(|addresses| {
            let ingress: Vec<_> = addresses.iter().map(|ip| json!({"ip": ip, "ipMode": "VIP"})).collect();
            json!({"loadBalancer": {"ingress": (!ingress.is_empty()).then_some(ingress)}})
        });
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
    use super::*;

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
        assert_eq!(wanted.patch(&Shown::of(vec![b.clone(), a.clone()]), "u1"), None);
        let bare = Shown { record: vec![], ..wanted.clone() };
        let patch = wanted.patch(&bare, "u1").unwrap();
        let body = json!({"metadata": {"uid": "u1", "annotations": {ASSIGNED: annotation(&wanted.record)}}});
        assert_eq!(patch.body(), body);
        let patch = Shown::of(vec![a.clone()]).patch(&Shown::default(), "u1").unwrap();
        let body = json!({
            "metadata": {"uid": "u1", "annotations": {ASSIGNED: r#"[{"address":"192.0.2.7","pool":"web"}]"#}},
            "status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.7", "ipMode": "VIP"}]}},
        });
        assert_eq!(patch.body(), body);
    }

    #[test]
    fn what_is_cleared_is_ours_and_nothing_else() {
        let shown = Shown {
            ingress: vec!["192.0.2.7".parse().unwrap(), "198.51.100.1".parse().unwrap()],
            record: vec![assignment("192.0.2.7", None)],
        };
        let left = shown.without_ours();
        let expected = Shown { ingress: vec!["198.51.100.1".parse().unwrap()], record: vec![] };
        assert_eq!(left, expected);
        let body = json!({
            "metadata": {"uid": "u1", "annotations": {ASSIGNED: null}},
            "status": {"loadBalancer": {"ingress": [{"ip": "198.51.100.1", "ipMode": "VIP"}]}},
        });
        assert_eq!(left.patch(&shown, "u1").unwrap().body(), body);
        let forgotten = json!({"metadata": {"uid": "u1", "annotations": {ASSIGNED: null}}});
        assert_eq!(Patch::forgetting("u1").body(), forgotten);
    }
}
