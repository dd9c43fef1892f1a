//! What subcommands have in common that ask the daemon: form, place and exit code of an answer.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use comfy_table::Table;
use comfy_table::presets::NOTHING;
use serde::Serialize;

use crate::admin::DEFAULT_SOCKET;
use crate::admin::client::ClientError;

/// Form and place of an answer.
#[derive(Args, Clone, Debug)]
pub struct AnswerArgs {
    /// Form of the output.
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    pub output: Output,
    /// Unix socket of the daemon.
    #[arg(long, value_name = "PATH", default_value = DEFAULT_SOCKET)]
    pub socket: PathBuf,
}

/// Form of the output.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Output {
    /// For people.
    Table,
    /// The same with more columns.
    Wide,
    /// The daemon's answer.
    Json,
    /// The daemon's answer as YAML.
    Yaml,
}

/// What the exit code says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Verdict {
    /// Everything is as it should be.
    Fine,
    /// There is no answer.
    Unreachable,
    /// Something is not.
    Degraded,
}

/// Prints the answer, or why there is none.
pub(super) fn show<T: Serialize>(
    command: &str,
    output: Output,
    answer: Result<T, ClientError>,
    table: impl Fn(&T, bool) -> String,
    verdict: impl Fn(&T) -> Verdict,
) -> Verdict {
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => {
            eprintln!("vipcast {command}: {error}");
            return Verdict::Unreachable;
        }
    };
    let text = match output {
        Output::Table => table(&answer, false),
        Output::Wide => table(&answer, true),
        Output::Json => serde_json::to_string_pretty(&answer).unwrap_or_default() + "\n",
        Output::Yaml => serde_saphyr::to_string(&answer).unwrap_or_default(),
    };
    // A reader that has gone away, such as `head`, is no reason to complain.
    drop(io::stdout().write_all(text.as_bytes()));
    verdict(&answer)
}

pub(super) fn block_on(answer: impl Future<Output = Verdict>) -> ExitCode {
    let verdict = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(answer),
        Err(error) => {
            eprintln!("vipcast: {error}");
            Verdict::Unreachable
        }
    };
    match verdict {
        Verdict::Fine => ExitCode::SUCCESS,
        Verdict::Unreachable => ExitCode::FAILURE,
        Verdict::Degraded => ExitCode::from(DEGRADED),
    }
}

/// As part of a path: names of peers have colons, brackets and percent signs in them.
pub(super) fn escaped(name: &str) -> String {
    let keep = |octet: &u8| octet.is_ascii_alphanumeric() || matches!(octet, b'.' | b'-' | b'_' | b':');
    let octets = name.bytes().map(|octet| match keep(&octet) {
        true => char::from(octet).to_string(),
        false => format!("%{octet:02X}"),
    });
    octets.collect()
}

/// A table without lines.
pub(super) fn bare(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING).set_header(header.to_vec());
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table
}

/// What stands where there is nothing.
pub(super) fn none() -> String {
    "-".into()
}

/// 2 is taken by wrong usage.
const DEGRADED: u8 = 3;
