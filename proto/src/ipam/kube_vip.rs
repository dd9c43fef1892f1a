//! What the ConfigMap of kube-vip's cloud provider says.
//!
//! Each `cidr-…` and `range-…` key becomes a pool of that name. Three things differ from the cloud provider, each
//! because it does not do there what its own README says: a namespace's pools come before the global ones (there,
//! `cidr-global` hides every `range-<namespace>`), `cidr-<namespace>` and `range-<namespace>` are both used, and
//! networks and ranges may be mixed in one value. A namespace with pools of its own never gets a global address
//! (as there).

use std::collections::{BTreeMap, BTreeSet};

use super::own::usable;
use super::pool::{PerNamespace, Pool, PoolId, SearchOrder, Selection, Source};
use super::problem::{Problem, Problems};
use super::range::Range;

/// The pools of a ConfigMap, and everything that is wrong with it.
#[must_use]
pub fn parse<'a>(data: impl IntoIterator<Item = (&'a str, &'a str)>) -> (Vec<Pool>, Vec<Problem>) {
    let data: BTreeMap<_, _> = data.into_iter().collect();
    let mut found = vec![];
    let common = Common::parse(&data, &mut found);
    let mut pools = vec![];
    for (&key, &value) in &data {
        let problems = &mut Problems { key, found: &mut found };
        match Key::parse(key) {
            Some(Key::Addresses(scope)) => pools.extend(pool(key, scope, value, &common, problems)),
            Some(Key::Setting) => {}
            None => problems.warn(value, "not a key of kube-vip's cloud provider", KNOWN),
        }
    }
    warn_of_shadows(&data, &mut found);
    (pools, found)
}

/// What a key is for.
enum Key<'a> {
    Addresses(&'a str),
    Setting,
}

impl<'a> Key<'a> {
    fn parse(key: &'a str) -> Option<Self> {
        if let Some(scope) = key.strip_prefix("cidr-").or_else(|| key.strip_prefix("range-")) {
            return (!scope.is_empty()).then_some(Self::Addresses(scope));
        }
        let setting = matches!(key, "search-order" | "skip-end-ips-in-cidr")
            || key.starts_with("allow-share-")
            || key.starts_with("interface-");
        setting.then_some(Self::Setting)
    }
}

/// What all pools have in common.
#[derive(Default)]
struct Common {
    order: SearchOrder,
    skip_ends: bool,
    allow_share: PerNamespace<bool>,
    interface: PerNamespace<String>,
}

impl Common {
    fn parse(data: &BTreeMap<&str, &str>, found: &mut Vec<Problem>) -> Self {
        let mut common = Self::default();
        for (&key, &value) in data {
            common.take(value, &mut Problems { key, found });
        }
        common
    }

    fn take(&mut self, value: &str, problems: &mut Problems<'_>) {
        let key = problems.key;
        if key == "search-order" {
            self.order = order(value, problems);
        } else if key == "skip-end-ips-in-cidr" {
            self.skip_ends = boolean(value, problems).unwrap_or(false);
        } else if let Some(scope) = key.strip_prefix("allow-share-") {
            if let Some(share) = boolean(value, problems) {
                set(&mut self.allow_share, scope, share);
            }
        } else if let Some(scope) = key.strip_prefix("interface-") {
            match value.trim() {
                "" => problems.error(value, "no interface", "name one, or write auto"),
                name => set(&mut self.interface, scope, name.to_owned()),
            }
        }
    }
}

fn pool(key: &str, scope: &str, value: &str, common: &Common, problems: &mut Problems<'_>) -> Option<Pool> {
    let dhcp = value.trim() == DHCP;
    let ranges = if dhcp {
        problems.error(
            value,
            "addresses from DHCP are not supported",
            "write the addresses that may be given",
        );
        vec![]
    } else {
        ranges(value, common.skip_ends, problems)
    };
    // A namespace with pools of its own never gets a global address, not even where they are written wrong.
    if ranges.is_empty() && !dhcp && scope == GLOBAL {
        return None;
    }
    Some(Pool {
        selection: selection(scope),
        // The cloud provider never gives these, whatever else is set.
        avoid_buggy: true,
        order: common.order,
        allow_share: common.allow_share.clone(),
        interface: common.interface.clone(),
        dhcp,
        ..Pool::new(PoolId { source: Source::KubeVip, name: key.into() }, ranges)
    })
}

fn ranges(value: &str, skip_ends: bool, problems: &mut Problems<'_>) -> Vec<Range> {
    let mut ranges = vec![];
    for entry in value.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
        match usable(entry, FORMS) {
            Ok(range) if skip_ends && range.first().is_ipv4() && entry.contains('/') => {
                ranges.push(range.without_ends());
            }
            Ok(range) => ranges.push(range),
            Err((reason, fix)) => problems.error(entry, reason, fix),
        }
    }
    if ranges.is_empty() {
        problems.error(value, "no addresses", FORMS);
    }
    ranges
}

fn selection(scope: &str) -> Selection {
    let namespaces = if scope == GLOBAL { BTreeSet::new() } else { [scope.to_owned()].into() };
    Selection { namespaces, ..Selection::default() }
}

fn order(value: &str, problems: &mut Problems<'_>) -> SearchOrder {
    match value.trim() {
        "desc" => SearchOrder::Descending,
        "asc" | "" => SearchOrder::Ascending,
        other => {
            problems.warn(other, "neither asc nor desc; ascending is used", "write desc, or remove the key");
            SearchOrder::Ascending
        }
    }
}

/// As Go's `strconv.ParseBool` has it.
fn boolean(value: &str, problems: &mut Problems<'_>) -> Option<bool> {
    match value.trim() {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        other => {
            problems.error(
                other,
                "neither true nor false; the key is left out",
                "write \"true\" or \"false\"",
            );
            None
        }
    }
}

fn set<T>(values: &mut PerNamespace<T>, scope: &str, value: T) {
    if scope == GLOBAL {
        values.global = Some(value);
    } else {
        values.namespaces.insert(scope.to_owned(), value);
    }
}

/// Where the cloud provider would have taken other addresses than its README says.
fn warn_of_shadows(data: &BTreeMap<&str, &str>, found: &mut Vec<Problem>) {
    for (&key, &value) in data {
        let Some(namespace) = key.strip_prefix("range-").filter(|scope| *scope != GLOBAL) else { continue };
        let own = format!("cidr-{namespace}");
        let hidden = [own.as_str(), "cidr-global"].into_iter().find(|other| data.contains_key(other));
        if let Some(other) = hidden {
            let reason =
                format!("kube-vip's cloud provider uses {other} and never this key; here this is used too");
            let fix = "remove the key that is not meant; addresses already assigned stay";
            Problems { key, found }.warn(value, reason, fix);
        }
    }
}

const GLOBAL: &str = "global";
const DHCP: &str = "0.0.0.0/32";
const FORMS: &str = "write networks (192.0.2.0/24) or ranges (192.0.2.10-192.0.2.20), separated by commas";
const KNOWN: &str = "known are cidr-, range-, allow-share- and interface- with a namespace or global, search-order, skip-end-ips-in-cidr";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ipam::problem::Severity;

    /// Pool, ranges, namespaces.
    fn brief(pools: &[Pool]) -> Vec<String> {
        let one = |pool: &Pool| {
            let ranges: Vec<_> = pool.ranges.as_slice().iter().map(Range::to_string).collect();
            let namespaces: Vec<_> = pool.selection.namespaces.iter().map(String::as_str).collect();
            format!("{} [{}] for [{}]", pool.id.name, ranges.join(" "), namespaces.join(" "))
        };
        pools.iter().map(one).collect()
    }

    #[test]
    fn every_key_is_understood() {
        let (pools, problems) = parse([
            ("cidr-global", "192.0.2.0/29,2001:db8::/64"),
            ("range-web", "198.51.100.1-198.51.100.3, 198.51.100.4-198.51.100.6"),
            ("search-order", "desc"),
            ("skip-end-ips-in-cidr", "true"),
            ("allow-share-web", "true"),
            ("allow-share-global", "false"),
            ("interface-web", "eth1"),
        ]);
        assert_eq!(
            brief(&pools),
            [
                "cidr-global [192.0.2.1-192.0.2.6 2001:db8::-2001:db8::ffff:ffff:ffff:ffff] for []",
                "range-web [198.51.100.1-198.51.100.6] for [web]",
            ]
        );
        let common: Vec<_> = pools
            .iter()
            .map(|pool| (pool.order, pool.avoid_buggy, pool.allow_share.of("web"), pool.allow_share.of("db")))
            .collect();
        assert_eq!(common, vec![(SearchOrder::Descending, true, Some(&true), Some(&false)); 2]);
        assert_eq!(pools[1].interface.of("web").map(String::as_str), Some("eth1"));
        // The cloud provider would have used cidr-global for the namespace web.
        assert_eq!(
            problems.iter().map(|it| (&*it.key, it.severity)).collect::<Vec<_>>(),
            [("range-web", Severity::Warning)]
        );
    }

    #[test]
    fn a_bad_key_takes_no_good_pool_away_and_every_problem_is_told_at_once() {
        let (pools, problems) = parse([
            ("cidr-bad", "192.0.2.0/40"),
            ("cidr-mixed", "192.0.2.0/30,oops,192.0.2.9-192.0.2.8,224.0.0.0/24"),
            ("range-ok", "198.51.100.1-198.51.100.3"),
            ("cidr-dhcp", "0.0.0.0/32"),
            ("allow-share-ok", "yes"),
            ("interface-ok", " "),
            ("search-order", "random"),
            ("cidr_global", "192.0.2.0/24"),
        ]);
        assert_eq!(
            brief(&pools),
            [
                "cidr-bad [] for [bad]",
                "cidr-dhcp [] for [dhcp]",
                "cidr-mixed [192.0.2.0-192.0.2.3] for [mixed]",
                "range-ok [198.51.100.1-198.51.100.3] for [ok]",
            ]
        );
        let told: Vec<_> = problems.iter().map(|it| (&*it.key, &*it.value)).collect();
        assert_eq!(
            told,
            [
                ("allow-share-ok", "yes"),
                ("interface-ok", " "),
                ("search-order", "random"),
                ("cidr-bad", "192.0.2.0/40"),
                ("cidr-bad", "192.0.2.0/40"),
                ("cidr-dhcp", "0.0.0.0/32"),
                ("cidr-mixed", "oops"),
                ("cidr-mixed", "192.0.2.9-192.0.2.8"),
                ("cidr-mixed", "224.0.0.0/24"),
                ("cidr_global", "192.0.2.0/24"),
            ]
        );
    }
}
