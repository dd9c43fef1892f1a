//! The kernel's side of the network: addresses, links and raw frames.
