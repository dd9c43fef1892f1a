//! BGP messages, octet by octet: both ways, every error, and what others read in them.

mod attributes;
mod headers;
mod notifications;
mod opens;
mod packing;
mod properties;
mod refreshes;
mod support;
mod updates;
mod vectors;
