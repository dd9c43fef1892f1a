//! The speaker's configuration while the daemon runs: the file, SIGHUP, and the annotations of this Node.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::watch;
use tracing::{info, warn};

use super::annotated::Annotated;
use super::settings;
use crate::announce::bgp::settings::Settings;
use crate::change::{Told, publish};
use crate::clock;
use crate::config::bgp::{Bgp, Drain};
use crate::config::{Effective, Notice, Resolved};
use crate::log;
use crate::net::tcp_key::has_tcp_ao;

/// Reads the configuration again.
pub struct Reload {
    /// All of it, or what is wrong with it.
    pub load: Box<dyn Fn() -> Result<Resolved, String> + Send>,
    /// What the daemon was started with.
    pub in_force: Vec<Effective>,
    /// What was said of that.
    pub notices: Vec<Notice>,
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
    pub(super) annotated: Annotated,
    pub(super) bgp: Bgp,
    pub(super) router_id: std::net::Ipv4Addr,
    pub(super) out: watch::Sender<Arc<Settings>>,
    pub(super) drain: watch::Sender<Drain>,
}

/// Why the configuration is read again.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Asked {
    /// An operator wants to know how it is.
    Hangup,
    /// The file is another one.
    File,
}

/// What was said of the configuration.
#[derive(Default)]
struct Words {
    trouble: Told<String>,
    restart: Told<String>,
    notices: Vec<Notice>,
}

/// Without a speaker nothing can be followed, but said.
pub(in crate::app) async fn only_tell(mut reload: Reload) {
    let mut stamp = reload.stamp();
    let mut words = Words::new(Some(&reload));
    loop {
        let asked = asked(Some(&mut reload), &mut stamp).await;
        if let Some(resolved) = words.reread(&reload, asked) {
            words.tell(&reload.in_force, &resolved.sources, |_| false);
        }
    }
}

impl Follower {
    /// Follows every change, for ever.
    pub(super) async fn run(mut self, mut reload: Option<Reload>) {
        let mut stamp = reload.as_ref().and_then(Reload::stamp);
        let mut words = Words::new(reload.as_ref());
        self.annotated();
        loop {
            tokio::select! {
                () = self.annotated.changed() => self.annotated(),
                asked = asked(reload.as_mut(), &mut stamp) => {
                    if let Some(reload) = &reload
                        && let Some(resolved) = words.reread(reload, asked)
                    {
                        self.adopt(resolved, &reload.in_force, &mut words);
                        self.annotated();
                    }
                }
            }
        }
    }

    fn adopt(&mut self, resolved: Resolved, in_force: &[Effective], words: &mut Words) {
        let is_off = resolved.config.bgp.is_none();
        words.tell(in_force, &resolved.sources, |setting| !is_off && is_followed(setting));
        if let Some(bgp) = resolved.config.bgp {
            publish(&self.drain, bgp.drain.clone());
            self.bgp = bgp;
        }
    }

    /// What holds with the annotations that are known now.
    fn annotated(&mut self) {
        if let Some(node) = self.annotated.read(self.bgp.node_annotations.as_ref()) {
            self.publish(&self.bgp.with_node(&node));
        }
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
        warn_of_tcp_ao(&settings, has_tcp_ao);
        self.out.send_replace(Arc::new(settings));
    }
}

/// Before each attempt to connect says the same in its own way.
pub(super) fn warn_of_tcp_ao(settings: &Settings, is_there: impl FnOnce() -> bool) -> bool {
    let peers = settings.signed_by_tcp_ao().collect::<Vec<_>>().join(", ");
    let missing = !peers.is_empty() && !is_there();
    if missing {
        warn!(peers, "this kernel has no TCP-AO (Linux 6.7, CONFIG_TCP_AO): these peers stay down");
    }
    missing
}

impl Words {
    fn new(reload: Option<&Reload>) -> Self {
        let notices = reload.map(|reload| reload.notices.clone()).unwrap_or_default();
        Self { notices, ..Self::default() }
    }

    fn reread(&mut self, reload: &Reload, asked: Asked) -> Option<Resolved> {
        if asked == Asked::Hangup {
            // Who asks is told again.
            self.trouble.is_over();
            self.restart.is_over();
        }
        match (reload.load)() {
            Ok(resolved) => {
                self.trouble.is_over();
                info!("the configuration was read again");
                let before = std::mem::replace(&mut self.notices, resolved.notices.clone());
                self.notices.iter().filter(|notice| !before.contains(notice)).for_each(log::notice);
                Some(resolved)
            }
            Err(problems) => {
                if self.trouble.is_news(problems.clone()) {
                    warn!(problems, "the configuration is wrong, the one before stays in force");
                }
                None
            }
        }
    }

    /// Names what is another now than what this process was started with, and not followed.
    fn tell(&mut self, before: &[Effective], now: &[Effective], is_followed: impl Fn(&Effective) -> bool) {
        let is_in_force = |setting: &Effective| before.iter().any(|one| one.says_the_same(setting));
        let names = now.iter().filter(|setting| !is_followed(setting) && !is_in_force(setting));
        let settings = names.map(|setting| setting.key).collect::<Vec<_>>().join(", ");
        if settings.is_empty() {
            self.restart.is_over();
        } else if self.restart.is_news(settings.clone()) {
            warn!(settings, "these settings have changed and take effect at the next start");
        }
    }
}

/// What BGP is told while it runs. The interface of its identifier is looked at once.
fn is_followed(setting: &Effective) -> bool {
    match setting.key {
        "bgp.enabled" | "bgp.routerInterface" => false,
        "bgp.routerId" => setting.value.is_some(),
        key => key.starts_with("bgp."),
    }
}

impl Reload {
    fn stamp(&self) -> Option<SystemTime> {
        fs::metadata(self.file.as_ref()?).and_then(|meta| meta.modified()).ok()
    }
}

/// Completes with a SIGHUP, and when the file is another one.
async fn asked(reload: Option<&mut Reload>, stamp: &mut Option<SystemTime>) -> Asked {
    let Some(reload) = reload else { return std::future::pending().await };
    loop {
        tokio::select! {
            Ok(()) = reload.hangups.changed() => {
                *stamp = reload.stamp();
                return Asked::Hangup;
            }
            () = clock::pause(LOOK), if reload.file.is_some() => {
                let now = reload.stamp();
                // A file that is being replaced may be missing for a moment.
                if now.is_some() && now != *stamp {
                    *stamp = now;
                    return Asked::File;
                }
            }
        }
    }
}

/// How soon a change of the file is noticed.
const LOOK: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::announce::bgp::settings::{Authentication, Password};
    use crate::config::{Flags, HostFacts, resolve};

    fn resolved(file: &str) -> Resolved {
        let file = Some(("config.yaml".to_owned(), file.to_owned()));
        let host = HostFacts { hostname: "n1".into(), ..HostFacts::default() };
        resolve(&Flags::default(), std::iter::empty(), file, &host).unwrap()
    }

    fn sources(file: &str) -> Vec<Effective> {
        resolved(file).sources
    }

    #[test]
    fn a_kernel_without_tcp_ao_is_asked_and_named_only_where_a_peer_needs_it() {
        let mut peer = crate::announce::bgp::fixture::peer(179);
        let settings = |peer: &_| Settings {
            peers: [("r1".to_owned(), Clone::clone(peer))].into(),
            ..Settings::default()
        };
        assert!(!warn_of_tcp_ao(&settings(&peer), || unreachable!("nobody needs it")));
        peer.reach.authentication = Some(Authentication::Ao {
            password: Password::Given("p".into()),
            send_id: 1,
            receive_id: 1,
            algorithm: "hmac(sha1)",
        });
        assert_eq!([true, false].map(|there| warn_of_tcp_ao(&settings(&peer), || there)), [false, true]);
    }

    #[test]
    fn what_is_not_followed_is_named_once_and_again_when_it_is_something_else() {
        let text = |address: &str, local_as: u32, level: &str| {
            format!(
                "{{controlPlane: {{enabled: true, address: {address}}}, log: {{level: {level}}}, \
                 bgp: {{enabled: true, localAs: {local_as}, peers: [{{address: 192.0.2.1, as: 65001}}]}}}}"
            )
        };
        let before = sources(&text("192.0.2.9", 65000, "info"));
        let mut words = Words::default();
        let mut said = |text: &str| {
            words.tell(&before, &sources(text), is_followed);
            words.restart.is_over().then_some(())
        };
        assert_eq!(said(&text("192.0.2.9", 65000, "info")), None);
        assert_eq!(said(&text("192.0.2.9", 65010, "info")), None);
        assert_eq!(said(&text("192.0.2.8", 65010, "debug")), Some(()));
    }

    #[test]
    fn a_sighup_is_always_answered_and_a_file_that_stays_wrong_is_said_once() {
        let outcome: Arc<Mutex<Result<&'static str, String>>> =
            Arc::new(Mutex::new(Err("bgp.localAs: missing".into())));
        let next = outcome.clone();
        let reload = Reload {
            load: Box::new(move || next.lock().unwrap().clone().map(resolved)),
            in_force: vec![],
            notices: vec![],
            hangups: watch::channel(0).1,
            file: None,
        };
        let mut words = Words::new(Some(&reload));
        let mut lines = |asked| {
            let lines = log::recorded(|| drop(words.reread(&reload, asked)));
            lines.lines().map(ToOwned::to_owned).collect::<Vec<_>>()
        };
        let wrong = [
            "WARN the configuration is wrong, the one before stays in force problems=\"bgp.localAs: missing\"",
        ];
        assert_eq!(lines(Asked::File), wrong);
        assert_eq!(lines(Asked::File), [""; 0]);
        assert_eq!(lines(Asked::Hangup), wrong);
        assert_eq!(lines(Asked::Hangup), wrong);
        *outcome.lock().unwrap() = Ok("{controlPlane: {enabled: true, address: 192.0.2.9}, \
                                       health: {enabled: false}, bgp: {enabled: true, localAs: 65000, \
                                       peers: [{address: 192.0.2.1, as: 65001}]}}");
        let said = lines(Asked::File);
        assert_eq!((said.len(), said[0].as_str()), (2, "INFO the configuration was read again"));
        assert!(said[1].starts_with("WARN configuration setting=\"health.enabled\""), "{said:?}");
        assert_eq!(lines(Asked::Hangup), ["INFO the configuration was read again"]);
    }
}
