//! Who asked the API server for what, by its own audit log.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// The audit log of a kube-apiserver.
#[derive(Debug)]
pub(crate) struct Audit {
    log: PathBuf,
    policy: PathBuf,
}

/// What one client asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Requests {
    /// Requests that change something.
    pub(crate) writes: usize,
    /// Requests for objects; a watch is one.
    pub(crate) reads: usize,
    /// Those of them that are watches.
    pub(crate) watches: usize,
    /// `/readyz` and its like, which touch no object.
    pub(crate) probes: usize,
}

impl Audit {
    /// Puts the policy into `folder`, where the log will be.
    pub(crate) fn prepare(folder: &Path) -> anyhow::Result<Self> {
        let audit = Self { log: folder.join("audit.log"), policy: folder.join("audit.yaml") };
        fs::write(&audit.policy, POLICY)?;
        Ok(audit)
    }

    /// What kube-apiserver has to be told.
    pub(crate) fn arguments(&self) -> Vec<String> {
        vec![
            format!("--audit-policy-file={}", self.policy.display()),
            format!("--audit-log-path={}", self.log.display()),
        ]
    }

    /// How long the log is.
    pub(crate) fn position(&self) -> anyhow::Result<usize> {
        Ok(fs::read(&self.log)?.len())
    }

    /// What `client` asked for since the log had that length.
    pub(crate) fn since(&self, position: usize, client: Ipv4Addr) -> anyhow::Result<Requests> {
        let log = fs::read(&self.log)?;
        let text = String::from_utf8_lossy(log.get(position..).unwrap_or_default()).into_owned();
        let mut requests = Requests::default();
        for line in text.lines() {
            let entry: Entry = serde_json::from_str(line)?;
            if entry.source_ips.contains(&client.to_string()) {
                entry.count(&mut requests);
            }
        }
        Ok(requests)
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    stage: String,
    verb: String,
    #[serde(rename = "sourceIPs", default)]
    source_ips: Vec<String>,
    object_ref: Option<serde::de::IgnoredAny>,
}

impl Entry {
    /// A watch counts when it begins, everything else when it is done.
    fn count(&self, requests: &mut Requests) {
        match (self.verb.as_str(), self.stage.as_str(), &self.object_ref) {
            ("watch", "ResponseStarted", _) => {
                requests.reads += 1;
                requests.watches += 1;
            }
            ("watch", _, _) | (_, "ResponseStarted", _) => {}
            (_, _, None) => requests.probes += 1,
            ("get" | "list", _, _) => requests.reads += 1,
            _ => requests.writes += 1,
        }
    }
}

const POLICY: &str = "\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules: [{ level: Metadata }]
";
