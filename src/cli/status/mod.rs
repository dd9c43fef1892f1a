//! `vipcast status`: what the daemon on this node says about itself.

pub(super) mod span;
mod table;

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::answer::complaint;
use crate::admin::DEFAULT_SOCKET;
use crate::admin::client::{self, ClientError};
use crate::admin::status::Status;
use crate::clock;

/// The flags of `vipcast status`.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXIT_CODES)]
pub struct StatusArgs {
    /// Form of the output.
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    pub output: Output,
    /// Unix socket of the daemon.
    #[arg(long, value_name = "PATH", default_value = DEFAULT_SOCKET)]
    pub socket: PathBuf,
    /// Ask again every second and show what changed, until interrupted.
    #[arg(short, long)]
    pub watch: bool,
}

/// Form of the output.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Output {
    /// One line per VIP.
    Table,
    /// The same with more columns, and everything about the node.
    Wide,
    /// The daemon's answer.
    Json,
    /// The daemon's answer as YAML.
    Yaml,
}

/// What the exit code says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// Nothing needs attention.
    Fine,
    /// The daemon does not answer.
    Unreachable,
    /// The daemon reports a problem.
    Degraded,
}

/// Runs the command. The exit codes are in the help.
#[must_use]
pub fn run(args: &StatusArgs) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("vipcast status: {error}");
            return Verdict::Unreachable.into();
        }
    };
    runtime.block_on(async {
        if args.watch {
            return watch(args).await.into();
        }
        show(args, &mut io::stdout(), &mut io::stderr()).await.into()
    })
}

/// Asks once and prints the answer, or why there is none.
pub async fn show(args: &StatusArgs, out: &mut impl Write, err: &mut impl Write) -> Verdict {
    let answer = client::status(&args.socket).await;
    let (text, verdict) = report(args.output, &answer);
    let printed = if verdict == Verdict::Unreachable { write!(err, "{text}") } else { write!(out, "{text}") };
    // A reader that has gone away, such as `head`, is no reason to complain.
    drop(printed);
    verdict
}

/// Ends only when nobody reads any more.
async fn watch(args: &StatusArgs) -> Verdict {
    let mut out = io::stdout();
    let clear = if out.is_terminal() { CLEAR } else { "" };
    let mut last = String::new();
    loop {
        let (text, verdict) = report(args.output, &client::status(&args.socket).await);
        if text != last && write!(out, "{clear}{text}").and_then(|()| out.flush()).is_err() {
            return verdict;
        }
        last = text;
        clock::pause(WATCH_PERIOD).await;
    }
}

fn report(output: Output, answer: &Result<Status, ClientError>) -> (String, Verdict) {
    match answer {
        Err(error) => (complaint("status", error) + "\n", Verdict::Unreachable),
        Ok(status) if status.problems().is_empty() => (render(output, status), Verdict::Fine),
        Ok(status) => (render(output, status), Verdict::Degraded),
    }
}

fn render(output: Output, status: &Status) -> String {
    match output {
        Output::Table => table::short(status),
        Output::Wide => table::wide(status),
        Output::Json => serde_json::to_string_pretty(status).unwrap_or_default() + "\n",
        Output::Yaml => serde_saphyr::to_string(status).unwrap_or_default(),
    }
}

impl From<Verdict> for ExitCode {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Fine => Self::SUCCESS,
            Verdict::Unreachable => Self::FAILURE,
            Verdict::Degraded => Self::from(DEGRADED),
        }
    }
}

/// 2 is taken by wrong usage.
const DEGRADED: u8 = 3;

const EXIT_CODES: &str = "\
Exit codes:
  0  all is well
  1  the daemon does not answer
  2  wrong usage
  3  the daemon answers and reports a problem";

const CLEAR: &str = "\x1b[H\x1b[2J";
const WATCH_PERIOD: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests;
