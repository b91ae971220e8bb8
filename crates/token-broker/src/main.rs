//! `token-broker`: see `token-broker --help`.

use std::{
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

use clap::{Parser, Subcommand};
use hubkey_service::{lifecycle::install_crypto_provider, telemetry};
use hubkey_token_broker::{app, keys, routes, settings, settings::Settings};

/// hubkey's broker: gives the kernels of a JupyterHub the access tokens of the person in front of them.
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
    /// Run the broker (also without a command)
    Serve,
    /// Read the settings, tell every mistake, and end
    CheckConfig,
    /// Ask the running broker on its ops port whether it lives
    Health,
    /// Make a file of 32 random bytes for `keys.sealing_files` or `keys.index_file`
    GenerateKey {
        /// The file; it must not exist yet
        path: PathBuf,
        /// Leave an existing file as it is, and succeed
        #[arg(long)]
        if_missing: bool,
    },
    /// Print the reference of all settings, as Markdown
    Reference,
    /// Print the OpenAPI document of the kernel API
    Openapi,
}

fn main() -> ExitCode {
    install_crypto_provider();
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The cause may be worth more than the error; both are sentences.
            let _ = writeln!(io::stderr(), "token-broker: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> anyhow::Result<()> {
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
        Command::GenerateKey { path, if_missing } if if_missing && path.exists() => {
            say(&format!("{} is there already.\n", path.display()))
        }
        Command::GenerateKey { path, .. } => Ok(keys::generate(&path)?),
        Command::Reference => say(&settings::reference()),
        Command::Openapi => say(&routes::document()),
    }
}

#[tokio::main]
async fn serve(settings: Settings) -> anyhow::Result<()> {
    let telemetry = telemetry::start(&settings.log, "hubkey-token-broker")?;
    let outcome = app::run(settings).await;
    telemetry.finish().await;
    outcome
}

#[tokio::main(flavor = "current_thread")]
async fn ask_health(settings: &Settings) -> anyhow::Result<()> {
    Ok(hubkey_service::ops::ask(settings.ops.listen, "/healthz").await?)
}

fn say(text: &str) -> anyhow::Result<()> {
    Ok(io::stdout().write_all(text.as_bytes())?)
}
