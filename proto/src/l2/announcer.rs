//! When to probe, hold, announce, defend and drop an address.
