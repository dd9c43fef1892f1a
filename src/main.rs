//! The `vipcast` program: see `vipcast --help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    vipcast::cli::main()
}
