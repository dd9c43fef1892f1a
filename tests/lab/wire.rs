//! What is on the wire: recorded by dumpcap in a host's namespace, decoded by tshark.

use std::path::PathBuf;
use std::process::Command;
use std::time::UNIX_EPOCH;

use vipcast::clock;
use vipcast::demo::lab::lan::{Host, Mac};
use vipcast::demo::lab::process::Process;
use vipcast::demo::lab::work_dir::WorkDir;

use super::bed::{SOON, wait};
use super::support::in_path;

/// A recording under way.
pub(crate) struct Recording {
    process: Process,
    file: PathBuf,
}

/// A frame as tshark sees it, by the fields that were asked for.
pub(crate) type Fields = Vec<String>;

impl Recording {
    /// Begins to record ARP and ICMPv6 on the LAN that `host` is on.
    pub(crate) fn start(host: &Host, directory: &WorkDir) -> Self {
        let (file, log) = (directory.file("wire.pcapng"), directory.file("dumpcap.log"));
        let mut command = host.namespace.command(&in_path("dumpcap").unwrap()).unwrap();
        command.args(["-q", "-i", "eth0", "-f", "arp or icmp6", "-w"]).arg(&file);
        let process = Process::spawn("dumpcap", command, &log).unwrap();
        // It says so once its socket is open and the file is there.
        wait("dumpcap records", SOON, || {
            process.last_lines(9).iter().any(|line| line.starts_with("File: ")).then_some(())
        });
        Self { process, file }
    }

    /// Ends it.
    pub(crate) fn stop(mut self) -> Recorded {
        self.process.term().unwrap();
        self.process.wait(SOON).unwrap().expect("dumpcap ends");
        Recorded { file: self.file }
    }
}

/// A recording that is complete.
pub(crate) struct Recorded {
    file: PathBuf,
}

impl Recorded {
    /// The frames that pass tshark's display `filter`, in order: seconds since the epoch, source MAC, and `fields`.
    pub(crate) fn frames(&self, filter: &str, fields: &[&str]) -> Vec<(f64, String, Fields)> {
        let mut command = Command::new(in_path("tshark").unwrap());
        command.arg("-r").arg(&self.file).args(["-n", "-Y", filter, "-T", "fields"]);
        for field in ["frame.time_epoch", "eth.src"].iter().chain(fields) {
            command.args(["-e", field]);
        }
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().lines().map(frame).collect()
    }
}

fn frame(line: &str) -> (f64, String, Fields) {
    let mut fields = line.split('\t').map(str::to_owned);
    let at = fields.next().unwrap().parse().unwrap();
    (at, fields.next().unwrap(), fields.collect())
}

/// Now, on the clock of the recordings.
pub(crate) fn epoch() -> f64 {
    clock::wall().duration_since(UNIX_EPOCH).unwrap().as_secs_f64()
}

/// As tshark writes it.
pub(crate) fn text(mac: Mac) -> String {
    mac.map(|byte| format!("{byte:02x}")).join(":")
}
