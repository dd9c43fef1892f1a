//! A router that counts the routes it is told.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use vipcast::clock;
use vipcast::demo::lab::lan::Host;

use crate::counter;

/// It takes one session.
pub(crate) struct Collector(Receiver<(Instant, usize)>);

impl Collector {
    /// Waits for the session on a host.
    pub(crate) fn listen(host: &Host) -> Self {
        let (report, counts) = channel();
        let setup = || TcpListener::bind(("0.0.0.0", 179));
        let work = move |listener: TcpListener| {
            let mut routes = BTreeSet::new();
            let mut session = counter::accept(&listener, ROUTER_AS);
            // Whoever ends the session has said everything.
            while let Ok((kind, body)) = counter::message(&mut session) {
                if kind == counter::UPDATE {
                    routes.extend(announced(&body).chunks(5).map(<[u8]>::to_vec));
                    let _ = report.send((clock::now(), routes.len()));
                }
            }
        };
        drop(host.namespace.spawn("collector", setup, work).unwrap());
        Self(counts)
    }

    /// When there were so many routes.
    pub(crate) fn wait(&self, count: usize) -> Instant {
        loop {
            match self.0.recv_timeout(PATIENCE) {
                Ok((at, routes)) if routes >= count => return at,
                Ok(_) => (),
                Err(RecvTimeoutError::Timeout) => panic!("the routes do not come"),
                Err(RecvTimeoutError::Disconnected) => panic!("the session has ended"),
            }
        }
    }
}

/// The NLRI of an UPDATE (RFC 4271 §4.3): each a /32.
fn announced(body: &[u8]) -> &[u8] {
    let length = |at: usize| usize::from(u16::from_be_bytes([body[at], body[at + 1]]));
    let attributes = 2 + length(0);
    &body[attributes + 2 + length(attributes)..]
}

/// What the daemon is told.
pub(crate) const ROUTER_AS: u32 = 65000;
const PATIENCE: Duration = Duration::from_secs(60);
