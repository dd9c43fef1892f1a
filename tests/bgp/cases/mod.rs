//! The table: what is tested with which router, and what a router cannot.

mod bfd;
mod families;
mod laboratory;
mod many;
mod protection;
mod restart;
mod silence;
mod systems;
mod upkeep;

use super::router::Brand;
use super::support::Needs;

/// The same test for every router.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) body: fn(Brand),
    /// Routers that cannot do it, and why.
    except: &'static [(Brand, &'static str)],
    pub(crate) needs: &'static [Needs],
    /// Only the daemon is tested by it.
    alone: bool,
}

impl Case {
    const fn new(name: &'static str, body: fn(Brand)) -> Self {
        Self { name, body, except: &[], needs: &[], alone: false }
    }

    const fn except(mut self, except: &'static [(Brand, &'static str)]) -> Self {
        self.except = except;
        self
    }

    const fn needs(mut self, needs: &'static [Needs]) -> Self {
        self.needs = needs;
        self
    }

    /// Nobody can stand in for the daemon.
    const fn alone(mut self) -> Self {
        self.alone = true;
        self
    }

    /// Why it is not done with this router.
    pub(crate) fn obstacle(&self, brand: Brand) -> Option<&'static str> {
        let named = self.except.iter().find(|(one, _)| *one == brand).map(|(_, why)| *why);
        let stand_in = self.alone && std::env::var_os("VIPCAST_BGP_STAND_IN").is_some();
        named.or_else(|| stand_in.then_some("nobody can stand in for the daemon"))
    }
}

pub(crate) fn all() -> Vec<Case> {
    let groups = [
        laboratory::all(),
        families::all(),
        systems::all(),
        protection::all(),
        restart::all(),
        silence::all(),
        upkeep::all(),
        bfd::all(),
        many::all(),
    ];
    groups.into_iter().flatten().collect()
}
