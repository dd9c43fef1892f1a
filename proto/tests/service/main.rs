//! Who is to announce a Service's address, in words and against a slow model.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "the helpers of tests are tests too")]

mod cases;
mod cost;
mod model;
mod properties;
mod support;
