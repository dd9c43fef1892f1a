//! The program file: how large, and whether it needs anything else.

use std::fs;

use anyhow::Context as _;

use crate::Plan;
use crate::figure::Figure;

pub(super) fn measure(plan: &Plan) -> anyhow::Result<Vec<Figure>> {
    let file = fs::read(&plan.daemon)?;
    let megabytes = file.len() as f64 / 1e6;
    let needs = segments(&file).context("not a 64-bit ELF program")?.contains(&INTERPRETER);
    Ok(vec![
        Figure::new(OF, "size, stripped", megabytes, "MB").at_most(10.0).kube_vip("61 MB"),
        Figure::count(OF, "dynamic loaders needed", usize::from(needs)).at_most(0.0),
    ])
}

/// The types of the program headers (`Elf64_Phdr.p_type`), little endian.
fn segments(file: &[u8]) -> Option<Vec<u32>> {
    let short = |at: usize| Some(usize::from(u16::from_le_bytes(*file.get(at..)?.first_chunk()?)));
    let word = |at: usize| Some(u32::from_le_bytes(*file.get(at..)?.first_chunk()?));
    let table = usize::try_from(u64::from_le_bytes(*file.get(32..)?.first_chunk()?)).ok()?;
    let (size, count) = (short(54)?, short(56)?);
    (0..count).map(|number| word(table + number * size)).collect()
}

/// `PT_INTERP`
const INTERPRETER: u32 = 3;
const OF: &str = "binary";
