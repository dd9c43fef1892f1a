//! The container image: the same bytes wherever it is packed, no more in it than one program, and small.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};
use tempfile::TempDir;

#[test]
fn the_image_is_the_same_wherever_and_whenever_it_is_packed() {
    let (one, other) = (checkout("a"), checkout("quite/another/folder"));
    let earlier = pack(&one, "a", &program("a")).1;
    // Files of another age, too.
    let licence =
        fs::File::options().append(true).open(other.path().join("quite/another/folder/LICENSE")).unwrap();
    licence.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
    assert_eq!(earlier, pack(&other, "quite/another/folder", &program("a")).1);
    assert_ne!(earlier, pack(&one, "a", &program("another")).1);
}

#[test]
fn the_image_holds_a_program_and_its_licence_and_says_so() {
    let folder = checkout("a");
    let (output, _) = pack(&folder, "a", &program("a"));
    let archive = folder.path().join("a/image.tar");
    let manifest = json_in(&archive, "manifest.json");
    let config = manifest[0]["Config"].as_str().unwrap();
    let layer = manifest[0]["Layers"][0].as_str().unwrap();
    let (reference, digest) =
        (manifest[0]["RepoTags"][0].as_str().unwrap(), config.trim_end_matches(".json"));
    assert_eq!(reference, format!("ghcr.io/vipcast/vipcast:{}", env!("CARGO_PKG_VERSION")));
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(told.starts_with(&format!("{reference} sha256:{digest} ")), "{told}");

    let image = json_in(&archive, config);
    assert_eq!(image["created"], "2026-01-01T00:00:00Z");
    assert_eq!(image["config"]["Entrypoint"], json!(["/vipcast"]));
    assert_eq!(image["config"]["Cmd"], json!(["run"]));
    assert_eq!(image["config"]["Labels"]["org.opencontainers.image.licenses"], "Apache-2.0");
    assert_eq!(image["config"]["Labels"]["org.opencontainers.image.revision"], "unknown");

    let inner = folder.path().join("layer.tar");
    fs::write(&inner, extract(&archive, layer)).unwrap();
    let listing =
        Command::new("tar").args(["--numeric-owner", "-tvf"]).arg(&inner).env("TZ", "UTC").output().unwrap();
    let listing = String::from_utf8(listing.stdout).unwrap();
    let words: Vec<Vec<&str>> = listing.lines().map(|line| line.split_whitespace().collect()).collect();
    let entries: Vec<(&str, &str, &str)> = words.iter().map(|line| (line[0], line[1], line[5])).collect();
    assert_eq!(entries, [("-rw-r--r--", "0/0", "LICENSE"), ("-rwxr-xr-x", "0/0", "vipcast")]);
}

#[test]
fn an_image_of_more_than_ten_megabytes_is_refused() {
    let folder = checkout("a");
    let output = run(&folder, "a", &[program("a"), vec![0; 10_000_000]].concat());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("at most 10000000"), "{said}");
}

#[test]
fn what_is_no_program_or_one_for_another_machine_is_refused() {
    let folder = checkout("a");
    for (bytes, words) in [
        (b"a text".to_vec(), "is no program for Linux"),
        (program("a"), "is for x86_64, and not for aarch64"),
    ] {
        let output = run_with(&folder, "a", &bytes, &["--target", "aarch64-unknown-linux-gnu"]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains(words), "{said}");
    }
}

#[test]
fn the_containerfile_says_what_the_small_tool_packs() {
    let containerfile = fs::read_to_string(root().join("Containerfile")).unwrap();
    for line in ["FROM scratch", "/vipcast", "/LICENSE", "ENTRYPOINT [\"/vipcast\"]", "CMD [\"run\"]"] {
        assert!(containerfile.contains(line), "{line}");
    }
    assert!(!containerfile.contains("\nRUN "), "nothing can run in an empty image");
}

/// What looks like a program for x86_64, as far as its header goes.
fn program(text: &str) -> Vec<u8> {
    let mut bytes = b"\x7fELF".to_vec();
    bytes.resize(18, 0);
    bytes.extend([0x3e, 0]);
    bytes.extend(text.as_bytes());
    bytes
}

/// As much of a checkout as packing needs.
fn checkout(name: &str) -> TempDir {
    let folder = TempDir::with_prefix("vipcast-image-").unwrap();
    let copy = folder.path().join(name);
    fs::create_dir_all(copy.join("tools/lib")).unwrap();
    for file in ["tools/image", "tools/lib/archive.sh", "LICENSE", "Cargo.toml"] {
        fs::copy(root().join(file), copy.join(file)).unwrap();
    }
    folder
}

/// What was printed, and the archive.
fn pack(folder: &TempDir, name: &str, program: &[u8]) -> (Output, Vec<u8>) {
    let output = run(folder, name, program);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    (output, fs::read(folder.path().join(name).join("image.tar")).unwrap())
}

fn run(folder: &TempDir, name: &str, program: &[u8]) -> Output {
    run_with(folder, name, program, &[])
}

fn run_with(folder: &TempDir, name: &str, program: &[u8], more: &[&str]) -> Output {
    let copy = folder.path().join(name);
    fs::write(copy.join("program"), program).unwrap();
    let mut command = Command::new(copy.join("tools/image"));
    command
        .args(["--builder", "tar", "--binary", "program", "-o", "image.tar"])
        .args(more)
        .current_dir(&copy);
    // Many a build sets the latter two, for something else.
    command
        .env("SOURCE_DATE_EPOCH", "1767225600")
        .env("VERSION", "9")
        .env("REVISION", "0123abc")
        .output()
        .unwrap()
}

fn json_in(archive: &Path, name: &str) -> Value {
    serde_json::from_slice(&extract(archive, name)).unwrap()
}

fn extract(archive: &Path, name: &str) -> Vec<u8> {
    let output = Command::new("tar").arg("-xOf").arg(archive).arg(name).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
