//! `vipcast demo`: a LAN of real daemons in network namespaces, and what happens to it.

pub mod api;
