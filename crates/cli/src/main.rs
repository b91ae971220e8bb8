//! The `hubkey` command as a program of its own.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(hubkey_cli::main(std::env::args_os()))
}
