//! The configuration for people and programs: what is in effect, the schema and the documentation.

mod effective;
mod markdown;
mod schema;

pub use effective::{json, table, yaml};
pub use markdown::markdown;
pub use schema::schema;
