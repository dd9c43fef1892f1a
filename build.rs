//! What the linker leaves out of the program: relocations one by one, and how to unwind the stack.

use std::path::Path;
use std::process::Command;
use std::{env, fs};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // Nearly half a megabyte: a static program is loaded anywhere, and moves all its pointers itself (since glibc 2.36).
    if env::var("TARGET") == env::var("HOST") && glibc().is_some_and(|version| version >= (2, 36)) {
        link("-z,pack-relative-relocs");
    }
    if env::var("PROFILE").is_ok_and(|profile| profile == "release") {
        leave_out_unwinding();
    }
}

/// One and a half megabytes. A release aborts where it panics, says where, and has no names for a backtrace.
fn leave_out_unwinding() {
    let Some(folder) = env::var_os("OUT_DIR") else { return };
    let script = Path::new(&folder).join("no-unwinding.ld");
    if fs::write(&script, NO_UNWINDING).is_ok() {
        link("--no-eh-frame-hdr");
        link(&format!("-T,{}", script.display()));
    }
}

fn link(argument: &str) {
    println!("cargo::rustc-link-arg-bin=vipcast=-Wl,{argument}");
}

/// The version of the C library on this machine, which is the one that is linked.
fn glibc() -> Option<(u32, u32)> {
    let said = Command::new("getconf").arg("GNU_LIBC_VERSION").output().ok()?.stdout;
    let said = String::from_utf8(said).ok()?;
    let (major, minor) = said.trim().strip_prefix("glibc ")?.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// Beside the linker's own script.
const NO_UNWINDING: &str = "SECTIONS { /DISCARD/ : { *(.eh_frame .gcc_except_table .gcc_except_table.*) } }
INSERT AFTER .rodata;
";
