//! The configuration for people and programs: what is in effect, the schema and the documentation.

mod effective;
mod given;
mod markdown;
mod schema;

pub(super) use effective::typed;
pub use effective::{json, table, yaml};
pub use given::{environment, file};
pub use markdown::markdown;
pub use schema::schema;
