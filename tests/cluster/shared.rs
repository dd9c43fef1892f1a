//! One cluster for several scenarios.

use std::sync::{Arc, Mutex, PoisonError};

use super::bed::Bed;

/// Makes the cluster when the first scenario wants it. After a scenario that failed the next one gets a new cluster; the last
/// one is removed when every scenario has ended.
#[derive(Debug, Clone)]
pub(crate) struct Shared {
    bed: Arc<Mutex<Option<Bed>>>,
    make: fn() -> Bed,
}

impl Shared {
    /// A cluster that `make` makes.
    pub(crate) fn new(make: fn() -> Bed) -> Self {
        Self { bed: Arc::default(), make }
    }

    /// A scenario in it.
    pub(crate) fn scenario(&self, body: fn(&Bed)) -> impl FnOnce() + Send + 'static {
        let shared = self.clone();
        move || {
            let mut place = shared.bed.lock().unwrap_or_else(PoisonError::into_inner);
            // Taken out: a panic drops it.
            let bed = place.take().unwrap_or_else(shared.make);
            bed.settle();
            body(&bed);
            bed.settle();
            *place = Some(bed);
        }
    }
}
