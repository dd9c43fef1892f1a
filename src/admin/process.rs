//! The standard `process_*` metrics, read from `/proc/self` at each scrape.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

/// What is left out cannot be read here.
#[derive(Debug)]
pub struct Process {
    /// When this process started.
    pub started: SystemTime,
}

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let mut gauge =
            |name, help, value: Option<f64>| sample(&mut encoder, name, help, value.map(ConstGauge::new));
        let started = self.started.duration_since(UNIX_EPOCH).unwrap_or_default();
        gauge("process_start_time_seconds", "When the process started", Some(started.as_secs_f64()))?;
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        gauge("process_resident_memory_bytes", "Resident memory", kilobytes(&status, "VmRSS:"))?;
        gauge("process_virtual_memory_bytes", "Virtual memory", kilobytes(&status, "VmSize:"))?;
        gauge("process_open_fds", "Open file descriptors", open_fds())?;
        let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
        gauge("process_max_fds", "Limit of file descriptors", max_fds(&limits))?;
        let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
        let seconds = cpu_seconds(&stat).map(ConstCounter::new);
        sample(&mut encoder, "process_cpu_seconds", "User and system time", seconds)
    }
}

/// Nothing where it could not be read.
fn sample(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    metric: Option<impl EncodeMetric>,
) -> Result<(), std::fmt::Error> {
    let Some(metric) = metric else { return Ok(()) };
    metric.encode(encoder.encode_descriptor(name, help, None, metric.metric_type())?)
}

/// `VmRSS: 6616 kB` in bytes.
fn kilobytes(status: &str, field: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    let kilobytes: f64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kilobytes * 1024.0)
}

/// The command name may contain spaces and parentheses, so the fields are counted from the last one.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut times = fields.split_whitespace().skip(UTIME_AFTER_COMM).map(str::parse::<f64>);
    let (user, system) = (times.next()?.ok()?, times.next()?.ok()?);
    Some((user + system) / TICKS_PER_SECOND)
}

fn max_fds(limits: &str) -> Option<f64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Without the one that lists the others.
fn open_fds() -> Option<f64> {
    let open = fs::read_dir("/proc/self/fd").ok()?.count().saturating_sub(1);
    u32::try_from(open).ok().map(f64::from)
}

/// `utime` is field 14 of proc_pid_stat(5); field 3 is the first after the command name.
const UTIME_AFTER_COMM: usize = 11;

/// `USER_HZ`: what the kernel shows to programs, whatever its own tick is.
const TICKS_PER_SECOND: f64 = 100.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_found_behind_a_command_name_with_parentheses() {
        let stat = "42 (a) b) S 1 42 42 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 3 0 1000 0 0";
        assert_eq!(cpu_seconds(stat), Some(3.0));
    }

    #[test]
    fn what_cannot_be_read_is_left_out() {
        let nothing = (kilobytes("", "VmRSS:"), cpu_seconds("42 (a"), max_fds("Max open files"));
        assert_eq!(nothing, (None, None, None));
    }

    #[test]
    fn memory_is_converted_to_bytes() {
        assert_eq!(kilobytes("Name:\tx\nVmRSS:\t    6616 kB\n", "VmRSS:"), Some(6_774_784.0));
    }
}
