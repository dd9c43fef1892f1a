//! The vipcast daemon: every effect and no decision. The decisions are in `vipcast_proto`.

pub mod admin;
pub mod advertiser;
pub mod allocator;
pub mod announce;
pub mod app;
pub mod bfd;
pub mod change;
pub mod cli;
pub mod clock;
pub mod conditions;
pub mod config;
pub mod demo;
pub mod drain;
pub mod election;
pub mod guard;
pub mod kube;
pub(crate) mod kubespray;
pub mod log;
pub mod manifest;
pub mod net;
pub mod placement;
pub mod services;
pub mod solo;
pub mod task;
pub mod witness;
pub(crate) mod yaml;
