//! Hundreds of sessions between two threads of BFD, while the machine has other things to do. The test is short; `cargo bench
//! --bench bfd` does the same for ten minutes and prints the figures.

use std::collections::BTreeSet;
use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use vipcast::bfd::{self, Counted, Handle, Hops, Session, SessionConfig, Stats};
use vipcast::clock;
use vipcast::net::namespace::Namespace;
use vipcast::net::wiring::LinkState;
use vipcast_proto::bfd::session::{Config, Verdict};
use vipcast_proto::bfd::types::{DetectMult, Interval};

/// How it is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) sessions: u16,
    pub(crate) interval: Duration,
    pub(crate) detect_mult: u8,
    pub(crate) span: Duration,
    /// Threads that do nothing but burn time.
    pub(crate) burners: usize,
}

/// What came out, of one of the two sides.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    /// Of one core, from all sessions Up to the end.
    pub(crate) cpu_percent: f64,
    /// Over the same time.
    pub(crate) packets_per_second: f64,
    /// Sessions that are, or were, not Up, of both sides.
    pub(crate) false_downs: u64,
    /// From the first session's start to the last one's Up.
    pub(crate) all_up_after: Duration,
    pub(crate) counted: Counted,
}

/// The short form, in an unoptimized build beside other tests: it proves that nothing fails, and prints the rest.
pub(crate) fn short() {
    let plan = Plan {
        sessions: 300,
        interval: Duration::from_millis(300),
        detect_mult: 3,
        span: Duration::from_secs(6),
        burners: 1,
    };
    let outcome = measure(plan);
    eprintln!("{plan:?}: {outcome:#?}");
    assert_eq!((outcome.false_downs, outcome.counted.send_failures), (0, 0));
    assert!(outcome.all_up_after < Duration::from_secs(10), "{outcome:?}");
    // An unoptimized build may take more than the figure that the benchmark asks for, but not all there is.
    assert!((0.0..50.0).contains(&outcome.cpu_percent), "{outcome:?}");
    // Each side sends every 225 to 300 ms.
    let expected = f64::from(plan.sessions) / 0.2625;
    assert!((0.9..1.1).contains(&(outcome.packets_per_second / expected)), "{outcome:?}");
}

pub(crate) fn measure(plan: Plan) -> Outcome {
    let (here, there) = wire(plan.sessions);
    let (measured, measured_thread) = start(&here);
    let (other, _) = start(&there);
    let begin = clock::now();
    let sessions: Vec<Session> = (0..plan.sessions)
        .flat_map(|number| {
            let pair = [(&measured, NODE, peer(number)), (&other, peer(number), NODE)];
            pair.map(|(bfd, local, remote)| bfd.add(config(plan, local, remote)).unwrap())
        })
        .collect();
    let all_up = || sessions.iter().all(|session| session.report().status.verdict == Verdict::Up);
    while !all_up() {
        assert!(clock::now() - begin < Duration::from_secs(60), "not all sessions come up");
        sleep(Duration::from_millis(1));
    }
    let all_up_after = clock::now() - begin;
    // Slow timers give way to fast ones by a Poll Sequence within a second.
    sleep(Duration::from_secs(2));
    let idle = Arc::new(AtomicBool::new(false));
    let burners: Vec<_> = (0..plan.burners).map(|_| burn(Arc::clone(&idle))).collect();
    let (from, cpu, sent) = (clock::now(), cpu_time(&measured_thread), measured.stats().counted().sent);
    sleep(plan.span);
    let took = (clock::now() - from).as_secs_f64();
    let outcome = Outcome {
        cpu_percent: 100.0 * (cpu_time(&measured_thread) - cpu).as_secs_f64() / took,
        packets_per_second: (measured.stats().counted().sent - sent) as f64 / took,
        false_downs: sessions.iter().map(false_downs).sum(),
        all_up_after,
        counted: measured.stats().counted(),
    };
    idle.store(true, Ordering::Relaxed);
    burners.into_iter().for_each(|burner| burner.join().unwrap());
    outcome
}

fn false_downs(session: &Session) -> u64 {
    let status = session.report().status;
    status.failures.max(u64::from(status.verdict != Verdict::Up))
}

/// A cable; one address here, many there.
fn wire(sessions: u16) -> (Namespace, Namespace) {
    let (here, there) = (Namespace::create().unwrap(), Namespace::create().unwrap());
    here.add_veth("eth0", &there, "eth0").unwrap();
    for end in [&here, &there] {
        end.set_link("eth0", LinkState::Up).unwrap();
    }
    here.add_address("eth0", format!("{NODE}/16").parse().unwrap()).unwrap();
    for number in 0..sessions {
        there.add_address("eth0", format!("{}/16", peer(number)).parse().unwrap()).unwrap();
    }
    (here, there)
}

/// BFD in a namespace, and where its thread is in `/proc`.
fn start(namespace: &Namespace) -> (Handle, String) {
    let before = threads();
    let handle = namespace.run(|| bfd::start(Stats::new()).unwrap()).unwrap();
    let named = |path: &String| fs::read_to_string(format!("{path}/comm")).is_ok_and(|name| name == "bfd\n");
    // It names itself a moment after it began.
    let thread = loop {
        if let Some(new) = threads().difference(&before).find(|path| named(path)) {
            break new.clone();
        }
    };
    (handle, thread)
}

fn threads() -> BTreeSet<String> {
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    tasks.map(|task| task.unwrap().path().display().to_string()).collect()
}

/// The first number: nanoseconds on a processor.
fn cpu_time(thread: &str) -> Duration {
    let text = fs::read_to_string(format!("{thread}/schedstat")).unwrap();
    Duration::from_nanos(text.split(' ').next().unwrap().parse().unwrap())
}

fn burn(idle: Arc<AtomicBool>) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        let begin: Instant = clock::now();
        let mut sum = 0_u64;
        while !idle.load(Ordering::Relaxed) {
            sum = sum.wrapping_mul(31).wrapping_add(u64::from(begin.elapsed().subsec_nanos()));
        }
        assert_ne!(sum, 1);
    })
}

fn config(plan: Plan, local: Ipv4Addr, remote: Ipv4Addr) -> SessionConfig {
    let interval = Interval::from_duration(plan.interval).unwrap();
    let detect_mult = DetectMult::new(plan.detect_mult).unwrap();
    let timers = Config { desired_min_tx: interval, required_min_rx: interval, detect_mult };
    let local = Some(IpAddr::V4(local));
    SessionConfig { remote: remote.into(), local, interface: None, hops: Hops::Single, timers }
}

const NODE: Ipv4Addr = Ipv4Addr::new(10, 79, 0, 1);

fn peer(number: u16) -> Ipv4Addr {
    let [high, low] = number.to_be_bytes();
    Ipv4Addr::new(10, 79, 1 + high, low)
}
