//! The BGP session: every event in every state, timers to the instant, and what holds after any sequence of events.

#![expect(clippy::disallowed_methods, reason = "a test needs some instant to start from")]
#![expect(clippy::unwrap_used, reason = "the helpers of tests are tests too")]

mod coupling;
mod matrix;
mod properties;
mod refusals;
mod rig;
mod timers;
