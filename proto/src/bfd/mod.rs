//! Bidirectional Forwarding Detection: is the other end of a path alive (RFC 5880, 5881, 5883)?
//!
//! | module | decides |
//! |---|---|
//! | [`wire`] | what a control packet says, and which are none |
//! | [`session`] | the state of one session, when it speaks and when silence is too long |
//! | [`engine`] | which session a packet belongs to; many sessions on one clock |
//!
//! Asynchronous mode, in the active role. No authentication, no echo function; a peer may ask for demand mode. Nothing here
//! knows what a session is good for: who starts one reads its [`session::Status`] (RFC 5882).

pub mod engine;
pub mod path;
pub mod rejected;
pub mod session;
pub mod types;
pub mod wire;

mod poll;
mod random;
#[cfg(test)]
mod tests;
