//! Packs the relocations of the static program where the C library that is linked into it can unpack them.

use std::env;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // Nearly half a megabyte: a static program is loaded anywhere, and moves all its pointers itself (since glibc 2.36).
    if env::var("TARGET") == env::var("HOST") && glibc().is_some_and(|version| version >= (2, 36)) {
        println!("cargo::rustc-link-arg-bin=vipcast=-Wl,-z,pack-relative-relocs");
    }
}

/// The version of the C library on this machine, which is the one that is linked.
fn glibc() -> Option<(u32, u32)> {
    let said = Command::new("getconf").arg("GNU_LIBC_VERSION").output().ok()?.stdout;
    let said = String::from_utf8(said).ok()?;
    let (major, minor) = said.trim().strip_prefix("glibc ")?.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}
