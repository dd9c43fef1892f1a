//! The Lease, and timings that go together.

use vipcast_proto::election::Timing;

use crate::config::HostFacts;
use crate::config::problem::Notice;
use crate::config::reader::{Reader, Settings};
use crate::config::setting::Spec;
use crate::config::table as t;
use crate::config::types::Election;

pub(super) fn election(r: &mut Reader<'_>, host: &HostFacts) -> Option<Election> {
    let lease = r.value(&t::LEASE_NAME);
    let namespace = r.optional(&t::LEASE_NAMESPACE);
    let timing = timing(r);
    let (lease, namespace) = (lease?, namespace?);
    let account = host.service_account_namespace.clone();
    let (lease_namespace, from) = match (lease.namespace, namespace, account) {
        (Some(own), given, _) => {
            if given.is_some_and(|given| given != own) {
                let text = format!("the Lease's name says {own}, which counts");
                r.notices.push(Notice::warning(r.name(&t::LEASE_NAMESPACE.spec), text));
            }
            (own, Some("the Lease's name"))
        }
        (None, Some(given), account) => {
            if let Some(account) = account.filter(|account| *account != given) {
                let text = format!("kube-vip would use the service account's namespace {account} instead");
                r.notices.push(Notice::warning(r.name(&t::LEASE_NAMESPACE.spec), text));
            }
            (given, None)
        }
        (None, None, Some(account)) => (account, Some("the service account")),
        (None, None, None) => (LEASE_NAMESPACE.to_owned(), Some("where control planes live")),
    };
    if let Some(from) = from {
        r.derived(&t::LEASE_NAMESPACE.spec, lease_namespace.clone(), from);
    }
    Some(Election { lease_namespace, lease_name: lease.name, timing: timing? })
}

fn timing(r: &mut Reader<'_>) -> Option<Timing> {
    let lease_duration = r.value(&t::LEASE_DURATION);
    let renew_deadline = r.value(&t::RENEW_DEADLINE);
    let retry_period = r.value(&t::RETRY_PERIOD);
    let (lease_duration, renew_deadline, retry_period) = (lease_duration?, renew_deadline?, retry_period?);
    let timing = Timing { lease_duration, renew_deadline, retry_period };
    let rows = Rows {
        lease_duration: &t::LEASE_DURATION.spec,
        renew_deadline: &t::RENEW_DEADLINE.spec,
        retry_period: &t::RETRY_PERIOD.spec,
    };
    goes_together(r, rows, timing).then_some(timing)
}

/// The settings of one set of timings.
#[derive(Clone, Copy)]
pub(super) struct Rows {
    pub(super) lease_duration: &'static Spec,
    pub(super) renew_deadline: &'static Spec,
    pub(super) retry_period: &'static Spec,
}

/// Whether timings go together; what does not is blamed.
pub(super) fn goes_together(r: &mut Reader<'_>, rows: Rows, timing: Timing) -> bool {
    let Timing { lease_duration, renew_deadline, retry_period } = timing;
    let before = r.problems.len();
    if renew_deadline >= lease_duration {
        let lease = r.name(rows.lease_duration);
        // What somebody wrote is named anyway.
        let own = if r.says(rows.renew_deadline) {
            String::new()
        } else {
            format!("{}s, ", renew_deadline.as_secs())
        };
        let reason = format!("{own}not shorter than {lease}, {}s", lease_duration.as_secs());
        r.blame(
            rows.renew_deadline,
            reason,
            format!("leave at least a second to {lease}, for example 10 of 15"),
        );
    }
    if retry_period.saturating_mul(2) > renew_deadline {
        let renew = r.name(rows.renew_deadline);
        let reason = format!(
            "more than half of {renew}, {}s: one lost request would lose the Lease",
            renew_deadline.as_secs()
        );
        r.blame(rows.retry_period, reason, format!("write at most {}", renew_deadline.as_secs() / 2));
    }
    r.problems.len() == before
}

/// Where kube-vip looks for its Lease outside a cluster.
pub(super) const LEASE_NAMESPACE: &str = "kube-system";
