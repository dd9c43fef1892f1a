//! What may reach Service addresses: `loadBalancerSourceRanges` and "only the ports of the Service", as the content of a few
//! sets.
//!
//! [`Rules`] say it in the words of Services, [`Content`] in those of the packet filter: which addresses are guarded at all,
//! and which (address, protocol, port, source) may pass to them. [`Content::change_to`] is the least that leads from one
//! content to another.

mod change;
mod content;
mod rules;

pub use change::{Change, Difference, SetsChange};
pub use content::{Content, Interval, Sets};
pub use rules::{Demand, Others, Rule, Rules, Sources};
