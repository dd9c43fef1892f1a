//! Which life of this node this process is.

use std::fs;

use vipcast_proto::placement::Life;

/// The boot that the kernel names, and a number for this process: in containers they all have the same id. Without the
/// first, whatever this process leaves behind is another machine's to the next, which waits for it to be past.
#[must_use]
pub fn life() -> Life {
    let boot = fs::read_to_string(BOOT_ID).ok().and_then(|text| parse(&text));
    Life { boot: boot.unwrap_or_else(|| fastrand::u128(..)), process: fastrand::u64(..) }
}

fn parse(text: &str) -> Option<u128> {
    let digits: String = text.trim().chars().filter(|&character| character != '-').collect();
    u128::from_str_radix(&digits, 16).ok()
}

const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_processes_of_one_boot_differ_in_the_process_only() {
        let (one, two) = (life(), life());
        assert_eq!((one.boot == two.boot, one.process == two.process), (true, false));
        let id = "2f4c1f0e-7d6a-4b3c-9d2e-1a0b9c8d7e6f\n";
        assert_eq!(parse(id), Some(0x2f4c_1f0e_7d6a_4b3c_9d2e_1a0b_9c8d_7e6f));
    }
}
