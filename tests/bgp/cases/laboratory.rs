//! The laboratory by itself: BIRD speaks to every router, and the routers' words mean what they seem to.

use super::Case;
use crate::bed::Bed;
use crate::plan::Plan;
use crate::router::Brand;
use crate::support::Needs;

pub(super) fn all() -> Vec<Case> {
    vec![Case::new("laboratory::routers_understand_each_other", session).needs(&[Needs::Program("bird")])]
}

fn session(brand: Brand) {
    let mut bed = Bed::with_stand_in(brand, Plan::new());
    bed.settle();
    assert!(bed.session().established);
    bed.speaker.term();
    bed.wait_nothing();
    assert!(!bed.session().established, "{}", bed.session().words);
}
