//! Which Service gets which address: pools, requests, sharing, and what is kept.
//!
//! The only store is the cluster: what a Service has is in its status and in an annotation of ours. [`Ipam`] is given
//! Services, pools and forbidden addresses as they come, says whose addresses changed, and on demand what a Service has
//! and why ([`Ipam::decision`]) and how full the pools are ([`Ipam::reports`]). One elected allocator runs it, from a
//! complete list on ([`Ipam::load`]); everybody else reads the status that it writes.
//!
//! Each event is settled in three steps, each from the oldest Service to the youngest:
//!
//! 1. who has an address keeps it, if it is still wanted and permitted;
//! 2. who asks for an address by name gets it, if it can be had;
//! 3. the others get the first address of the first pool that serves them: one to share, or a free one.
//!
//! So a held address beats a request, a request beats a need, and the older wins among equals, except that an address
//! in the status of a Service that is not ours is never given, nor kept. A Service that cannot be served waits; what
//! is given back goes to the oldest who can use it. What comes out is the same as from an allocator that starts anew
//! from the cluster with these decisions written.

mod allocator;
mod catalog;
mod cell;
mod contest;
mod decision;
mod entry;
mod explain;
mod family;
mod forbidden;
mod grant;
mod keep;
pub mod kube_vip;
mod labels;
pub mod metallb;
pub mod own;
mod pool;
mod problem;
mod range;
mod report;
mod request;
mod rooms;
mod runs;
mod service;
mod space;
mod waiting;

pub use allocator::{Changes, Ipam, Requests, Settings};
pub use cell::Conflict;
pub use contest::{Contests, Turn};
pub use decision::{Asked, Assigned, Considered, Decision, Note, Refusal, Refused, Usage, Verdict, Why};
pub use entry::Want;
pub use family::Family;
pub use forbidden::{Forbidden, ForbiddenReason};
pub use labels::{LabelSelector, Labels, Operator, Requirement};
pub use pool::{Exclusion, PerNamespace, Pool, PoolId, SearchOrder, Selection, Source};
pub use problem::{Problem, Severity};
pub use range::{Range, RangeError, Ranges};
pub use report::{Overlap, PoolReport, Stray};
pub use request::{Request, RequestFields, RequestSource, Unusable, UnusableReason};
pub use service::{
    Assignment, FamilyPolicy, Port, Protocol, ServiceKey, ServiceView, Standing, TrafficPolicy,
};
