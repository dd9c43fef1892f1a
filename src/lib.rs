//! The vipcast daemon: every effect and no decision. The decisions are in `vipcast_proto`.

pub mod admin;
pub mod announce;
pub mod cli;
pub mod clock;
pub mod config;
pub mod demo;
pub mod drain;
pub mod kube;
pub mod log;
pub mod net;
pub mod task;
