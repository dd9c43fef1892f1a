//! What leaves, as a dissector by others sees it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use vipcast::demo::lab::process::Process;
use vipcast::demo::lab::work_dir::WorkDir;
use vipcast_proto::bfd::types::State;

use crate::bed::{Bed, Family, SOON, start, timers, towards_the_node, wait, wait_report, wait_up};
use crate::support::{Needs, Test, in_path, trial};

pub(crate) fn all() -> Vec<Test> {
    let needs = [Needs::Root, Needs::Program("dumpcap"), Needs::Program("tshark")];
    vec![
        trial("packets_are_as_the_rfcs_want_them_on_the_wire", &needs, packets_are_as_the_rfcs_want_them),
        trial(
            "a_removed_session_says_admin_down_until_nobody_waits",
            &needs,
            a_removed_session_says_admin_down,
        ),
    ]
}

/// Columns of what a dissector says, one packet a line.
const FIELDS: [&str; 14] = [
    "ip.ttl",
    "ip.dsfield",
    "ipv6.hlim",
    "ipv6.tclass",
    "udp.srcport",
    "udp.dstport",
    "bfd.version",
    "bfd.sta",
    "bfd.flags.d",
    "bfd.message_length",
    "bfd.my_discriminator",
    "bfd.your_discriminator",
    "bfd.required_min_echo_interval",
    "_ws.malformed",
];

struct Capture {
    process: Process,
    directory: WorkDir,
}

impl Capture {
    /// What the node sends, as it comes in at the router.
    fn start(bed: &Bed) -> Self {
        let directory = WorkDir::create().unwrap();
        let program = in_path("dumpcap").unwrap();
        let mut command = bed.router().namespace.command(&program).unwrap();
        let filter = format!("udp and ether src 02:77:00:00:00:{:02x}", bed.node().mac[5]);
        command.args(["-q", "-i", "eth0", "-f", &filter, "-w"]).arg(directory.file("packets"));
        let process = Process::spawn("dumpcap", command, &directory.file("log")).unwrap();
        let capturing = || process.last_lines(9).iter().any(|line| line.contains("File:")).then_some(());
        wait(|| format!("capturing: {:?}", process.last_lines(9)), SOON, capturing);
        Self { process, directory }
    }

    fn stop(mut self) -> Vec<BTreeMap<&'static str, String>> {
        // dumpcap collects for a while before it writes.
        std::thread::sleep(Duration::from_secs(1));
        self.process.term().unwrap();
        self.process.wait(SOON).unwrap().unwrap();
        let mut command = std::process::Command::new(in_path("tshark").unwrap());
        command.arg("-r").arg(self.directory.file("packets")).args(["-T", "fields"]);
        command.args(FIELDS.iter().flat_map(|field| ["-e", field]));
        let output = command.output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let row = |line: &str| FIELDS.into_iter().zip(line.split('\t').map(str::to_owned)).collect();
        text.lines().map(row).collect()
    }
}

fn packets_are_as_the_rfcs_want_them() {
    let bed = Bed::new();
    let capture = Capture::start(&bed);
    let peer = start(bed.router());
    let mut sessions = Vec::new();
    for family in Family::ALL {
        sessions.push(bed.session(family, timers(100, 100, 3)));
        sessions.push(peer.add(towards_the_node(&bed, family)).unwrap());
    }
    for session in &sessions {
        wait_up(session);
    }
    let packets = capture.stop();
    assert!(packets.len() >= 6, "{packets:#?}");
    let mut ports: BTreeMap<&str, BTreeSet<u16>> = BTreeMap::new();
    for packet in &packets {
        let facts = ["udp.dstport", "bfd.version", "bfd.message_length", "bfd.required_min_echo_interval"];
        assert_eq!(facts.map(|field| packet[field].as_str()), ["3784", "1", "24", "0"], "{packet:#?}");
        let [ttl, class] = match packet["ip.ttl"].as_str() {
            "" => ["ipv6.hlim", "ipv6.tclass"],
            _ => ["ip.ttl", "ip.dsfield"],
        };
        assert_eq!([packet[ttl].as_str(), packet["_ws.malformed"].as_str()], ["255", ""], "{packet:#?}");
        assert!(packet[class].ends_with("c0"), "{packet:#?}");
        let session = packet["bfd.my_discriminator"].as_str();
        ports.entry(session).or_default().insert(packet["udp.srcport"].parse().unwrap());
    }
    assert_eq!(ports.len(), 3, "{ports:?}");
    let all: BTreeSet<u16> = ports.values().flatten().copied().collect();
    assert!(all.len() == 3 && all.iter().all(|&port| port >= 49152), "one for each session: {ports:?}");
}

/// RFC 5880 §6.8.16: "for at least a Detection Time".
fn a_removed_session_says_admin_down() {
    let bed = Bed::new();
    let peer = start(bed.router());
    let other = peer.add(towards_the_node(&bed, Family::V4)).unwrap();
    let session = bed.session(Family::V4, timers(100, 100, 2));
    wait_up(&session);
    wait_up(&other);
    let capture = Capture::start(&bed);
    drop(session);
    let told = |report: &vipcast::bfd::Report| report.status.remote_state == State::AdminDown;
    let report = wait_report("the other side knows", &other.reports(), told);
    assert_eq!((report.status.state, report.status.failures), (State::Down, 0));
    // Two intervals of a second: the slow rate, as the session is not Up.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let Bed { bfd, lan: _lan } = bed;
    runtime.block_on(bfd.shutdown(SOON));
    let packets = capture.stop();
    let last: Vec<&str> = packets.iter().rev().map(|packet| packet["bfd.sta"].as_str()).take(3).collect();
    let admin_down = last.iter().filter(|state| **state == "0x00" || **state == "0x0000").count();
    assert!(admin_down >= 2, "{packets:#?}");
}
