//! Lease objects and what the election sees of them; written exactly as client-go writes them.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use vipcast_proto::election::{Intent, Record, Stamp};

/// Says in a released Lease that the addresses were gone before: its value is that record's `renewTime`,
/// so that a later release by somebody who knows nothing of the annotation does not inherit it.
pub const VACATED: &str = "vipcast.io/vacated";

/// What of a holder is written into every record.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Holder {
    /// `spec.holderIdentity`.
    pub identity: String,
    /// `spec.leaseDurationSeconds`.
    pub lease_duration: Duration,
}

/// What the election sees of `lease`. Values that make no sense count as absent.
#[must_use]
pub fn record(lease: &Lease) -> Record {
    let spec = lease.spec.clone().unwrap_or_default();
    let renewed = spec.renew_time.as_ref().map(stamp);
    let holder = spec.holder_identity.filter(|holder| !holder.is_empty());
    Record {
        version: lease.metadata.resource_version.clone().unwrap_or_default(),
        vacated: holder.is_none() && renewed.is_some() && declared(lease) == renewed,
        holder,
        renewed,
        lease_duration: spec.lease_duration_seconds.and_then(seconds),
        transitions: spec.lease_transitions.and_then(|count| u32::try_from(count).ok()).unwrap_or(0),
    }
}

/// The object that makes `intent` true on top of `base`, whose metadata stays as it is.
#[must_use]
pub fn apply(base: Lease, intent: Intent, holder: &Holder, now: Stamp) -> Lease {
    let mut lease = base;
    let before = lease.spec.take().unwrap_or_default();
    let time = micro_time(now);
    let annotations = lease.metadata.annotations.get_or_insert_default();
    annotations.remove(VACATED);
    let mut spec = LeaseSpec {
        holder_identity: Some(holder.identity.clone()),
        lease_duration_seconds: Some(whole_seconds(holder.lease_duration)),
        renew_time: time.clone(),
        ..before
    };
    match intent {
        Intent::Claim { transitions } => {
            spec.acquire_time = time;
            spec.lease_transitions = Some(i32::try_from(transitions).unwrap_or(i32::MAX));
        }
        Intent::Renew => {}
        Intent::Release => {
            annotations.insert(VACATED.to_owned(), written(now));
            spec.holder_identity = Some(String::new());
            spec.lease_duration_seconds = Some(1);
            spec.acquire_time = time;
        }
    }
    if annotations.is_empty() {
        lease.metadata.annotations = None;
    }
    lease.spec = Some(spec);
    lease
}

/// A Lease that does not exist yet.
#[must_use]
pub fn blank(namespace: &str, name: &str, annotations: &BTreeMap<String, String>) -> Lease {
    let mut lease = Lease::default();
    lease.metadata.namespace = Some(namespace.to_owned());
    lease.metadata.name = Some(name.to_owned());
    lease.metadata.annotations = Some(annotations.clone()).filter(|annotations| !annotations.is_empty());
    lease
}

fn declared(lease: &Lease) -> Option<Stamp> {
    let text = lease.metadata.annotations.as_ref()?.get(VACATED)?;
    text.parse().ok().map(|time| stamp(&MicroTime(time)))
}

pub(in crate::kube) fn stamp(time: &MicroTime) -> Stamp {
    Stamp(time.0.as_microsecond())
}

pub(in crate::kube) fn micro_time(stamp: Stamp) -> Option<MicroTime> {
    Timestamp::from_microsecond(stamp.0).ok().map(MicroTime)
}

/// As Go's RFC 3339 with microseconds, which is how a MicroTime travels.
fn written(stamp: Stamp) -> String {
    let text = micro_time(stamp).and_then(|time| serde_json::to_value(time).ok());
    text.and_then(|text| text.as_str().map(str::to_owned)).unwrap_or_default()
}

pub(in crate::kube) fn seconds(count: i32) -> Option<Duration> {
    u64::try_from(count).ok().map(Duration::from_secs)
}

pub(in crate::kube) fn whole_seconds(span: Duration) -> i32 {
    i32::try_from(span.as_secs()).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    /// Byte for byte what client-go v0.33 sends for `leaderelection` with a LeaseLock.
    const HELD: &str = r#"{"kind":"Lease","apiVersion":"coordination.k8s.io/v1","metadata":{"name":"plndr-cp-lock","namespace":"kube-system","uid":"e8e3b0a6-8a63-4f5c-9f55-0d7c29f0a0a1","resourceVersion":"4711","creationTimestamp":"2026-11-20T08:15:30Z","labels":{"app":"vip"},"annotations":{"team":"net"}},"spec":{"holderIdentity":"node-a","leaseDurationSeconds":5,"acquireTime":"2026-11-20T08:15:30.000120Z","renewTime":"2026-11-20T08:16:01.500000Z","leaseTransitions":3}}"#;
    const RELEASED: &str = r#"{"kind":"Lease","apiVersion":"coordination.k8s.io/v1","metadata":{"name":"plndr-cp-lock","namespace":"kube-system","resourceVersion":"4712"},"spec":{"holderIdentity":"","leaseDurationSeconds":1,"acquireTime":"2026-11-20T08:16:02.000001Z","renewTime":"2026-11-20T08:16:02.000001Z","leaseTransitions":3}}"#;
    const RENEWED: Stamp = Stamp(1_795_162_561_500_000);
    const LATER: Stamp = Stamp(1_795_162_562_000_001);

    fn holder() -> Holder {
        Holder { identity: "node-b".into(), lease_duration: Duration::from_secs(5) }
    }

    fn lease(text: &str) -> Lease {
        serde_json::from_str(text).unwrap()
    }

    fn spec(lease: &Lease) -> serde_json::Value {
        serde_json::to_value(lease.spec.as_ref().unwrap()).unwrap()
    }

    #[test]
    fn what_client_go_holds_is_read_field_by_field() {
        let expected = Record {
            version: "4711".into(),
            holder: Some("node-a".into()),
            renewed: Some(RENEWED),
            lease_duration: Some(Duration::from_secs(5)),
            transitions: 3,
            vacated: false,
        };
        assert_eq!(record(&lease(HELD)), expected);
    }

    #[test]
    fn what_client_go_releases_has_no_holder_and_vacates_nothing() {
        let expected = Record {
            version: "4712".into(),
            holder: None,
            renewed: Some(LATER),
            lease_duration: Some(Duration::from_secs(1)),
            transitions: 3,
            vacated: false,
        };
        assert_eq!(record(&lease(RELEASED)), expected);
    }

    #[test]
    fn a_claim_is_written_as_client_go_writes_it_and_keeps_the_metadata() {
        let claimed = apply(lease(HELD), Intent::Claim { transitions: 4 }, &holder(), LATER);
        assert_eq!(claimed.metadata, lease(HELD).metadata);
        let expected = json!({
            "holderIdentity": "node-b",
            "leaseDurationSeconds": 5,
            "acquireTime": "2026-11-20T08:16:02.000001Z",
            "renewTime": "2026-11-20T08:16:02.000001Z",
            "leaseTransitions": 4,
        });
        assert_eq!(spec(&claimed), expected);
    }

    #[test]
    fn a_renewal_moves_only_the_renew_time() {
        let mine = Holder { identity: "node-a".into(), ..holder() };
        let mut expected = lease(HELD);
        expected.spec.as_mut().unwrap().renew_time = micro_time(LATER);
        assert_eq!(apply(lease(HELD), Intent::Renew, &mine, LATER), expected);
    }

    #[test]
    fn a_release_has_client_gos_spec_and_our_declaration() {
        let released = apply(lease(HELD), Intent::Release, &holder(), LATER);
        assert_eq!(spec(&released), spec(&lease(RELEASED)));
        let declared = released.metadata.annotations.clone().unwrap();
        assert_eq!(
            declared.into_iter().collect::<Vec<_>>(),
            [("team".into(), "net".into()), (VACATED.into(), "2026-11-20T08:16:02.000001Z".into())]
        );
        assert!(record(&released).vacated);
    }

    #[test]
    fn a_release_by_client_go_after_ours_vacates_nothing() {
        let ours = apply(lease(HELD), Intent::Release, &holder(), RENEWED);
        let mut theirs = lease(RELEASED);
        theirs.metadata.annotations = ours.metadata.annotations;
        assert!(!record(&theirs).vacated);
    }

    #[test]
    fn a_declaration_does_not_count_while_somebody_holds_the_lease() {
        let mut held = apply(lease(HELD), Intent::Release, &holder(), LATER);
        held.spec.as_mut().unwrap().holder_identity = Some("node-c".into());
        assert!(!record(&held).vacated);
    }

    #[test]
    fn the_next_claim_takes_the_declaration_away() {
        let released = apply(lease(RELEASED), Intent::Release, &holder(), LATER);
        let claimed = apply(released, Intent::Claim { transitions: 4 }, &holder(), Stamp(LATER.0 + 1));
        assert_eq!(claimed.metadata.annotations, None);
    }

    #[test]
    fn nothing_at_all_is_an_empty_record() {
        let expected = Record {
            version: String::new(),
            holder: None,
            renewed: None,
            lease_duration: None,
            transitions: 0,
            vacated: false,
        };
        assert_eq!(record(&Lease::default()), expected);
    }

    proptest! {
        #[test]
        fn a_lease_full_of_garbage_never_panics(
            duration in any::<i32>(), transitions in any::<i32>(), claim in any::<u32>(),
            stamp in any::<i64>(), declared in ".*", identity in ".*",
        ) {
            let mut odd = lease(HELD);
            odd.metadata.annotations.get_or_insert_default().insert(VACATED.into(), declared);
            let spec = odd.spec.as_mut().unwrap();
            spec.holder_identity = Some(identity);
            spec.lease_duration_seconds = Some(duration);
            spec.lease_transitions = Some(transitions);
            let seen = record(&odd);
            prop_assert_eq!(seen.lease_duration.is_none(), duration < 0);
            for intent in [Intent::Claim { transitions: claim }, Intent::Renew, Intent::Release] {
                let _ = record(&apply(odd.clone(), intent, &holder(), Stamp(stamp)));
            }
        }
    }
}
