//! BIRD and FRR, as Debian packages them: configured, started, asked and told.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use vipcast::demo::lab::lan::{Host, INTERFACE};
use vipcast::demo::lab::process::Process;
use vipcast::demo::lab::work_dir::WorkDir;

use crate::bed::{SOON, wait};
use crate::support::Needs;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    Bird,
    Frr,
}

/// A router's BFD with one neighbour, 100 ms × 3. It ends with this value.
pub(crate) struct Router {
    kind: Kind,
    neighbor: Neighbor,
    processes: Vec<Process>,
    directory: WorkDir,
}

/// Whom the router watches.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Neighbor {
    pub(crate) address: IpAddr,
    /// The router's own address.
    pub(crate) local: IpAddr,
    pub(crate) multihop: bool,
}

/// What the router says of the session.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Seen {
    pub(crate) up: bool,
    /// How often it sends.
    pub(crate) interval: Duration,
    /// The silence that it takes for a failure.
    pub(crate) detection_time: Duration,
}

impl Kind {
    pub(crate) const ALL: [Self; 2] = [Self::Bird, Self::Frr];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Bird => "bird",
            Self::Frr => "frr",
        }
    }

    pub(crate) const fn needs(self) -> &'static [Needs] {
        match self {
            Self::Bird => &[Needs::Root, Needs::Program("bird"), Needs::Program("chrt")],
            Self::Frr => &[Needs::Root, Needs::Program("/usr/lib/frr/bfdd"), Needs::Program("chrt")],
        }
    }

    pub(crate) fn start(self, host: &Host, neighbor: Neighbor) -> Router {
        let mut router =
            Router { kind: self, neighbor, processes: Vec::new(), directory: WorkDir::create().unwrap() };
        router.start(host);
        router
    }
}

impl Router {
    /// Once more, after [`Router::kill`].
    pub(crate) fn start(&mut self, host: &Host) {
        match self.kind {
            Kind::Bird => self.start_bird(host),
            Kind::Frr => self.start_frr(host),
        }
        wait(|| format!("{:?} knows its neighbour\n{}", self.kind, self.log()), SOON, || self.seen());
    }

    /// It says nothing any more, and nothing of it is left.
    pub(crate) fn kill(&mut self) {
        self.processes.clear();
        for left in ["zserv.api", "bfdd.sock", "zebra.vty", "bfdd.vty"] {
            // BIRD leaves none of them.
            let _ = std::fs::remove_file(self.directory.file(left));
        }
    }

    /// The session, if the router has it.
    pub(crate) fn seen(&self) -> Option<Seen> {
        match self.kind {
            Kind::Bird => bird_session(&self.ask("birdc", &["show bfd sessions"]), self.neighbor.address),
            Kind::Frr => frr_session(&self.ask("vtysh", &["show bfd peers json"]), self.neighbor.address),
        }
    }

    pub(crate) fn wait_seen(&self, what: &str, is: impl Fn(&Seen) -> bool) -> Seen {
        wait(|| format!("{what}: {:?}", self.seen()), SOON, || self.seen().filter(&is))
    }

    /// FRR's `shutdown` of a peer, which is AdminDown. BIRD has nothing of the kind.
    pub(crate) fn set_shutdown(&self, shutdown: bool) {
        let word = if shutdown { "shutdown" } else { "no shutdown" };
        self.ask("vtysh", &["configure terminal", "bfd", &self.frr_peer(), word]);
    }

    /// Whether the session went down by what we said.
    pub(crate) fn was_told(&self) -> bool {
        match self.kind {
            Kind::Bird => self.log().contains("[AdminDown"),
            Kind::Frr => {
                self.ask("vtysh", &["show bfd peers json"]).contains("\"neighbor signaled session down\"")
            }
        }
    }

    pub(crate) fn log(&self) -> String {
        self.processes.iter().map(|process| process.last_lines(30).join("\n")).collect()
    }

    fn start_bird(&mut self, host: &Host) {
        let config = self.directory.write("bird.conf", &self.bird_config()).unwrap();
        let mut command = punctual(host, &find("bird"));
        command.args(["-f", "-c"]).arg(config).arg("-s").arg(self.directory.file("control"));
        self.spawn("bird", command);
    }

    /// zebra tells bfdd of interfaces. Both insist on their own user.
    fn start_frr(&mut self, host: &Host) {
        let config = self.directory.write("bfdd.conf", &self.frr_config()).unwrap();
        let folder = config.parent().unwrap().to_owned();
        let owned = Command::new("chown").args(["-R", "frr:frr"]).arg(&folder).status().unwrap();
        assert!(owned.success(), "chown {folder:?}");
        self.spawn("zebra", self.frr_daemon(host, "zebra", &[]));
        wait(
            || format!("zebra answers\n{}", self.log()),
            SOON,
            || folder.join("zserv.api").exists().then_some(()),
        );
        let control = folder.join("bfdd.sock").display().to_string();
        let config = config.display().to_string();
        self.spawn("bfdd", self.frr_daemon(host, "bfdd", &["--bfdctl", &control, "-f", &config]));
    }

    fn frr_daemon(&self, host: &Host, name: &str, more: &[&str]) -> Command {
        let mut command = punctual(host, &Path::new("/usr/lib/frr").join(name));
        command.arg("--vty_socket").arg(self.folder());
        command.arg("-z").arg(self.directory.file("zserv.api"));
        command.arg("-i").arg(self.directory.file(&format!("{name}.pid")));
        command.args(["-P", "0", "--log", "stdout"]).args(more);
        command
    }

    fn spawn(&mut self, name: &str, command: Command) {
        let log = self.directory.file(&format!("{name}.log"));
        self.processes.push(Process::spawn(name, command, &log).unwrap());
    }

    /// The answer; nothing while the router does not answer yet.
    fn ask(&self, program: &str, words: &[&str]) -> String {
        let mut command = Command::new(find(program));
        match self.kind {
            Kind::Bird => command.arg("-s").arg(self.directory.file("control")).args(words),
            Kind::Frr => command
                .arg("--vty_socket")
                .arg(self.folder())
                .args(words.iter().flat_map(|word| ["-c", word])),
        };
        String::from_utf8(command.output().unwrap().stdout).unwrap()
    }

    fn folder(&self) -> PathBuf {
        self.directory.file("").components().collect()
    }

    fn bird_config(&self) -> String {
        let Neighbor { address, local, multihop } = self.neighbor;
        let timers = "{ interval 100 ms; idle tx interval 1 s; multiplier 3; }";
        let (scope, neighbor) = if multihop {
            ("multihop".to_owned(), format!("{address} local {local} multihop"))
        } else {
            (format!("interface \"{INTERFACE}\""), format!("{address} dev \"{INTERFACE}\""))
        };
        format!(
            "log stderr all;\ndebug protocols {{ events, packets }};\nrouter id 10.77.0.2;\nprotocol device {{}}\n\
             protocol bfd {{ {scope} {timers}; neighbor {neighbor}; }}\n"
        )
    }

    fn frr_config(&self) -> String {
        let ttl = if self.neighbor.multihop { "  minimum-ttl 254\n" } else { "" };
        format!(
            "bfd\n {}\n  receive-interval 100\n  transmit-interval 100\n  detect-multiplier 3\n{ttl} !\n!\n",
            self.frr_peer()
        )
    }

    fn frr_peer(&self) -> String {
        let Neighbor { address, local, multihop } = self.neighbor;
        if multihop {
            format!("peer {address} multihop local-address {local}")
        } else {
            format!("peer {address} local-address {local} interface {INTERFACE}")
        }
    }
}

/// Before everything else that runs on this machine: a router that has to wait for a processor is one that has failed.
fn punctual(host: &Host, program: &Path) -> Command {
    let mut command = host.namespace.command(&find("chrt")).unwrap();
    command.args(["--fifo", "1"]).arg(program);
    command
}

/// `IP address  Interface  State  Since  Interval  Timeout`, the last two in seconds.
fn bird_session(answer: &str, neighbor: IpAddr) -> Option<Seen> {
    let line = answer.lines().find(|line| line.split_whitespace().next() == Some(&neighbor.to_string()))?;
    let words: Vec<&str> = line.split_whitespace().collect();
    let seconds = |word: &str| Duration::from_secs_f64(word.parse().unwrap());
    let &[.., state, _since, interval, timeout] = &words[..] else { return None };
    Some(Seen { up: state == "Up", interval: seconds(interval), detection_time: seconds(timeout) })
}

/// RFC 5880 §6.8.4 and §6.8.7, from what FRR shows.
fn frr_session(answer: &str, neighbor: IpAddr) -> Option<Seen> {
    let peers: Value = serde_json::from_str(answer).ok()?;
    let peer = peers.as_array()?.iter().find(|peer| peer["peer"] == neighbor.to_string())?;
    let number = |name: &str| u32::try_from(peer[name].as_u64().unwrap()).unwrap();
    let millis = |one: &str, other: &str| Duration::from_millis(number(one).max(number(other)).into());
    Some(Seen {
        up: peer["status"] == "up",
        interval: millis("transmit-interval", "remote-receive-interval"),
        detection_time: millis("receive-interval", "remote-transmit-interval")
            * number("remote-detect-multiplier"),
    })
}

fn find(program: &str) -> PathBuf {
    crate::support::in_path(program).unwrap()
}
