//! The commands of a README, as they stand there.

use std::fs;
use std::path::{Path, PathBuf};

/// Where a block of commands can run: what stands after `sh` at its fence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Anywhere: ```` ```sh ````.
    Anywhere,
    /// Only with a cluster: ```` ```sh cluster ````.
    Cluster,
}

/// A block of commands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// Where it can run.
    pub place: Place,
    /// The commands, line by line.
    pub commands: String,
}

/// The blocks of a README in its order.
pub fn blocks(readme: &Path) -> Vec<Block> {
    let text = fs::read_to_string(readme).expect("the README can be read");
    let mut blocks = Vec::new();
    let mut open: Option<Option<Block>> = None;
    for line in text.lines() {
        match (line.strip_prefix("```"), &mut open) {
            (Some(_), Some(_)) => blocks.extend(open.take().flatten()),
            (Some(info), None) => open = Some(block(info, readme)),
            (None, Some(Some(block))) => block.commands += &format!("{line}\n"),
            (None, Some(None) | None) => {}
        }
    }
    assert_eq!(open, None, "{}: a block is not closed", readme.display());
    blocks
}

/// One script of all blocks for a place. It ends with the first command that fails.
pub fn script(readme: &Path, place: Place) -> String {
    let blocks = blocks(readme).into_iter().filter(|block| block.place == place);
    blocks.fold("set -eu\n".to_owned(), |script, block| script + &block.commands)
}

/// Copies a folder and everything in it.
pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder can be made");
    for entry in fs::read_dir(from).expect("the folder can be read") {
        let path = entry.expect("the folder can be read").path();
        let target = to.join(path.file_name().expect("an entry has a name"));
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).expect("a file can be copied");
        }
    }
}

/// Every file below a folder, relative to it, sorted.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).expect("the folder can be read") {
            let path = entry.expect("the folder can be read").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(path.strip_prefix(folder).expect("is below it").to_owned());
            }
        }
    }
    found.sort();
    found
}

fn block(info: &str, readme: &Path) -> Option<Block> {
    let place = match info.trim() {
        "sh" => Place::Anywhere,
        "sh cluster" => Place::Cluster,
        other => {
            assert!(!other.starts_with("sh"), "{}: nobody runs a block {other:?}", readme.display());
            return None;
        }
    };
    Some(Block { place, commands: String::new() })
}
