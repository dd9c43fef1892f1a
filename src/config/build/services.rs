//! Services of type LoadBalancer: who announces them, and the pools of our own settings.

use std::collections::BTreeSet;
use std::net::IpAddr;

use vipcast_proto::election::Timing;
use vipcast_proto::ipam::Selection;
use vipcast_proto::ipam::own::{self, PoolSpec};

use super::Ways;
use super::election::{LEASE_NAMESPACE, Rows, goes_together};
use crate::config::problem::Notice;
use crate::config::reader::{Reader, Settings};
use crate::config::record::Record;
use crate::config::services::{Class, Distribution, ObjectName, Services};
use crate::config::setting::Spec;
use crate::config::table::ALL;
use crate::config::table::services::{self as t, OF_POOL};
use crate::config::types::Election;
use crate::config::{HostFacts, table};

/// Reads everything, and where Services are announced checks what goes together.
pub(super) fn services(
    r: &mut Reader<'_>,
    ways: Ways,
    lease: Option<ObjectName>,
    election: Option<&Election>,
    vips: &[IpAddr],
) -> Option<Option<Services>> {
    let enabled = r.value(&t::SERVICES);
    let before = r.problems.len();
    let read = read(r, ways, lease, election);
    if enabled == Some(false) {
        idle(r);
        return (r.problems.len() == before).then_some(None);
    }
    let services = Services { control_plane_vips: vips.to_vec(), ..read? };
    enabled?;
    if !r.is_explicit(&t::DISTRIBUTION.spec) {
        r.derived(&t::DISTRIBUTION.spec, services.distribution.to_string(), "as kube-vip would");
    }
    apart(r, &services, election);
    whole(r, &services, ways, vips);
    Some(Some(services))
}

fn read(
    r: &mut Reader<'_>,
    ways: Ways,
    lease: Option<ObjectName>,
    election: Option<&Election>,
) -> Option<Services> {
    let namespace = r.optional(&t::NAMESPACE);
    let class = class(r);
    let distribution = distribution(r, ways);
    let lease_on_demand = r.value(&t::LEASE_ON_DEMAND);
    let host_annotation = host_annotation(r, distribution);
    let timing = timing(r, election);
    let weight = r.value(&t::WEIGHT);
    let interface = r.optional(&t::INTERFACE);
    let security = r.value(&t::SECURITY);
    let ignore_exclude_label = r.value(&t::IGNORE_EXCLUDE_LABEL);
    let allocate = r.value(&t::ALLOCATE);
    let pools = pools(r);
    let pool_config_maps = r.value(&t::POOL_CONFIG_MAPS);
    let metallb_pools = r.value(&t::METALLB_POOLS);
    let requests = r.value(&t::REQUESTS);
    let share_requested = r.value(&t::SHARE_REQUESTED);
    let pod_networks = r.optional(&t::POD_NETWORKS);
    let service_networks = r.optional(&t::SERVICE_NETWORKS);
    let gateways = r.optional(&t::GATEWAYS);
    Some(Services {
        namespace: namespace?,
        class: class?,
        distribution: distribution?,
        lease_on_demand: lease_on_demand?,
        host_annotation: host_annotation?,
        lease: lease?,
        timing: timing?,
        interface: interface?,
        security: security?,
        allocate: allocate?,
        pools: pools?,
        pool_config_maps: pool_config_maps?.0,
        metallb_pools: metallb_pools?,
        requests: requests?,
        share_requested: share_requested?,
        weight: weight?,
        ignore_exclude_label: ignore_exclude_label?,
        pod_networks: pod_networks?.unwrap_or_default(),
        service_networks: service_networks?.unwrap_or_default(),
        gateways: gateways?.unwrap_or_default(),
        control_plane_vips: vec![],
    })
}

/// Which of the settings were given for nothing. Deployers write kube-vip's defaults whether Services are on or off.
fn idle(r: &mut Reader<'_>) {
    let section = t::SERVICES.spec.section();
    let given = ALL.iter().filter(|spec| spec.section() == section && spec.key != t::SERVICES.spec.key);
    let names: Vec<String> = given.filter(|spec| r.says_more(spec)).map(|spec| r.name(spec)).collect();
    if !names.is_empty() {
        let switch = r.name(&t::SERVICES.spec);
        let text = format!("without use while {switch} is false: ignored");
        r.notices.push(Notice::info(names.join(", "), text));
    }
}

fn class(r: &mut Reader<'_>) -> Option<Class> {
    let name = r.value(&t::CLASS_NAME);
    let only = r.value(&t::CLASS_ONLY);
    let legacy = r.value(&t::CLASS_LEGACY);
    Some(Class { name: name?, only: only?, legacy: legacy? })
}

/// The default does not depend on where Services are switched on: nodes that disagree about it would announce together.
fn distribution(r: &mut Reader<'_>, ways: Ways) -> Option<Distribution> {
    let given = r.optional(&t::DISTRIBUTION);
    let per_service = r.value(&t::LEASE_PER_SERVICE);
    let (given, per_service) = (given?, per_service?);
    let spec = &t::DISTRIBUTION.spec;
    match given {
        Some(Distribution::EveryNode) if ways.arp => {
            let reason = "ARP and NDP have one answer for an address, and so one node";
            r.blame(spec, reason, "write spread or lease");
            None
        }
        Some(given) if per_service && given != Distribution::LeasePerService => {
            let name = r.name(spec);
            r.blame(&t::LEASE_PER_SERVICE.spec, format!("contradicts {name}"), format!("keep only {name}"));
            None
        }
        Some(given) => Some(given),
        None => Some(match (per_service, ways.arp) {
            (true, _) => Distribution::LeasePerService,
            (false, true) => Distribution::Lease,
            (false, false) => Distribution::EveryNode,
        }),
    }
}

/// As with kube-vip, unless it would be a write for each of thousands of Services that move; of several that announce, none is the
/// one.
fn host_annotation(r: &mut Reader<'_>, distribution: Option<Distribution>) -> Option<bool> {
    let given = r.optional(&t::HOST_ANNOTATION)?;
    Some(match distribution? {
        Distribution::Lease | Distribution::LeasePerService => given.unwrap_or(true),
        Distribution::Spread => given.unwrap_or(false),
        Distribution::EveryNode => false,
    })
}

/// Where kube-vip has it. The name of the control plane's Lease may say another namespace, which counts for that one only; so
/// this is read before it.
pub(super) fn lease(r: &mut Reader<'_>, host: &HostFacts) -> Option<ObjectName> {
    let lease = r.value(&t::LEASE_NAME);
    let given = r.optional(&table::LEASE_NAMESPACE);
    let (lease, given) = (lease?, given?);
    let account = || host.service_account_namespace.clone();
    let namespace = lease.namespace.or(given).or_else(account);
    Some(ObjectName { namespace: namespace.unwrap_or_else(|| LEASE_NAMESPACE.to_owned()), name: lease.name })
}

/// One set of timings says how soon a dead node is noticed, unless somebody wants another for Services: every member
/// renews a Lease, and every member watches all of them.
fn timing(r: &mut Reader<'_>, election: Option<&Election>) -> Option<Timing> {
    let lease_duration = r.optional(&t::LEASE_DURATION);
    let renew_deadline = r.optional(&t::RENEW_DEADLINE);
    let retry_period = r.optional(&t::RETRY_PERIOD);
    let (lease_duration, renew_deadline, retry_period) = (lease_duration?, renew_deadline?, retry_period?);
    let otherwise = election?.timing;
    let timing = Timing {
        lease_duration: lease_duration.unwrap_or(otherwise.lease_duration),
        renew_deadline: renew_deadline.unwrap_or(otherwise.renew_deadline),
        retry_period: retry_period.unwrap_or(otherwise.retry_period),
    };
    let rows = Rows {
        lease_duration: &t::LEASE_DURATION.spec,
        renew_deadline: &t::RENEW_DEADLINE.spec,
        retry_period: &t::RETRY_PERIOD.spec,
    };
    goes_together(r, rows, timing).then_some(timing)
}

fn pools(r: &mut Reader<'_>) -> Option<Vec<PoolSpec>> {
    let mut pools: Option<Vec<PoolSpec>> = Some(Vec::new());
    let mut names = BTreeSet::new();
    for mut record in r.records(&t::POOLS)? {
        let spec = pool_spec(&mut record);
        let twice = spec.as_ref().is_some_and(|spec| !names.insert(spec.name.clone()));
        if twice {
            record.blame(
                &OF_POOL.name.spec,
                "the name of a pool before",
                "give every pool a name of its own",
            );
        }
        let spec = spec.filter(|spec| can_be_used(&mut record, spec));
        r.problems.append(&mut record.problems);
        pools = pools.zip(spec).map(|(mut pools, spec)| {
            pools.push(spec);
            pools
        });
    }
    pools
}

fn pool_spec(record: &mut Record) -> Option<PoolSpec> {
    let rows = &OF_POOL;
    let name = record.optional(&rows.name);
    let addresses = record.optional(&rows.addresses);
    let avoid = record.optional(&rows.avoid);
    let selection = selection(record);
    let priority = record.optional(&rows.priority);
    let auto_assign = record.optional(&rows.auto_assign);
    let avoid_buggy = record.optional(&rows.avoid_buggy);
    let order = record.optional(&rows.order);
    let share = record.optional(&rows.share);
    let interface = record.optional(&rows.interface);
    if name == Some(None) {
        record.missing("without a name", "add a name, such as lan");
    }
    if addresses == Some(None) {
        record.missing("without addresses", "add addresses, such as 192.0.2.64/26");
    }
    Some(PoolSpec {
        name: name??,
        addresses: addresses??,
        avoid: avoid?.unwrap_or_default(),
        selection: selection?,
        priority: priority?,
        only_on_request: !auto_assign?.unwrap_or(true),
        avoid_buggy: avoid_buggy?.unwrap_or(false),
        order: order?.unwrap_or_default(),
        allow_share: share?.unwrap_or(false),
        interface: interface?.map(|interface| interface.to_string()),
    })
}

fn selection(record: &mut Record) -> Option<Selection> {
    let namespaces = record.optional(&OF_POOL.namespaces);
    let namespace_selectors = record.optional(&OF_POOL.namespace_selector);
    let service_selectors = record.optional(&OF_POOL.service_selector);
    Some(Selection {
        namespaces: namespaces?.unwrap_or_default().into_iter().collect(),
        namespace_selectors: namespace_selectors?.unwrap_or_default(),
        service_selectors: service_selectors?.unwrap_or_default(),
    })
}

fn can_be_used(record: &mut Record, spec: &PoolSpec) -> bool {
    let (pool, problems) = own::pool(spec);
    let before = record.problems.len();
    // That there are no addresses has its reason before.
    for problem in problems.iter().filter(|problem| !problem.value.is_empty()) {
        let reason = format!("{:?}: {}", problem.value, problem.reason);
        record.blame(&OF_POOL.addresses.spec, reason, problem.fix.clone());
    }
    if pool.is_none() && problems.is_empty() {
        record.blame(&OF_POOL.avoid.spec, "leaves none of its addresses", "avoid fewer of them");
    }
    record.problems.len() == before
}

/// One Lease has one elector on each node.
fn apart(r: &mut Reader<'_>, services: &Services, election: Option<&Election>) {
    let Some(election) = election.filter(|_| services.distribution == Distribution::Lease) else { return };
    if (&election.lease_namespace, &election.lease_name) == (&services.lease.namespace, &services.lease.name)
    {
        let name = r.name(&table::LEASE_NAME.spec);
        let reason = format!("names the same Lease as {name}: two elections cannot share one");
        r.blame(&t::LEASE_NAME.spec, reason, "leave it out, or write another name");
    }
}

/// What has no effect, or another one than is meant.
fn whole(r: &mut Reader<'_>, services: &Services, ways: Ways, vips: &[IpAddr]) {
    if !ways.arp {
        without_use(r, &t::INTERFACE.spec, "where only BGP announces");
    }
    if services.distribution != Distribution::Spread {
        without_use(r, &t::WEIGHT.spec, "unless services.distribution is spread");
    }
    if services.distribution == Distribution::EveryNode {
        without_use(
            r,
            &t::LEASE_NAME.spec,
            "where every node announces, but for its namespace: that of vipcast-allocator",
        );
        without_use(r, &t::HOST_ANNOTATION.spec, "where every node announces");
    }
    if services.distribution != Distribution::Lease {
        without_use(r, &t::LEASE_ON_DEMAND.spec, "unless services.distribution is lease");
    }
    if !services.allocate {
        for spec in [&t::POOLS.spec, &t::POOL_CONFIG_MAPS.spec, &t::METALLB_POOLS.spec, &t::REQUESTS.spec] {
            without_use(r, spec, "where somebody else gives Services their addresses");
        }
    }
    for (pool, _) in services.pools.iter().map(own::pool) {
        for vip in vips.iter().filter(|vip| pool.as_ref().is_some_and(|pool| pool.ranges.contains(**vip))) {
            let name = pool.as_ref().map(|pool| pool.id.name.as_ref()).unwrap_or_default();
            let text = format!("pool {name} has {vip} in it, the control-plane VIP, which no Service gets");
            r.notices.push(Notice::info(r.name(&t::POOLS.spec), text));
        }
    }
}

fn without_use(r: &mut Reader<'_>, spec: &'static Spec, when: &str) {
    if r.says_more(spec) {
        r.notices.push(Notice::info(r.name(spec), format!("without use {when}")));
    }
}
