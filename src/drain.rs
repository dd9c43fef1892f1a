//! Shutdown by signal: the first begins it in order, the second ends it at once.

use std::io;
use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::info;

/// Tells when to shut down. Cheap to clone; everybody sees the same.
#[derive(Clone, Debug)]
pub struct Drain {
    stage: watch::Receiver<Stage>,
    hangups: watch::Receiver<u64>,
    /// Where signals are listened to: the listener ends with the last clone.
    _listener: Arc<JoinSet<()>>,
}

/// Begins the shutdown without a signal.
#[derive(Clone, Debug)]
pub struct Trigger {
    stage: watch::Sender<Stage>,
}

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Stage {
    Running,
    Started,
    Forced,
}

impl Drain {
    /// Listens to `SIGTERM` and `SIGINT` from now on. `SIGHUP` no longer ends the process, see [`hangups`](Self::hangups).
    ///
    /// # Errors
    /// The kernel refuses to deliver signals.
    pub fn listen() -> io::Result<(Trigger, Self)> {
        let signals = Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        };
        let (trigger, stage) = channel();
        let (hangups_out, hangups) = watch::channel(0);
        let mut listener = JoinSet::new();
        listener.spawn(signals.forward(trigger.clone(), hangups_out));
        Ok((trigger, Self { stage, hangups, _listener: Arc::new(listener) }))
    }

    /// One that only its trigger starts.
    #[must_use]
    pub fn manual() -> (Trigger, Self) {
        let (trigger, stage) = channel();
        (trigger, Self { stage, hangups: watch::channel(0).1, _listener: Arc::default() })
    }

    /// Grows with each `SIGHUP`: the configuration is to be read again.
    #[must_use]
    pub fn hangups(&self) -> watch::Receiver<u64> {
        self.hangups.clone()
    }

    /// Completes when the ordered shutdown begins.
    pub async fn started(&self) {
        self.reached(Stage::Started).await;
    }

    /// Completes when there is no time left for order.
    pub async fn forced(&self) {
        self.reached(Stage::Forced).await;
    }

    /// Whether the ordered shutdown has begun.
    #[must_use]
    pub fn has_started(&self) -> bool {
        *self.stage.borrow() >= Stage::Started
    }

    async fn reached(&self, wanted: Stage) {
        let mut stage = self.stage.clone();
        if stage.wait_for(|stage| *stage >= wanted).await.is_err() {
            // Nobody is left who could begin it.
            std::future::pending::<()>().await;
        }
    }
}

impl Trigger {
    /// One step on: from running to ordered shutdown, from there to immediate exit.
    pub fn advance(&self) {
        self.stage.send_modify(|stage| {
            *stage = match *stage {
                Stage::Running => Stage::Started,
                Stage::Started | Stage::Forced => Stage::Forced,
            };
        });
    }

    /// The ordered shutdown begins, if it has not yet.
    pub fn start(&self) {
        self.stage.send_modify(|stage| *stage = (*stage).max(Stage::Started));
    }
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    async fn forward(mut self, trigger: Trigger, hangups: watch::Sender<u64>) {
        loop {
            let signal = tokio::select! {
                _ = self.terminate.recv() => "SIGTERM",
                _ = self.interrupt.recv() => "SIGINT",
                _ = self.hangup.recv() => {
                    hangups.send_modify(|count| *count += 1);
                    continue;
                }
            };
            info!(signal, "shutdown requested");
            trigger.advance();
        }
    }
}

fn channel() -> (Trigger, watch::Receiver<Stage>) {
    let (stage, seen) = watch::channel(Stage::Running);
    (Trigger { stage }, seen)
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    fn seen(drain: &Drain) -> (bool, bool) {
        (drain.started().now_or_never().is_some(), drain.forced().now_or_never().is_some())
    }

    #[tokio::test]
    async fn the_first_step_begins_the_shutdown_and_the_second_ends_it() {
        let (trigger, drain) = Drain::manual();
        let mut stages = vec![seen(&drain)];
        for _ in 0..3 {
            trigger.advance();
            stages.push(seen(&drain));
        }
        assert_eq!(stages, [(false, false), (true, false), (true, true), (true, true)]);
    }

    #[tokio::test]
    async fn starting_twice_does_not_force() {
        let (trigger, drain) = Drain::manual();
        trigger.start();
        trigger.start();
        assert_eq!(seen(&drain), (true, false));
    }

    #[tokio::test]
    async fn a_drain_without_a_trigger_never_starts() {
        let (trigger, drain) = Drain::manual();
        drop(trigger);
        assert_eq!(seen(&drain), (false, false));
    }

    #[tokio::test]
    async fn signals_arrive_and_a_hangup_changes_nothing() {
        let (_trigger, drain) = Drain::listen().unwrap();
        kill("HUP").await;
        assert!(!drain.has_started());
        kill("TERM").await;
        drain.started().await;
        assert!(drain.forced().now_or_never().is_none());
        kill("INT").await;
        drain.forced().await;
    }

    async fn kill(signal: &str) {
        let pid = std::process::id().to_string();
        let status = tokio::process::Command::new("kill").args(["-s", signal, &pid]).status().await;
        assert!(status.unwrap().success());
    }
}
