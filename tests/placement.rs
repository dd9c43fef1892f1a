//! The placement of Service addresses as the daemon runs it, with its core and an announcer that takes its time: against a
//! scripted store under paused time, and against a real API server.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test fails by panicking")]

mod placement {
    pub(crate) mod ledger;
    pub(crate) mod node;
    pub(crate) mod real;
    pub(crate) mod scripted;
    pub(crate) mod store;
}
mod support;

use std::process::ExitCode;

use self::placement::{real, scripted};
use self::support::{Needs, trial};

fn main() -> ExitCode {
    support::run(vec![
        trial("a_lone_member_holds_everything_after_one_write", &[], scripted::alone),
        trial(
            "members_share_and_hand_over_when_one_comes_and_when_one_leaves",
            &[],
            scripted::come_and_leave,
        ),
        trial("a_silent_member_is_replaced_when_its_lease_is_over", &[], scripted::silence),
        trial(
            "a_member_that_cannot_reach_the_server_lets_go_when_its_grant_ends",
            &[],
            scripted::unreachable,
        ),
        trial("a_deleted_lease_is_claimed_anew", &[], scripted::deleted),
        trial("a_drained_member_gives_away_and_takes_back", &[], scripted::drained),
        trial("a_member_that_cannot_hand_over_ends_when_its_patience_does", &[], scripted::impatient),
        trial("questions_are_answered_with_the_names_of_nodes", &[], scripted::questions),
        trial(
            "a_node_that_is_not_fit_keeps_what_nobody_else_can_have_and_everybody_says_so",
            &[],
            scripted::kept,
        ),
        trial("ten_thousand_addresses_cost_little", &[], scripted::many),
        trial("three_members_agree_on_a_real_api_server", &[Needs::RealApi], real::agreement),
        trial(
            "only_the_version_of_a_member_lease_that_was_seen_is_removed_on_a_real_api_server",
            &[Needs::RealApi],
            real::removed,
        ),
        trial("one_lease_for_all_is_handed_over_on_a_real_api_server", &[Needs::RealApi], real::one_lease),
    ])
}
