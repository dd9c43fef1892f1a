//! Says when an interface has come up: who waits before dialling again need not wait any longer.

use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::clock;
use crate::net::NetError;
use crate::net::netlink::{Change, Netlink};

/// Counts interfaces that have come up, for ever. Where the kernel tells nothing, sessions are tried again in their
/// own time.
pub async fn follow(ups: watch::Sender<u64>) {
    loop {
        drop(count(&ups).await);
        clock::pause(AGAIN).await;
    }
}

async fn count(ups: &watch::Sender<u64>) -> Result<(), NetError> {
    let (_netlink, mut changes, driving) = Netlink::connect()?;
    let mut driver = JoinSet::new();
    driver.spawn(driving);
    while let Some(change) = changes.next().await {
        if is_up(&change) {
            ups.send_modify(|ups| *ups += 1);
            // Each pod of a node has an interface, and routers are not to be asked for each of them.
            clock::pause(CALM).await;
        }
    }
    Ok(())
}

fn is_up(change: &Change) -> bool {
    match change {
        Change::Link { up, .. } => *up,
        Change::Overrun => true,
        Change::AddressGone { .. } => false,
    }
}

/// Between two attempts to listen to the kernel.
const AGAIN: Duration = Duration::from_secs(5);
/// Between two reports.
const CALM: Duration = Duration::from_secs(1);
