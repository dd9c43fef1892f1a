//! A client of the API that makes a new connection for every question: TCP, TLS and HTTP have to work, not only datagrams.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use vipcast::clock;

use super::api::anonymous;
use super::bed::ms;
use super::command::Script;
use super::probes;

/// Asks for `/readyz` again and again, and notes when it was answered with success. Ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Https {
    answers: Arc<Mutex<Vec<Instant>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Https {
    /// Begins, on the LAN's client, with the API server at that address.
    pub(crate) fn start(script: &Script, address: &str) -> Self {
        let client = probes::existing(script, "client");
        let (server, answers) = (format!("https://{address}:6443"), Arc::<Mutex<Vec<Instant>>>::default());
        let (noted, stop) = (Arc::clone(&answers), Arc::<AtomicBool>::default());
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                if client.namespace.run(|| anonymous(&server, "/readyz")).unwrap().is_some() {
                    noted.lock().unwrap_or_else(PoisonError::into_inner).push(clock::now());
                }
                thread::sleep(PAUSE);
            }
        });
        Self { answers, stop, thread: Some(thread) }
    }

    /// When the first answer came.
    pub(crate) fn first(&self) -> Option<Instant> {
        self.answers().first().copied()
    }

    /// The longest time between `from` and `to` without an answer.
    pub(crate) fn silence(&self, from: Instant, to: Instant) -> Duration {
        let within = self.answers().into_iter().filter(|at| (from..=to).contains(at));
        let times: Vec<Instant> = [from].into_iter().chain(within).chain([to]).collect();
        times.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap()
    }

    fn answers(&self) -> Vec<Instant> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Https {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        drop(self.thread.take().map(JoinHandle::join));
    }
}

const PAUSE: Duration = ms(50);
