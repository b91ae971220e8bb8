//! `callback-server`: see `callback-server --help`.

use std::{
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

use clap::{Parser, Subcommand};
use hubkey_callback_server::{
    run,
    settings::{self, Settings},
};
use hubkey_service::{lifecycle::install_crypto_provider, ops, telemetry};

/// hubkey's pages: the only part of hubkey that browsers reach.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The settings file (TOML); HUBKEY_* environment variables win over it
    #[arg(long, env = settings::FILE_VARIABLE, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Run the server (also without a command)
    Serve,
    /// Read the settings, tell every mistake, and end
    CheckConfig,
    /// Ask the running server on its ops port whether it lives
    Health,
    /// Print the reference of all settings, as Markdown
    Reference,
}

fn main() -> ExitCode {
    install_crypto_provider();
    match obey(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The cause may be worth more than the error; both are sentences.
            let _ = writeln!(io::stderr(), "callback-server: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn obey(arguments: Arguments) -> anyhow::Result<()> {
    let load = || Settings::load(arguments.config.as_deref());
    match arguments.command.unwrap_or(Command::Serve) {
        Command::Serve => serve(load()?),
        Command::CheckConfig => {
            load()?;
            telemetry::traces::check_trace_settings()?;
            say("The settings are complete and fit together.\n")
        }
        Command::Health => {
            ask_health(&load()?)?;
            say("ok\n")
        }
        Command::Reference => say(&settings::reference()),
    }
}

#[tokio::main]
async fn serve(settings: Settings) -> anyhow::Result<()> {
    let telemetry = telemetry::start(&settings.log, "hubkey-callback-server")?;
    let outcome = run(settings).await;
    telemetry.finish().await;
    outcome
}

#[tokio::main(flavor = "current_thread")]
async fn ask_health(settings: &Settings) -> anyhow::Result<()> {
    Ok(ops::ask(settings.ops.listen, "/healthz").await?)
}

fn say(text: &str) -> anyhow::Result<()> {
    Ok(io::stdout().write_all(text.as_bytes())?)
}
