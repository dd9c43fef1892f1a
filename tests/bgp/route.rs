//! What a router has heard of a prefix, the same from every router's words.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;

/// As it came over the session.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Route {
    pub(crate) prefix: IpNet,
    pub(crate) next_hop: IpAddr,
    /// With AS4_PATH merged in.
    pub(crate) as_path: Vec<u32>,
    pub(crate) communities: BTreeSet<(u16, u16)>,
    pub(crate) med: Option<u32>,
    /// Only of our own AS: some routers show their own preference of others' routes.
    pub(crate) local_pref: Option<u32>,
}

impl Route {
    /// Without attributes that may be left out.
    pub(crate) fn new(prefix: &str, next_hop: &str, as_path: &[u32]) -> Self {
        let local_pref = as_path.is_empty().then_some(100);
        Self {
            prefix: prefix.parse().unwrap(),
            next_hop: next_hop.parse().unwrap(),
            as_path: as_path.to_vec(),
            communities: BTreeSet::new(),
            med: None,
            local_pref,
        }
    }

    /// What is known of it in the end: preferences of others' routes are the router's own.
    pub(crate) fn judged(mut self) -> Self {
        if !self.as_path.is_empty() {
            self.local_pref = None;
        }
        // FRR and BIRD show the default where nothing was said.
        self.med = self.med.filter(|med| *med != 0);
        self
    }
}

/// `65000:1`, and the names that FRR has for some.
pub(crate) fn community(text: &str) -> Option<(u16, u16)> {
    match text {
        "graceful-shutdown" | "gracefulShutdown" => Some((65535, 0)),
        "no-export" | "noExport" => Some((65535, 65281)),
        _ => {
            let (high, low) = text.split_once([':', ','])?;
            Some((high.trim().parse().ok()?, low.trim().parse().ok()?))
        }
    }
}

/// A host's prefix where no length is written.
pub(crate) fn prefix(text: &str) -> IpNet {
    text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)).unwrap()
}
