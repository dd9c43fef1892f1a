//! Gauges of pools and Services. Their labels are names of pools and closed sets: however many Services there are, there are
//! no more series.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet};
use tokio::sync::watch;

use super::gauges::{family, single, truth};
use super::services::PoolStatus;

/// How it stands with Services. Whoever knows publishes it, and may do so as often as it changes.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ServiceFigures {
    /// Services of ours.
    pub services: ServiceCounts,
    /// Their addresses.
    pub addresses: AddressCounts,
    /// Live members, this node among them; `None`: there are no members.
    pub members: Option<usize>,
    /// Whether this node assigns addresses; `None`: nobody of ours does.
    pub allocator: Option<bool>,
    /// The pools, as far as this node knows how full they are.
    pub pools: Vec<PoolStatus>,
}

/// Services of ours. Each counts once.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ServiceCounts {
    /// They have the addresses that they want.
    pub assigned: usize,
    /// They lack one.
    pub waiting: usize,
}

/// Addresses of Services. Each counts once.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct AddressCounts {
    /// This node announces them.
    pub held: usize,
    /// They are announced by others.
    pub elsewhere: usize,
    /// Others may announce them, and this node cannot see whether.
    pub unknown: usize,
    /// This node may not announce them, and nobody else is known to.
    pub nowhere: usize,
}

/// Reads what was published last at each scrape.
#[derive(Debug)]
pub(super) struct ServiceGauges {
    pub(super) figures: watch::Receiver<Arc<ServiceFigures>>,
}

impl Collector for ServiceGauges {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let figures = Arc::clone(&self.figures.borrow());
        write(&mut encoder, &figures)
    }
}

fn write(to: &mut DescriptorEncoder<'_>, figures: &ServiceFigures) -> fmt::Result {
    let ServiceFigures { services, addresses, members, allocator, pools } = figures;
    let states = [("assigned", services.assigned), ("waiting", services.waiting)];
    family(to, "vipcast_services", "Services of ours", states.into_iter().map(state))?;
    let AddressCounts { held, elsewhere, unknown, nowhere } = *addresses;
    let states = [("held", held), ("elsewhere", elsewhere), ("unknown", unknown), ("nowhere", nowhere)];
    family(to, "vipcast_service_addresses", "Addresses of Services", states.into_iter().map(state))?;
    if let Some(members) = *members {
        single(to, "vipcast_members", "Live members that announce Services", number(members as u64))?;
    }
    if let Some(leads) = *allocator {
        single(to, "vipcast_allocator_leader", "Whether this node assigns addresses", truth(leads))?;
    }
    family(to, "vipcast_pool_addresses", "Addresses of pools", pools.iter().flat_map(of_pool))?;
    let conflicts = pools.iter().map(|pool| (PoolLabels::of(pool), number(pool.conflicts.len() as u64)));
    family(to, "vipcast_pool_conflicts", "What is wrong with a pool", conflicts)
}

fn state((state, count): (&'static str, usize)) -> (StateLabels, f64) {
    (StateLabels { state }, number(count as u64))
}

fn of_pool(pool: &PoolStatus) -> impl Iterator<Item = (UsageLabels, f64)> + '_ {
    pool.usage.iter().flat_map(move |usage| {
        [("used", usage.used), ("free", usage.free)].map(|(state, count)| {
            let (pool, source) = (pool.pool.clone(), pool.source.clone());
            (UsageLabels { pool, source, family: usage.family.clone(), state }, number(count))
        })
    })
}

/// As precise as a gauge can be.
fn number(count: u64) -> f64 {
    count as f64
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct StateLabels {
    state: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct PoolLabels {
    pool: String,
    source: String,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct UsageLabels {
    pool: String,
    source: String,
    family: String,
    state: &'static str,
}

impl PoolLabels {
    fn of(pool: &PoolStatus) -> Self {
        Self { pool: pool.pool.clone(), source: pool.source.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::fixture::holding;
    use crate::admin::metrics::Metrics;
    use crate::admin::services::PoolUsage;
    use crate::clock;

    /// Readers take a family that comes twice for an error, and refuse everything.
    #[test]
    fn no_two_families_have_one_name() {
        let (_board, status) = holding(clock::now());
        let figures = watch::channel(Arc::default()).1;
        let bfd = Some(crate::bfd::Stats::new());
        let metrics = Metrics::with_collectors("0.1.0", None, status, bfd, Some(figures));
        metrics.declare_vip([192, 0, 2, 10].into());
        metrics.declare_scope("services", "kube-system/plndr-svcs-lock");
        drop((metrics.bgp_peer("tor-1"), metrics.responder("eth0")));
        let rendered = metrics.render();
        let mut families: Vec<_> = rendered.lines().filter(|line| line.starts_with("# TYPE ")).collect();
        let all = families.len();
        families.sort_unstable();
        families.dedup();
        assert_eq!((families.len(), all > 30), (all, true), "{rendered}");
    }

    #[test]
    fn gauges_say_what_was_published_last() {
        let (_board, status) = holding(clock::now());
        let (publish, figures) = watch::channel(Arc::default());
        let metrics = Metrics::with_collectors("0.1.0", None, status, None, Some(figures));
        let ours = |line: &&str| {
            ["services", "service_addresses", "members", "allocator", "pool"]
                .iter()
                .any(|name| line.starts_with(&format!("vipcast_{name}")))
        };
        let samples = || metrics.render().lines().filter(ours).map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(
            samples(),
            [
                "vipcast_services{state=\"assigned\"} 0.0",
                "vipcast_services{state=\"waiting\"} 0.0",
                "vipcast_service_addresses{state=\"held\"} 0.0",
                "vipcast_service_addresses{state=\"elsewhere\"} 0.0",
                "vipcast_service_addresses{state=\"unknown\"} 0.0",
                "vipcast_service_addresses{state=\"nowhere\"} 0.0",
            ]
        );
        let pool = PoolStatus {
            pool: "lan".into(),
            source: "vipcast".into(),
            ranges: vec![],
            usage: vec![PoolUsage { family: "IPv4".into(), used: 2, free: 3 }],
            foreign: 0,
            conflicts: vec!["192.0.2.1 is a gateway".into()],
        };
        publish.send_replace(Arc::new(ServiceFigures {
            services: ServiceCounts { assigned: 4, waiting: 1 },
            addresses: AddressCounts { held: 2, elsewhere: 1, unknown: 4, nowhere: 1 },
            members: Some(3),
            allocator: Some(true),
            pools: vec![pool],
        }));
        assert_eq!(
            samples(),
            [
                "vipcast_services{state=\"assigned\"} 4.0",
                "vipcast_services{state=\"waiting\"} 1.0",
                "vipcast_service_addresses{state=\"held\"} 2.0",
                "vipcast_service_addresses{state=\"elsewhere\"} 1.0",
                "vipcast_service_addresses{state=\"unknown\"} 4.0",
                "vipcast_service_addresses{state=\"nowhere\"} 1.0",
                "vipcast_members 3.0",
                "vipcast_allocator_leader 1.0",
                "vipcast_pool_addresses{pool=\"lan\",source=\"vipcast\",family=\"IPv4\",state=\"used\"} 2.0",
                "vipcast_pool_addresses{pool=\"lan\",source=\"vipcast\",family=\"IPv4\",state=\"free\"} 3.0",
                "vipcast_pool_conflicts{pool=\"lan\",source=\"vipcast\"} 1.0",
            ]
        );
    }
}
