//! `vipcast demo`: a LAN of real daemons in network namespaces, and what happens to it.
//!
//! | module | does |
//! |---|---|
//! | [`api`] | a Kubernetes API server in memory |
//! | [`lab`] | namespaces, cables, the client, the observer, processes |
//! | [`cluster`] | a LAN with an API server and daemons on it |
//! | [`scenario`] | hand-over, crash, freeze, pulled cable, outage: each returns an [`outcome::Outcome`] |
//! | [`services`] | Services of type LoadBalancer, and who answers for their addresses |
//! | [`promise`] | the bounds that are judged |
//! | [`report`] | the table and the JSON |
//! | [`isolate`] | leaving the user's network and mounts behind |

pub mod api;
pub mod cluster;
pub mod isolate;
pub mod lab;
pub mod outcome;
pub mod promise;
pub mod report;
pub mod scenario;
pub mod services;

#[cfg(test)]
mod stand_in;
