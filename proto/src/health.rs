//! When a probed server counts as healthy: thresholds and hysteresis.
