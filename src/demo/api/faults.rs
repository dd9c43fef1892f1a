//! What is wrong with the API server for now, and who asked it for what.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How the server misbehaves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Faults {
    /// What becomes of requests.
    pub mode: Mode,
    /// Waited before each request is looked at.
    pub latency_millis: u64,
    /// What `/readyz` says.
    pub ready: bool,
}

impl Default for Faults {
    fn default() -> Self {
        Self { mode: Mode::Serve, latency_millis: 0, ready: true }
    }
}

impl Faults {
    pub(super) fn latency(&self) -> Option<Duration> {
        (self.latency_millis > 0).then(|| Duration::from_millis(self.latency_millis))
    }
}

/// What becomes of requests.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Mode {
    /// They are answered.
    #[default]
    Serve,
    /// They are accepted and wait, as do watches, until the mode changes; then they are answered.
    Freeze,
    /// They take effect, and the answer is lost.
    LoseAnswers,
    /// 503, and watches end.
    Refuse,
    /// 403, but for paths that start with one of these.
    Forbid(Vec<String>),
}

/// Requests by verb, resource and user agent since the start.
#[derive(Debug, Default)]
pub(super) struct Requests(BTreeMap<(&'static str, String, String), u64>);

/// One line of the count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Count {
    /// `get`, `list`, `watch`, `create`, `update`, `patch` or `delete`.
    pub verb: String,
    /// The plural, with `/status` where it was the status.
    pub resource: String,
    /// Who asked.
    pub user_agent: String,
    /// How often.
    pub count: u64,
}

impl Requests {
    pub(super) fn count(&mut self, verb: &'static str, resource: String, user_agent: &str) {
        let user_agent: String = user_agent.chars().take(MAX_USER_AGENT).collect();
        let mut key = (verb, resource, user_agent);
        if self.0.len() >= MAX_COUNTS && !self.0.contains_key(&key) {
            key.2 = "(others)".to_owned();
        }
        *self.0.entry(key).or_default() += 1;
    }

    pub(super) fn all(&self) -> Vec<Count> {
        let count = |((verb, resource, user_agent), count): (&(&str, String, String), &u64)| Count {
            verb: (*verb).to_owned(),
            resource: resource.clone(),
            user_agent: user_agent.clone(),
            count: *count,
        };
        self.0.iter().map(count).collect()
    }
}

const MAX_COUNTS: usize = 1000;
const MAX_USER_AGENT: usize = 200;
