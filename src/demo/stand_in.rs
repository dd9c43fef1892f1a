//! A stand-in for the daemon and the API server, small enough to be trusted, with which the scenario itself is tested.
//!
//! They run as real processes: this test program with a filter that names them.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::cluster::{Cluster, Program, Settings, VIP};
use super::lab::interrupt::{Interrupt, Signals};
use super::lab::namespace::Namespace;
use super::lab::{address, frame, lan, sys};
use super::outcome::Event;
use super::scenario::{self, Pace};
use crate::clock;

const SERVER: &str = "10.77.0.2:6443";
const PLAYED: &str = "as-a-process";
/// The server's Lease outlasts every grant, and every address in a kernel.
const LEASE: Duration = Duration::from_millis(4800);
const GRANT: Duration = Duration::from_secs(4);
const VALID_SECONDS: u32 = 2;
const CALL: Duration = Duration::from_millis(500);
const TICK: Duration = Duration::from_millis(100);

fn played() -> bool {
    std::env::args().any(|argument| argument == PLAYED)
}

fn program(test: &str) -> Program {
    let arguments = ["--exact", test, PLAYED, "--nocapture", "--include-ignored"];
    Program { path: "/proc/self/exe".into(), arguments: arguments.map(Into::into).to_vec() }
}

fn cluster(nodes: usize, fault: Option<&str>) -> Cluster {
    let settings = Settings {
        daemon: program("demo::stand_in::a_daemon_holds_the_vip_while_its_grant_lasts"),
        api: Some(program("demo::stand_in::a_lease_has_one_holder_at_a_time")),
        environment: fault.map(|fault| ("fault".to_owned(), fault.to_owned())).into_iter().collect(),
        ..Settings::own(nodes)
    };
    Cluster::start(settings, Interrupt::default()).unwrap()
}

#[derive(Default)]
struct Lease {
    holder: Option<(String, Instant)>,
}

impl Lease {
    fn claim(&mut self, now: Instant, name: &str) -> bool {
        let free = self.holder.as_ref().is_none_or(|(holder, until)| holder == name || *until <= now);
        if free {
            self.holder = Some((name.to_owned(), now + LEASE));
        }
        free
    }

    fn release(&mut self, name: &str) {
        self.holder.take_if(|(holder, _)| holder == name);
    }
}

fn serve() {
    let listener = TcpListener::bind(SERVER).unwrap();
    let mut lease = Lease::default();
    for stream in listener.incoming() {
        let mut reader = BufReader::new(stream.unwrap());
        let mut line = String::new();
        // A client that gave up leaves nothing to read.
        if reader.read_line(&mut line).is_err() {
            continue;
        }
        let answer = match line.trim().split_once(' ') {
            Some(("claim", name)) if lease.claim(clock::now(), name) => "yes",
            Some(("release", name)) => {
                lease.release(name);
                "yes"
            }
            Some(("POST", _)) => "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n",
            _ => "no",
        };
        let _ = reader.get_mut().write_all(answer.as_bytes());
    }
}

fn call(request: &str) -> Option<bool> {
    let server: SocketAddr = SERVER.parse().unwrap();
    let mut stream = TcpStream::connect_timeout(&server, CALL).ok()?;
    stream.set_read_timeout(Some(CALL)).ok()?;
    stream.write_all(format!("{request}\n").as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    (!answer.is_empty()).then(|| answer == "yes")
}

struct Daemon {
    name: String,
    namespace: Namespace,
    interface: u32,
    faulty: bool,
    until: Option<Instant>,
    holds: bool,
}

impl Daemon {
    fn from_environment() -> Self {
        let namespace = Namespace::current().unwrap();
        Self {
            name: std::env::var("vip_nodename").unwrap(),
            interface: lan::index_of(&namespace, lan::INTERFACE).unwrap(),
            faulty: std::env::var("fault").is_ok(),
            namespace,
            until: None,
            holds: false,
        }
    }

    fn run(mut self, ended: &AtomicBool) {
        self.drop_address();
        while !ended.load(Ordering::Relaxed) {
            let now = clock::now();
            if call(&format!("claim {}", self.name)) == Some(true) {
                self.until = Some(now + GRANT);
            }
            match self.until.filter(|until| clock::now() < *until) {
                Some(_) => self.hold(),
                None => self.drop_address(),
            }
            thread::sleep(TICK);
        }
        self.drop_address();
        call(&format!("release {}", self.name));
    }

    fn hold(&mut self) {
        let valid = if self.faulty { None } else { Some(VALID_SECONDS) };
        address::add(&self.namespace, self.interface, (VIP, 32), valid).unwrap();
        if !self.holds {
            self.announce();
        }
        self.holds = true;
    }

    fn drop_address(&mut self) {
        address::remove(&self.namespace, VIP).unwrap();
        self.holds = false;
    }

    /// Asking for one's own address is the announcement (RFC 5227 §3).
    fn announce(&self) {
        let number: u8 = self.name.trim_start_matches("node").parse().unwrap();
        let socket =
            socket2::Socket::new(socket2::Domain::PACKET, socket2::Type::RAW, Some(0.into())).unwrap();
        socket.bind(&sys::packet_address(self.interface, 0x0806).unwrap()).unwrap();
        let frame = frame::question([2, 0x77, 0, 0, 0, 10 + number], VIP, VIP).unwrap();
        // With the cable out it reaches nobody.
        let _ = socket.send(&frame);
    }
}

#[test]
fn a_lease_has_one_holder_at_a_time() {
    if played() {
        serve();
    }
    let (mut lease, now) = (Lease::default(), clock::now());
    assert!(lease.claim(now, "a") && !lease.claim(now, "b") && lease.claim(now, "a"));
    assert!(lease.claim(now + LEASE, "b") && !lease.claim(now + LEASE, "a"));
    lease.release("b");
    assert!(lease.claim(now, "a"));
}

#[test]
#[ignore = "needs root, for network namespaces: tools/test runs it"]
fn a_daemon_holds_the_vip_while_its_grant_lasts() {
    if played() {
        let ended = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&ended);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let mut signals = runtime.block_on(async { Signals::register() }).unwrap();
        thread::spawn(move || {
            runtime.block_on(signals.next());
            flag.store(true, Ordering::Relaxed);
        });
        Daemon::from_environment().run(&ended);
        std::process::exit(0);
    }
    let mut cluster = cluster(1, None);
    assert_eq!(scenario::start(&mut cluster).unwrap().broken, [] as [&str; 0]);
    assert!(cluster.has_address(0).unwrap());
    cluster.api().unwrap().stop().unwrap();
    cluster.wait_address_gone(0, Duration::from_secs(10)).unwrap();
}

#[test]
#[ignore = "needs root, for network namespaces: tools/test runs it"]
fn a_daemon_that_keeps_the_rules_keeps_every_promise() {
    let mut cluster = cluster(3, None);
    let mut said = BTreeMap::new();
    let outcomes = scenario::perform(&mut cluster, Pace::Quick, &mut |line| {
        eprintln!("{line}");
        said.insert(line.to_owned(), ());
    });
    let outcomes = outcomes.unwrap();
    let kept: Vec<_> = outcomes.iter().map(|outcome| (outcome.event, outcome.broken.clone())).collect();
    let all = [
        Event::Start,
        Event::HandOver,
        Event::Crash,
        Event::Freeze,
        Event::Cable,
        Event::Outage,
        Event::Whole,
    ];
    assert_eq!(kept, all.map(|event| (event, Vec::new())), "{outcomes:#?}");
    let changes: Vec<_> =
        outcomes.iter().skip(1).take(4).map(|outcome| outcome.before != outcome.after).collect();
    assert_eq!(changes, [true; 4], "the VIP moved each time");
    assert!(said.len() >= 12, "each step is told");
}

#[test]
#[ignore = "needs root, for network namespaces: tools/test runs it"]
fn a_daemon_that_leaves_its_address_behind_is_convicted() {
    let mut cluster = cluster(2, Some("address without a lifetime"));
    scenario::start(&mut cluster).unwrap();
    let outcome = scenario::freeze(&mut cluster);
    assert!(outcome.is_err_and(|error| error.to_string().contains("left the kernel")));
    let holder = cluster.settle().unwrap();
    let begin = clock::now();
    cluster.expect_end(holder);
    cluster.daemon(holder).unwrap().kill().unwrap();
    cluster.wait_answer("another answers", begin, Duration::from_secs(10), |node| node != holder).unwrap();
    cluster.linger(Duration::from_secs(1)).unwrap();
    assert!(cluster.sightings(begin, clock::now()).double > 20);
}

#[test]
#[ignore = "needs root, for network namespaces: tools/test runs it"]
fn a_daemon_that_ends_by_itself_is_convicted() {
    let mut cluster = cluster(2, None);
    scenario::start(&mut cluster).unwrap();
    let holder = cluster.holder().unwrap();
    cluster.daemon(1 - holder).unwrap().kill().unwrap();
    let outcome = scenario::hand_over(&mut cluster);
    assert!(outcome.is_err(), "nobody is left to take the VIP");
    assert_eq!(cluster.unexpected_ends().unwrap().len(), 1);
}
