//! What subcommands have in common that ask the daemon: form, place and exit code of an answer.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use comfy_table::Table;
use comfy_table::presets::NOTHING;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::admin::DEFAULT_SOCKET;
use crate::admin::client::ClientError;

/// Form and place of an answer.
#[derive(Args, Clone, Debug)]
pub struct AnswerArgs {
    /// Form of the output.
    #[arg(short, long, value_enum, default_value_t = Output::Table, global = true)]
    pub output: Output,
    /// Unix socket of the daemon.
    #[arg(long, value_name = "PATH", default_value = DEFAULT_SOCKET, global = true)]
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

/// Prints the answer to what was typed after the name of the program, or why there is none.
pub(super) fn show<T: Serialize + DeserializeOwned>(
    command: &str,
    output: Output,
    answer: Result<T, ClientError>,
    table: impl Fn(&T, bool) -> String,
    verdict: impl Fn(&T) -> Verdict,
) -> Verdict {
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => {
            eprintln!("{}", complaint(command, &error));
            return Verdict::Unreachable;
        }
    };
    let text = match output {
        Output::Table => table(printable(&answer).as_ref().unwrap_or(&answer), false),
        Output::Wide => table(printable(&answer).as_ref().unwrap_or(&answer), true),
        Output::Json => serde_json::to_string_pretty(&answer).unwrap_or_default() + "\n",
        Output::Yaml => serde_saphyr::to_string(&answer).unwrap_or_default(),
    };
    // A reader that has gone away, such as `head`, is no reason to complain.
    drop(io::stdout().write_all(text.as_bytes()));
    verdict(&answer)
}

/// A command as it was typed, with its argument, if it had one.
pub(super) fn typed(command: &str, argument: Option<&str>) -> String {
    argument.map_or_else(|| command.to_owned(), |argument| format!("{command} {argument}"))
}

/// Why a command had no answer, and how to have one.
pub(super) fn complaint(command: &str, error: &ClientError) -> String {
    let advice = match error {
        ClientError::Missing(_) => format!("; try `kubectl -n kube-system exec POD -- /vipcast {command}`"),
        ClientError::Forbidden(_)
        | ClientError::Dead(_)
        | ClientError::Silent(_)
        | ClientError::Broken { .. }
        | ClientError::Refused(_)
        | ClientError::Foreign { .. } => String::new(),
    };
    format!("vipcast {command}: {error}{advice}")
}

/// The same, with nothing in its texts that a terminal would obey, and no text that fills it: users of the cluster write
/// them. `None`: it is of a form that does not come back.
fn printable<T: Serialize + DeserializeOwned>(answer: &T) -> Option<T> {
    let mut value = serde_json::to_value(answer).ok()?;
    make_printable(&mut value);
    serde_json::from_value(value).ok()
}

fn make_printable(value: &mut Value) {
    match value {
        Value::String(text) => {
            let mut plain: String = text.chars().take(LONGEST).flat_map(one_printable).collect();
            if text.chars().nth(LONGEST).is_some() {
                plain.push('…');
            }
            *text = plain;
        }
        Value::Array(values) => values.iter_mut().for_each(make_printable),
        Value::Object(fields) => fields.values_mut().for_each(make_printable),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn one_printable(letter: char) -> Vec<char> {
    if letter.is_control() { letter.escape_default().collect() } else { vec![letter] }
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

/// As long as a text may be in a table; JSON and YAML have all of it.
const LONGEST: usize = 400;
/// 2 is taken by wrong usage.
const DEGRADED: u8 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_finds_no_socket_is_told_what_to_type_instead() {
        let missing = ClientError::Missing("/run/s".into());
        let expected = "vipcast explain service web/shop: no socket at /run/s: vipcast does not run on this node, or it runs \
                        in a pod that does not share the directory; try `kubectl -n kube-system exec POD -- /vipcast explain \
                        service web/shop`";
        assert_eq!(complaint("explain service web/shop", &missing), expected);
        let dead = ClientError::Dead("/run/s".into());
        assert_eq!(complaint("pools", &dead), format!("vipcast pools: {dead}"));
    }

    #[test]
    fn texts_of_users_neither_move_the_cursor_nor_fill_the_screen() {
        let answer = vec!["a\u{1b}[2J\nb".to_owned(), "é".repeat(LONGEST + 1), "plain".to_owned()];
        let plain = printable(&answer).unwrap();
        assert_eq!(plain, ["a\\u{1b}[2J\\nb".to_owned(), "é".repeat(LONGEST) + "…", "plain".to_owned()]);
    }
}
