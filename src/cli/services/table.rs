//! Services and pools as tables for people.

use crate::admin::services::{AddressStatus, PoolStatus, Pools, ServiceStatus, Services};
use crate::cli::answer::{bare, none};

/// One line per address, and one for what a Service lacks.
pub(super) fn services(services: &Services, wide: bool) -> String {
    let notes = noted(&services.notes);
    if services.services.is_empty() {
        return notes + "no Services of type LoadBalancer that are ours\n";
    }
    let mut table = bare(if wide { &WIDE_SERVICES } else { &SERVICES });
    for service in &services.services {
        for address in &service.addresses {
            table.add_row(row(service, Some(address), address.why.clone(), wide));
        }
        if !service.lacks.is_empty() {
            table.add_row(row(service, None, service.lacks.join("; "), wide));
        } else if service.addresses.is_empty() {
            table.add_row(row(service, None, "has no address yet".into(), wide));
        }
    }
    notes + &table.trim_fmt() + "\n"
}

/// One line per pool and address family, then all that is wrong with them.
pub(super) fn pools(pools: &Pools, wide: bool) -> String {
    let notes = noted(&pools.notes);
    if let Some(why) = &pools.why_none {
        return notes + "no pools here: " + why + "\n";
    }
    if pools.pools.is_empty() {
        return notes + "no pools: write services.pools, or a ConfigMap as for kube-vip's cloud provider\n";
    }
    let mut table = bare(&POOLS);
    for pool in &pools.pools {
        for family in usages(pool) {
            let mut row = vec![pool.pool.clone(), pool.source.clone(), ranges(pool, wide)];
            row.extend(family);
            row.push(count_of(&pool.conflicts));
            table.add_row(row);
        }
    }
    notes + &table.trim_fmt() + "\n" + &conflicts(&pools.pools)
}

/// As many as there are, however long each is: a line for each.
fn conflicts(pools: &[PoolStatus]) -> String {
    let of_pool = |pool: &PoolStatus| {
        let lines =
            pool.conflicts.iter().map(|conflict| format!("! {} ({}): {conflict}\n", pool.pool, pool.source));
        lines.collect::<String>()
    };
    let lines: String = pools.iter().map(of_pool).collect();
    if lines.is_empty() { lines } else { format!("\n{lines}") }
}

fn count_of(conflicts: &[String]) -> String {
    if conflicts.is_empty() { none() } else { conflicts.len().to_string() }
}

fn noted(notes: &[String]) -> String {
    notes.iter().map(|note| format!("note: {note}\n")).collect()
}

fn row(service: &ServiceStatus, address: Option<&AddressStatus>, why: String, wide: bool) -> Vec<String> {
    let owners = |it: &AddressStatus| listed(&it.owners, if wide { usize::MAX } else { MOST_OWNERS }, ",");
    let mut row = vec![
        service.namespace.clone(),
        service.name.clone(),
        address.map_or_else(none, |it| it.address.to_string()),
        service.class.clone().unwrap_or_else(none),
        address.and_then(|it| it.pool.clone()).unwrap_or_else(none),
        address.map_or_else(none, owners),
        address.map_or_else(none, |it| listed(&it.modes, usize::MAX, ",")),
    ];
    if wide {
        row.push(address.and_then(|it| it.interface.clone()).unwrap_or_else(none));
        row.push(address.and_then(|it| it.lease.clone()).unwrap_or_else(none));
    }
    row.push(why);
    row
}

/// Family, used, free; a pool without any address has a line all the same.
fn usages(pool: &PoolStatus) -> Vec<[String; 3]> {
    if pool.usage.is_empty() {
        return vec![[none(), "0".into(), "0".into()]];
    }
    pool.usage.iter().map(|it| [it.family.clone(), it.used.to_string(), count(it.free)]).collect()
}

fn count(free: u64) -> String {
    if free == u64::MAX { "2^64".into() } else { free.to_string() }
}

fn ranges(pool: &PoolStatus, wide: bool) -> String {
    listed(&pool.ranges, if wide { usize::MAX } else { MOST_RANGES }, ",")
}

/// The first few, and how many more there are.
fn listed(texts: &[String], most: usize, between: &str) -> String {
    let shown: Vec<&str> = texts.iter().take(most).map(String::as_str).collect();
    match texts.len().saturating_sub(most) {
        _ if texts.is_empty() => none(),
        0 => shown.join(between),
        more => format!("{} +{more}", shown.join(between)),
    }
}

const SERVICES: [&str; 8] = ["NAMESPACE", "NAME", "ADDRESS", "CLASS", "POOL", "OWNER", "MODE", "WHY"];
const WIDE_SERVICES: [&str; 10] =
    ["NAMESPACE", "NAME", "ADDRESS", "CLASS", "POOL", "OWNER", "MODE", "INTERFACE", "LEASE", "WHY"];
const POOLS: [&str; 7] = ["POOL", "SOURCE", "RANGES", "FAMILY", "USED", "FREE", "CONFLICTS"];
const MOST_OWNERS: usize = 3;
const MOST_RANGES: usize = 2;
