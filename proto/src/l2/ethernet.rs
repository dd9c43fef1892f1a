//! Ethernet II frames, as far as ARP and NDP need them.
