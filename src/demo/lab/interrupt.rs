//! Ctrl-C and SIGTERM as a flag that every wait looks at, so that everything is taken down in order.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::error::{LabError, Result};
use crate::clock;

/// Whether somebody wants this to end.
#[derive(Debug, Clone, Default)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Raised by SIGINT or SIGTERM. The second signal ends the process at once; its children die with it.
    pub fn on_signals() -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let mut signals = runtime.block_on(async { Signals::register() })?;
        let raised = Self::default();
        let flag = raised.clone();
        thread::Builder::new().name("signals".to_owned()).spawn(move || {
            runtime.block_on(signals.next());
            flag.raise();
            runtime.block_on(signals.next());
            std::process::exit(INTERRUPTED);
        })?;
        Ok(raised)
    }

    /// Ends every wait.
    pub fn raise(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// An error once raised.
    pub fn check(&self) -> Result<()> {
        if self.0.load(Ordering::Relaxed) { Err(LabError::Interrupted) } else { Ok(()) }
    }

    /// Passes time until `deadline`.
    pub fn sleep_until(&self, deadline: Instant) -> Result<()> {
        while clock::now() < deadline {
            self.check()?;
            thread::sleep(GLANCE.min(deadline.saturating_duration_since(clock::now())));
        }
        self.check()
    }

    /// Asks `probe` again and again until it has something, at most for `patience`.
    pub fn wait<T>(
        &self,
        what: &str,
        patience: Duration,
        mut probe: impl FnMut() -> Result<Option<T>>,
    ) -> Result<T> {
        let deadline = clock::now() + patience;
        loop {
            self.check()?;
            if let Some(found) = probe()? {
                return Ok(found);
            }
            if clock::now() >= deadline {
                return Err(LabError::Waited(what.to_owned()));
            }
            thread::sleep(GLANCE);
        }
    }
}

/// The two signals by which one asks a program to end.
#[derive(Debug)]
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// Begins to listen; within a runtime.
    pub fn register() -> io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    /// Completes at the next of them.
    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => (),
            _ = self.terminate.recv() => (),
        }
    }
}

const GLANCE: Duration = Duration::from_millis(5);
/// What a shell reports for a program that SIGINT ended.
const INTERRUPTED: i32 = 130;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_raised_interrupt_ends_every_wait() {
        let interrupt = Interrupt::default();
        interrupt.raise();
        let waited = interrupt.wait("never", Duration::from_secs(60), || Ok(None::<()>));
        assert!(matches!(waited, Err(LabError::Interrupted)));
        let far = clock::now() + Duration::from_secs(60);
        assert!(matches!(interrupt.sleep_until(far), Err(LabError::Interrupted)));
    }

    #[test]
    fn what_never_comes_is_named() {
        let waited = Interrupt::default().wait("rain falls", Duration::from_millis(20), || Ok(None::<()>));
        assert_eq!(waited.unwrap_err().to_string(), "waited in vain until rain falls");
    }
}
