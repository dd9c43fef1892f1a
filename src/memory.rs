//! Memory that is not used any more goes back to the kernel.

use std::fs;
use std::ops::Range;

/// Gives back what is free in between, too: the allocator by itself only gives back what is free at the end, and a list of
/// thousands of objects leaves holes everywhere.
#[cfg(target_env = "gnu")]
#[expect(unsafe_code, reason = "malloc_trim(3) has no safe wrapper among our dependencies")]
pub fn give_back() {
    // SAFETY: it takes an integer, may be called at any time by any thread, and touches nothing that is in use.
    let _given_back = unsafe { libc::malloc_trim(0) };
}

/// Other C libraries keep no holes, or give no means.
#[cfg(not(target_env = "gnu"))]
pub const fn give_back() {}

/// Unmaps this program's code. What runs is mapped again at once, from the page cache, with its neighbours and without what is
/// never reached any more: reading settings, the first lists, and every other command of the program. `None`: nothing was unmapped.
#[expect(unsafe_code, reason = "madvise(2) has no safe wrapper among our dependencies")]
pub fn forget_code() -> Option<()> {
    let maps = fs::read_to_string("/proc/self/maps").ok()?;
    let code = maps
        .lines()
        .find_map(|line| code(line).filter(|code| code.contains(&(forget_code as *const () as usize))))?;
    // SAFETY: nobody writes to the code, which is a private mapping of the program's file: each of its pages reads the same
    // when it is mapped again.
    let result = unsafe { libc::madvise(code.start as *mut libc::c_void, code.len(), libc::MADV_DONTNEED) };
    (result == 0).then_some(())
}

/// The addresses of a line of proc_pid_maps(5), if it is of code that is nobody else's.
fn code(line: &str) -> Option<Range<usize>> {
    let (range, rest) = line.split_once(' ')?;
    let (start, end) = range.split_once('-')?;
    let hexadecimal = |text| usize::from_str_radix(text, 16).ok();
    rest.starts_with("r-xp ").then_some(hexadecimal(start)?..hexadecimal(end)?)
}

#[cfg(target_env = "gnu")]
#[cfg(test)]
mod tests {
    use std::hint::black_box;

    use super::*;

    fn resident() -> usize {
        let pages = fs::read_to_string("/proc/self/statm").unwrap();
        pages.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
    }

    #[test]
    fn what_lies_between_is_given_back() {
        let mut blocks: Vec<_> = (0..20_000).map(|_| black_box(vec![1_u8; 2000])).collect();
        let full = resident();
        let mut number = 0;
        // Some stay, at the end as well, so that nothing is free there.
        blocks.retain(|_| {
            number += 1;
            number % 10 == 0
        });
        blocks.shrink_to_fit();
        give_back();
        assert!(full - resident() > 20_000_000, "of {full}, {} is left", resident());
        drop(black_box(blocks));
    }
    #[test]
    fn code_that_does_not_run_is_given_back() {
        let status = || {
            let text = fs::read_to_string("/proc/self/status").unwrap();
            let line = text.lines().find_map(|line| line.strip_prefix("RssFile:")).unwrap().to_owned();
            line.trim_end_matches("kB").trim().parse::<u64>().unwrap()
        };
        let before = status();
        forget_code().unwrap();
        let after = status();
        assert!(after + 500 < before, "of {before} kB of files {after} kB are left");
    }

    #[test]
    fn only_code_is_code() {
        let lines = [
            "7f48d26dc000-7f48d2ee4000 r-xp 000db000 fe:00 12 /vipcast",
            "7f48d2ee4000-7f48d2f28000 r--p 008e2000 fe:00 12 /vipcast",
            "7f48d2f28000-7f48d2f2d000 rwxp 00000000 00:00 0",
            "zz-7f48d2f2d000 r-xp 00000000 00:00 0",
            "",
        ];
        assert_eq!(lines.map(code), [Some(0x7f48_d26d_c000..0x7f48_d2ee_4000), None, None, None, None]);
    }
}
