//! Which live, eligible member holds which Service VIP, and in which order it changes hands.
//!
//! | file | decides |
//! |---|---|
//! | `hash` | what a member and an address weigh together; the same in every version |
//! | `view` | where an address is at home among members with weights |
//! | `homes` | the same for many addresses, kept while members come and go |
//! | `statement` | what a member claims, and how its Lease says so |
//! | `members` | which other members live, on our clock, and what each of them claims |
//! | `claims` | where each Service has a Lease: which holders say that an address is theirs |
//! | `tenure` | the same: what this node announces of a Lease that it holds, and says that it does |
//! | `tenancy` | our own member Lease: renewals, the grant, twins |
//! | `spread` | the whole: what to claim, what to announce, what to let go, what to write |
//!
//! The claims of a member follow from its Lease alone. They are a lock whose order is that of the
//! writes, so that safety does not depend on members seeing the same Services or the same members.

mod addresses;
mod claims;
mod hash;
mod homes;
mod members;
mod spread;
mod statement;
mod tenancy;
mod tenure;
mod view;
mod words;

pub use addresses::{AddressesError, MAX_ADDRESSES, parse_addresses, render_addresses};
pub use claims::Claims;
pub use hash::{Key, MemberId};
pub use members::{Liveness, Member};
pub use spread::{Role, Spread};
pub use statement::{Life, Statement, StatementError};
pub use tenure::{Situation, Tenure};
pub use view::{View, Weight};
pub use words::{Action, Answer, Config, Event, Facts, Record, Write};
