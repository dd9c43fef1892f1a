//! The status as a table for people.

use std::time::Duration;

use comfy_table::Table;
use comfy_table::presets::NOTHING;

use super::span;
use crate::admin::services::ServicesSummary;
use crate::admin::status::{ScopeStatus, Status, VipStatus};
use crate::admin::timestamp::Timestamp;

/// One line per VIP, then what needs attention.
pub(super) fn short(status: &Status) -> String {
    let mut table = bare(&SHORT);
    for vip in &status.vips {
        table.add_row(row(status, vip));
    }
    format!("{}\n\n{}{}", head(status), announced(status, &table), problems(status))
}

/// The same with scope, Lease and rival, and a line for each other part.
pub(super) fn wide(status: &Status) -> String {
    let mut table = bare(&WIDE);
    for vip in &status.vips {
        let lease = scope_of(status, vip).map_or("-", |scope| &scope.lease).to_owned();
        let rival = vip.rival.clone().unwrap_or_else(|| "-".into());
        let mut row = row(status, vip);
        let why = row.pop().unwrap_or_default();
        row.extend([vip.scope.clone(), lease, rival, why]);
        table.add_row(row);
    }
    format!("{}\n\n{}\n{}{}", head(status), announced(status, &table), parts(status), problems(status))
}

/// The VIPs of the control plane and Services, whichever there are.
fn announced(status: &Status, vips: &Table) -> String {
    match (status.vips.is_empty(), &status.services) {
        (false, None) => vips.trim_fmt() + "\n",
        (false, Some(summary)) => format!("{}\n\n{}", vips.trim_fmt(), services(summary)),
        (true, None) => "no VIPs are configured\n".into(),
        (true, Some(summary)) => services(summary),
    }
}

fn row(status: &Status, vip: &VipStatus) -> Vec<String> {
    let scope = scope_of(status, vip);
    let left = vip.remaining_milliseconds.or_else(|| scope?.remaining_milliseconds);
    vec![
        format!("{}/{}", vip.address, vip.prefix_length),
        vip.state.to_string(),
        scope.and_then(|scope| scope.holder.clone()).unwrap_or_else(|| "-".into()),
        age(status, vip.since),
        left.map_or_else(|| "-".into(), |left| span::precise(Duration::from_millis(left))),
        vip.interface.clone(),
        vip.why.clone(),
    ]
}

fn services(it: &ServicesSummary) -> String {
    let waiting = if it.waiting > 0 { format!(", {} without an address", it.waiting) } else { String::new() };
    let mut text = format!("Services: {}{waiting}\n", it.services);
    let how = [&it.distribution, &it.role].map(String::as_str).into_iter().filter(|word| !word.is_empty());
    let how = how.collect::<Vec<_>>().join(", ");
    text += &format!("  addresses announced here: {} of {} ({how})\n", it.announced, it.addresses);
    let giver = match (&it.allocator, it.allocates) {
        (Some(node), _) => node,
        (None, true) => "nobody that is known",
        (None, false) => "somebody else (services.allocate: false)",
    };
    text += &format!("  addresses are given by: {giver}\n");
    it.notes.iter().for_each(|note| text += &format!("  note: {note}\n"));
    text
}

fn head(status: &Status) -> String {
    let ready = if status.ready { "ready" } else { "not ready" };
    let up = age(status, status.since);
    format!("{}: vipcast {}, {ready}, up {up}", status.node, status.version)
}

fn parts(status: &Status) -> String {
    let mut table = bare(&["PART", "STATE", "SINCE", "WHY"]);
    for scope in &status.scopes {
        let (state, since) = (scope.state.to_string(), age(status, scope.since));
        table.add_row([format!("lease {}", scope.lease), state, since, scope.why.clone()]);
    }
    let health = &status.health;
    let since = age(status, health.since);
    table.add_row(["api server health".into(), health.verdict.to_string(), since, health.reason.clone()]);
    let kubernetes = &status.kubernetes;
    let endpoint = kubernetes.endpoint.as_deref().unwrap_or("-");
    let source = kubernetes.source.as_deref().unwrap_or("-");
    let since = age(status, kubernetes.since);
    table.add_row([format!("kubernetes {endpoint}"), kubernetes.condition.clone(), since, source.into()]);
    for link in &status.links {
        let mac = link.mac.clone().unwrap_or_default();
        let since = age(status, link.since);
        table.add_row([format!("link {}", link.interface), link.state.to_string(), since, mac]);
    }
    for session in status.bgp.iter().flat_map(|bgp| &bgp.peers) {
        let (peer, since) = (format!("peer {}", session.peer), age(status, session.since));
        table.add_row([peer, session.state.clone(), since, session.why.clone().unwrap_or_default()]);
    }
    table.trim_fmt() + "\n"
}

fn problems(status: &Status) -> String {
    status.problems().iter().map(|problem| format!("\n! {problem}\n")).collect()
}

fn bare(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING).set_header(header.to_vec());
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table
}

fn scope_of<'s>(status: &'s Status, vip: &VipStatus) -> Option<&'s ScopeStatus> {
    status.scopes.iter().find(|scope| scope.scope == vip.scope)
}

fn age(status: &Status, since: Timestamp) -> String {
    span::short(since.age(status.now))
}

const SHORT: [&str; 7] = ["VIP", "STATE", "HOLDER", "SINCE", "UNTIL", "INTERFACE", "WHY"];
const WIDE: [&str; 10] =
    ["VIP", "STATE", "HOLDER", "SINCE", "UNTIL", "INTERFACE", "SCOPE", "LEASE", "RIVAL", "WHY"];
