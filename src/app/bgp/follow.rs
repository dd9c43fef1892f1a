//! The speaker's configuration while the daemon runs: the file, SIGHUP, and the annotations of this Node.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::watch;
use tracing::{info, warn};

use super::settings;
use crate::announce::bgp::settings::Settings;
use crate::change::Told;
use crate::clock;
use crate::config::Config;
use crate::config::bgp::{Bgp, NodeBgp};
use crate::kube::annotations::Annotations;

/// Reads the configuration again.
pub struct Reload {
    /// The whole configuration, or what is wrong with it.
    pub load: Box<dyn Fn() -> Result<Config, String> + Send>,
    /// Grows with each SIGHUP.
    pub hangups: watch::Receiver<u64>,
    /// The configuration file, where there is one.
    pub file: Option<PathBuf>,
}

impl std::fmt::Debug for Reload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reload").field("file", &self.file).finish_non_exhaustive()
    }
}

/// Where it all leads.
pub(super) struct Follower {
    pub(super) config: Config,
    pub(super) bgp: Bgp,
    pub(super) router_id: std::net::Ipv4Addr,
    pub(super) annotations: watch::Receiver<Annotations>,
    pub(super) out: watch::Sender<Arc<Settings>>,
}

impl Follower {
    /// Follows every change, for ever.
    pub(super) async fn run(mut self, mut reload: Option<Reload>) {
        let mut stamp = reload.as_ref().and_then(Reload::stamp);
        let mut trouble = Told::default();
        self.annotated();
        loop {
            tokio::select! {
                Ok(()) = self.annotations.changed() => self.annotated(),
                () = asked(reload.as_mut(), &mut stamp) => {
                    if let Some(reload) = &reload {
                        self.reread(reload, &mut trouble);
                    }
                }
            }
        }
    }

    fn reread(&mut self, reload: &Reload, trouble: &mut Told<String>) {
        match (reload.load)() {
            Err(problems) => {
                if trouble.is_news(problems.clone()) {
                    warn!(problems, "the configuration is wrong, the one before stays in force");
                }
            }
            Ok(config) => {
                trouble.is_over();
                self.adopt(config);
            }
        }
    }

    fn adopt(&mut self, config: Config) {
        let rest = Config { bgp: self.config.bgp.clone(), ..config.clone() };
        if rest != self.config {
            warn!("settings that are not BGP's have changed: they take effect at the next start");
        }
        match config.bgp {
            None => warn!("BGP was switched off: that takes effect at the next start"),
            Some(bgp) => {
                info!("the configuration was read again");
                self.bgp = bgp;
                self.annotated();
            }
        }
    }

    /// What holds with the annotations that are known now.
    fn annotated(&mut self) {
        let annotations = self.annotations.borrow_and_update().clone();
        let node = match (&self.bgp.node_annotations, annotations) {
            (Some(asked), Some(annotations)) => match asked.read(&annotations) {
                Ok(node) => node,
                Err(problems) => {
                    let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
                    let problems = problems.join("; ");
                    warn!(problems, "annotations of this Node are wrong, what held before stays in force");
                    return;
                }
            },
            (None, _) | (Some(_), None) => NodeBgp::default(),
        };
        self.publish(&self.bgp.with_node(&node));
    }

    fn publish(&self, bgp: &Bgp) {
        let identifier = match bgp.router_id {
            crate::config::bgp::RouterId::Given(id) => id,
            crate::config::bgp::RouterId::OfInterface { .. }
            | crate::config::bgp::RouterId::OfNode { .. } => self.router_id,
        };
        let settings = settings::settings(bgp, identifier);
        let changes = self.out.borrow().changes(&settings);
        if **self.out.borrow() == settings {
            return;
        }
        for (peer, change) in changes {
            info!(peer, ?change, "BGP peer by another configuration");
        }
        self.out.send_replace(Arc::new(settings));
    }
}

impl Reload {
    fn stamp(&self) -> Option<SystemTime> {
        fs::metadata(self.file.as_ref()?).and_then(|meta| meta.modified()).ok()
    }
}

/// Completes with a SIGHUP, and when the file is another one.
async fn asked(reload: Option<&mut Reload>, stamp: &mut Option<SystemTime>) {
    let Some(reload) = reload else { return std::future::pending().await };
    loop {
        tokio::select! {
            Ok(()) = reload.hangups.changed() => {
                *stamp = reload.stamp();
                return;
            }
            () = clock::pause(LOOK), if reload.file.is_some() => {
                let now = reload.stamp();
                // A file that is being replaced may be missing for a moment.
                if now.is_some() && now != *stamp {
                    *stamp = now;
                    return;
                }
            }
        }
    }
}

/// How soon a change of the file is noticed.
const LOOK: Duration = Duration::from_secs(2);
