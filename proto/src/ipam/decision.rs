//! What is said about a Service: what it has and why, what it cannot have and why not.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use thiserror::Error;

use super::cell::Conflict;
use super::entry::Want;
use super::family::Family;
use super::forbidden::ForbiddenReason;
use super::pool::{Exclusion, PoolId};
use super::request::{RequestSource, UnusableReason};
use super::service::ServiceKey;

/// Everything there is to say about the addresses of one Service.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Decision {
    /// Its addresses, that of the primary family first, or in the order asked for.
    pub assigned: Vec<Assigned>,
    /// What it wants and does not get.
    pub refused: Vec<Refused>,
    /// Every pool, in the order in which they are tried, and what came of it.
    pub considered: Vec<Considered>,
    /// Whether it needs an address of each family (`RequireDualStack`).
    pub needs_both: bool,
}

impl Decision {
    /// What is refused and missed: a second family that is only preferred (`PreferDualStack`) is not.
    pub fn missing(&self) -> impl Iterator<Item = &Refused> {
        let preferred = |it: &Refused| {
            let family = matches!(it.asked, Asked::Want(Want::Family(_)));
            family && !self.needs_both && !self.assigned.is_empty()
        };
        self.refused.iter().filter(move |it| !preferred(it))
    }
}

/// An address that a Service has.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Assigned {
    /// The address.
    pub address: IpAddr,
    /// The pool it came from; to be written down with it. `None` where it came from none.
    pub pool: Option<Arc<str>>,
    /// Why this one.
    pub why: Why,
    /// The interface that its pool names.
    pub interface: Option<String>,
    /// The others that have it too, the oldest first. The address has one owner all the same: who announces it is
    /// decided for the address.
    pub shared_with: Vec<ServiceKey>,
    /// What an operator should know.
    pub notes: Vec<Note>,
}

/// Why a Service has the address that it has.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Why {
    /// It asks for it.
    Requested(RequestSource),
    /// It was given it, and keeps it.
    Given,
}

/// What an operator should know about an address that is in use.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum Note {
    /// Nobody takes it away; it is not given again.
    #[error("in no pool (any more)")]
    OutsideEveryPool,
    /// The pool shrank, or is gone, or never had it and the Service asked for that pool later.
    #[error("not in pool {0}, from which it should come")]
    LeftItsPool(Arc<str>),
    /// The pool changed since, or the Service asked.
    #[error("pool {pool} is not for this Service")]
    PoolNotForIt {
        /// The pool that has the address.
        pool: PoolId,
        /// Why not.
        exclusion: Exclusion,
    },
    /// The pool would not give it.
    #[error("pool {0} leaves out addresses that end in .0 or .255")]
    Avoided(PoolId),
}

/// Something that a Service wants and does not get.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Refused {
    /// What.
    pub asked: Asked,
    /// Why not.
    pub why: Refusal,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.asked, self.why)
    }
}

/// What a Service wants, or what it says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Asked {
    /// An address, or any.
    Want(Want),
    /// Something that is no address.
    Text(String),
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Want(Want::Address(address)) => address.fmt(f),
            Self::Want(Want::Family(family) | Want::Lacking(family)) => write!(f, "an {family} address"),
            Self::Want(Want::AnyFamily) => f.write_str("an address"),
            Self::Text(text) => write!(f, "{text:?}"),
        }
    }
}

/// Why a Service does not get what it wants.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum Refusal {
    /// It asks for something that is no address.
    #[error(transparent)]
    Unusable(UnusableReason),
    /// No Service may have the address.
    #[error("not for Services: {0}")]
    Forbidden(ForbiddenReason),
    /// The Service has no cluster IP of that family.
    #[error("the Service has no cluster IP of this family")]
    NoClusterIp,
    /// It asks for a pool that does not exist.
    #[error("there is no pool {0}")]
    UnknownPool(String),
    /// It asks for a pool and for an address that is not in it.
    #[error("not in pool {0}, which the Service asks for")]
    NotInPool(PoolId),
    /// The setting permits only addresses of pools that serve the Service.
    #[error("in no pool that serves this Service")]
    OutsidePools,
    /// Another Service has the address.
    #[error("{by} has it and {conflict}")]
    Taken {
        /// The oldest of those in the way.
        by: ServiceKey,
        /// Why they cannot share.
        conflict: Conflict,
    },
    /// A Service that is not ours has the address.
    #[error("{0}, which is not served by vipcast, has it")]
    TakenByForeign(ServiceKey),
    /// No pool serves the Service, or only such that cannot: see [`Decision::considered`].
    #[error("no pool serves this Service")]
    NoPool,
    /// The pools that serve the Service have no address of that family left.
    #[error("{}", listed(.0))]
    Exhausted(Vec<Usage>),
    /// `RequireDualStack`: an address of this family could be had, but one of the other family cannot.
    #[error("the Service requires both families, and the other one cannot be had")]
    OtherFamily,
}

/// How full a pool is in one family.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Usage {
    /// The pool.
    pub pool: PoolId,
    /// The family.
    pub family: Family,
    /// Addresses that somebody has, whether ours or not.
    pub used: u128,
    /// Addresses that it can give: without those that it leaves out and the forbidden ones.
    pub total: u128,
}

impl Usage {
    /// Addresses that are left.
    #[must_use]
    pub fn free(&self) -> u128 {
        self.total.saturating_sub(self.used)
    }
}

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pool {}: {} of {} {} addresses used", self.pool, self.used, self.total, self.family)
    }
}

/// A pool, and what came of it for a Service.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Considered {
    /// The pool.
    pub pool: PoolId,
    /// What came of it.
    pub verdict: Verdict,
}

/// What came of a pool for a Service.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum Verdict {
    /// It has the Service's addresses.
    #[error("has {}", listed(.0))]
    Given(Vec<IpAddr>),
    /// It could serve the Service, which has what it wants, or waits for another family.
    #[error("would serve it")]
    Open,
    /// It would serve the Service, if it had an address left.
    #[error("{}", listed(.0))]
    Exhausted(Vec<Usage>),
    /// It has no address of the wanted family.
    #[error("has no address of the wanted family")]
    OtherFamily,
    /// It serves other namespaces or labels.
    #[error("is not for this Service: {0}")]
    NotForIt(Exclusion),
    /// It serves only Services that ask for it.
    #[error("serves only Services that ask for it")]
    OnlyOnRequest,
    /// The Service asks for another pool.
    #[error("the Service asks for another pool")]
    NotAskedFor,
    /// The Service asks for addresses by name.
    #[error("the Service asks for addresses by name")]
    AddressesAskedFor,
    /// The namespace has pools of its own in kube-vip's ConfigMap, and so gets nothing from the global ones.
    #[error("the namespace has pools of its own")]
    NamespaceHasOwn,
    /// Its addresses would have to come from DHCP.
    #[error("addresses from DHCP are not supported")]
    Dhcp,
}

impl fmt::Display for Exclusion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Namespace => "it is for other namespaces",
            Self::ServiceLabels => "it is for Services with other labels",
        })
    }
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotShared => f.write_str("one of them does not share"),
            Self::Key => f.write_str("their sharing keys differ"),
            Self::Traffic => f.write_str("they are served by different nodes (externalTrafficPolicy)"),
            Self::Ports(ports) => write!(f, "both use {}", listed(ports)),
            Self::NoPorts => f.write_str("one of them has no ports"),
        }
    }
}

fn listed<T: ToString>(items: &[T]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
