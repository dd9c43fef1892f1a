//! `vipcast config`: what is in effect and where it came from, the schema, the documentation.

use std::process::ExitCode;

use clap::{Args, ValueEnum};

use crate::config::{self, RunArgs, print};

/// The flags of `vipcast config`: those of `vipcast run`, and how to print.
#[derive(Args, Clone, Debug)]
pub struct ConfigArgs {
    /// The same inputs as `run`.
    #[command(flatten)]
    pub run: RunArgs,
    /// Form of the output.
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    pub output: Output,
    /// Print the JSON schema of the configuration file.
    #[arg(long, conflicts_with = "markdown")]
    pub schema: bool,
    /// Print the documentation of every setting.
    #[arg(long, hide = true)]
    pub markdown: bool,
}

/// Form of the output.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Output {
    /// For people.
    Table,
    /// For programs.
    Json,
    /// As a configuration file, with every source as a comment.
    Yaml,
}

/// Prints what was asked for. Exit code 2: the configuration is wrong.
#[must_use]
pub fn run(args: &ConfigArgs) -> ExitCode {
    if args.schema || args.markdown {
        write(&if args.schema { print::schema() } else { print::markdown() });
        return ExitCode::SUCCESS;
    }
    match config::load(&args.run.flags) {
        Ok(resolved) => {
            for notice in &resolved.notices {
                eprintln!("{notice}");
            }
            write(&match args.output {
                Output::Table => print::table(&resolved.sources) + "\n",
                Output::Json => print::json(&resolved.sources) + "\n",
                Output::Yaml => print::yaml(&resolved.sources),
            });
            ExitCode::SUCCESS
        }
        Err(problems) => {
            eprintln!("{problems}");
            ExitCode::from(2)
        }
    }
}

/// A reader that has gone away, such as `head`, is no reason to panic.
fn write(text: &str) {
    use std::io::Write;
    let _ = std::io::stdout().write_all(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use clap::{Command, FromArgMatches};

    use super::*;

    #[test]
    fn the_flags_of_run_and_of_printing_go_together() {
        let command = ConfigArgs::augment_args(Command::new("config"));
        command.clone().debug_assert();
        let matches = command.get_matches_from(["config", "-o", "json", "--arp", "-n", "vips"]);
        let args = ConfigArgs::from_arg_matches(&matches).unwrap();
        let given = [("arp", "true"), ("namespace", "vips")];
        let given = given.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!((args.output, args.run.flags), (Output::Json, config::Flags(given.to_vec())));
    }
}
