//! The addresses of Services: what kube-vip and MetalLB document, what must hold after any events, and what it costs.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "the helpers of tests are tests too")]

mod cost;
mod dual_stack;
mod explaining;
mod kube_vip;
mod metallb;
mod model;
mod properties;
mod staying;
mod support;
