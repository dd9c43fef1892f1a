//! The counts as metrics.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use vipcast_proto::bfd::rejected::Rejected;

use super::stats::{Counted, LATENESS, Stats};

impl Collector for Stats {
    fn encode(&self, mut to: DescriptorEncoder<'_>) -> fmt::Result {
        let counted = self.counted();
        counter(&mut to, "vipcast_bfd_packets_sent", "BFD packets sent", counted.sent)?;
        counter(
            &mut to,
            "vipcast_bfd_send_failures",
            "BFD packets that did not leave",
            counted.send_failures,
        )?;
        counter(&mut to, "vipcast_bfd_packets_received", "BFD packets taken by a session", counted.received)?;
        rejected(&mut to, &counted)?;
        counter(&mut to, "vipcast_bfd_local_stalls", STALLS_HELP, counted.stalls)?;
        lateness(&mut to, &counted)?;
        let longest = ConstGauge::new(counted.lateness_max.as_secs_f64());
        longest.encode(to.encode_descriptor(
            "vipcast_bfd_lateness_max_seconds",
            "The latest that a BFD timer was noticed since the start",
            None,
            longest.metric_type(),
        )?)?;
        match self.quota().and_then(super::quota::Quota::throttled) {
            Some(times) => counter(&mut to, "vipcast_cpu_throttled_periods", THROTTLED_HELP, times),
            None => Ok(()),
        }
    }
}

fn counter(to: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: u64) -> fmt::Result {
    let counter = ConstCounter::new(value);
    counter.encode(to.encode_descriptor(name, help, None, counter.metric_type())?)
}

fn rejected(to: &mut DescriptorEncoder<'_>, counted: &Counted) -> fmt::Result {
    let help = "BFD packets discarded";
    let mut metric = to.encode_descriptor("vipcast_bfd_packets_rejected", help, None, MetricType::Counter)?;
    Rejected::ALL.iter().zip(counted.rejected).try_for_each(|(reason, count)| {
        let labels = [("reason", reason.label())];
        ConstCounter::new(count).encode(metric.encode_family(&labels)?)
    })
}

fn lateness(to: &mut DescriptorEncoder<'_>, counted: &Counted) -> fmt::Result {
    let help = "How much later than due BFD timers were noticed";
    let mut metric =
        to.encode_descriptor("vipcast_bfd_lateness_seconds", help, None, MetricType::Histogram)?;
    let bounds = LATENESS.iter().map(std::time::Duration::as_secs_f64).chain([f64::MAX]);
    let buckets: Vec<(f64, u64)> = bounds.zip(counted.lateness).collect();
    let count = counted.lateness.iter().sum();
    metric.encode_histogram::<prometheus_client::encoding::NoLabelSet>(
        counted.lateness_sum.as_secs_f64(),
        count,
        &buckets,
        None,
    )
}

const STALLS_HELP: &str = "Times that BFD excused a silence of others because it had not looked for itself";
const THROTTLED_HELP: &str = "Periods in which the CPU quota froze this process";

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use prometheus_client::encoding::text::encode;
    use prometheus_client::registry::Registry;

    use super::*;

    #[test]
    fn counts_are_exposed_as_metrics() {
        let stats = Stats::default();
        stats.sent(true);
        stats.received(Some(Rejected::TimeToLive));
        stats.ticked(Duration::from_micros(70), 3);
        stats.ticked(Duration::from_secs(2), 3);
        let mut registry = Registry::default();
        registry.register_collector(Box::new(stats));
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        for line in [
            "vipcast_bfd_packets_sent_total 1",
            "vipcast_bfd_packets_received_total 0",
            "vipcast_bfd_packets_rejected_total{reason=\"ttl\"} 1",
            "vipcast_bfd_packets_rejected_total{reason=\"version\"} 0",
            "vipcast_bfd_local_stalls_total 3",
            "vipcast_bfd_lateness_seconds_bucket{le=\"0.00005\"} 0",
            "vipcast_bfd_lateness_seconds_bucket{le=\"0.0001\"} 1",
            "vipcast_bfd_lateness_seconds_bucket{le=\"1.0\"} 1",
            "vipcast_bfd_lateness_seconds_bucket{le=\"+Inf\"} 2",
            "vipcast_bfd_lateness_seconds_count 2",
            "vipcast_bfd_lateness_max_seconds 2.0",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
        }
    }
}
