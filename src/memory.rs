//! Memory that is not used any more goes back to the kernel.

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

#[cfg(target_env = "gnu")]
#[cfg(test)]
mod tests {
    use std::fs;
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
}
