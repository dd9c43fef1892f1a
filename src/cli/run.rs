//! `vipcast run`: the daemon.

use std::process::ExitCode;

use clap::Args;
use tracing::{error, info};

use crate::app::{self, Ending, Reload};
use crate::cli::version;
use crate::config::{self, LogFormat, Resolved};
use crate::drain::Drain;
use crate::log;

/// The flags of `vipcast run`.
#[derive(Args, Clone, Debug)]
pub struct RunArgs {
    /// All settings.
    #[command(flatten)]
    pub settings: config::RunArgs,
}

/// Runs until SIGTERM or SIGINT. Exit code 0: stopped in order; 1: something broke; 2: the configuration is wrong.
#[must_use]
pub fn run(args: &RunArgs) -> ExitCode {
    let resolved = match config::load(&args.settings.flags) {
        Ok(resolved) => resolved,
        Err(problems) => {
            eprintln!("{problems}");
            return ExitCode::from(WRONG_CONFIGURATION);
        }
    };
    let level = resolved.config.log.level.to_string();
    if let Err(error) = log::init(&level, format(resolved.config.log.format)) {
        eprintln!("vipcast: {error}");
        return ExitCode::FAILURE;
    }
    greet(&resolved);
    let flags = args.settings.flags.clone();
    match serve(resolved, flags) {
        Ok(Ending::Orderly) => ExitCode::SUCCESS,
        Ok(Ending::Forced | Ending::Broken) => ExitCode::FAILURE,
        Err(error) => {
            error!(error = format!("{error:#}"), "cannot run");
            ExitCode::FAILURE
        }
    }
}

fn format(format: LogFormat) -> log::Format {
    match format {
        LogFormat::Text => log::Format::Text,
        LogFormat::Json => log::Format::Json,
    }
}

fn greet(resolved: &Resolved) {
    let config = &resolved.config;
    info!(
        version = version::VERSION,
        revision = version::REVISION,
        node = config.node_name,
        "vipcast starts"
    );
    resolved.notices.iter().for_each(log::notice);
}

/// One thread: everything here waits, and nothing computes for long.
fn serve(resolved: Resolved, flags: config::Flags) -> anyhow::Result<Ending> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let ending = runtime.block_on(async {
        let (_trigger, drain) = Drain::listen()?;
        let reload = Reload {
            file: config::config_file(&flags),
            hangups: drain.hangups(),
            load: Box::new(move || reread(&flags)),
            in_force: resolved.sources,
            notices: resolved.notices,
        };
        app::run(resolved.config, drain, Some(reload)).await
    });
    // A name that is still being looked up, or a client that hangs, does not keep us.
    runtime.shutdown_background();
    ending
}

/// As at the start.
fn reread(flags: &config::Flags) -> Result<Resolved, String> {
    config::load(flags).map_err(|problems| problems.to_string())
}

const WRONG_CONFIGURATION: u8 = 2;
