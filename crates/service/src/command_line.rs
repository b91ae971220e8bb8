//! The command line that both programs share: run, check the settings, ask for health, print the reference.
//!
//! A program gives its settings by [`Program`] and flattens [`SharedOptions`] and [`SharedCommand`] into its own
//! arguments.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::lifecycle::{install_crypto_provider, raise_open_files};
use crate::ops;
use crate::settings::{ConfigErrors, FILE_VARIABLE, LogSettings, OpsSettings};
use crate::telemetry::{self, traces};

/// What both programs take before any command.
#[derive(Debug, Args)]
pub struct SharedOptions {
    /// The settings file (TOML); HUBKEY_* environment variables win over it
    #[arg(long, env = FILE_VARIABLE, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
}

/// The commands of both programs.
#[derive(Debug, Default, Subcommand)]
pub enum SharedCommand {
    /// Run the server (also without a command)
    #[default]
    Serve,
    /// Read the settings, tell every mistake, and end
    CheckConfig,
    /// Ask the running server on its ops port whether it lives
    Health,
    /// Print the reference of all settings, as Markdown
    Reference,
}

/// One program.
pub trait Program {
    /// Its name on the command line.
    const NAME: &'static str;
    /// Its name in traces, unless the operator gives another.
    const SERVICE: &'static str;
    /// What its operator sets.
    type Settings;

    /// Reads the settings, and reports every mistake at once.
    fn load(file: Option<&Path>) -> Result<Self::Settings, ConfigErrors>;
    /// The reference of all settings, as Markdown.
    fn reference() -> String;
    /// How it logs.
    fn log(settings: &Self::Settings) -> &LogSettings;
    /// Where its ops listener is.
    fn ops(settings: &Self::Settings) -> &OpsSettings;
    /// Serves until it is asked to end.
    fn run(settings: Self::Settings) -> impl Future<Output = anyhow::Result<()>>;
}

/// What every `main` does: prepares the process, runs the command, and prints what went wrong.
pub fn main<P: Program>(run: impl FnOnce() -> anyhow::Result<()>) -> ExitCode {
    install_crypto_provider();
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The cause may be worth more than the error; both are sentences.
            let _ = writeln!(io::stderr(), "{}: {error:#}", P::NAME);
            ExitCode::FAILURE
        }
    }
}

impl SharedCommand {
    /// Runs the command.
    pub fn run<P: Program>(self, options: &SharedOptions) -> anyhow::Result<()> {
        let load = || P::load(options.config.as_deref());
        match self {
            Self::Serve => serve::<P>(load()?),
            Self::CheckConfig => {
                load()?;
                traces::check_trace_settings()?;
                print("The settings are complete and fit together.\n")
            }
            Self::Health => {
                ask_health(P::ops(&load()?))?;
                print("ok\n")
            }
            Self::Reference => print(&P::reference()),
        }
    }
}

/// Prints a text.
pub fn print(text: &str) -> anyhow::Result<()> {
    Ok(io::stdout().write_all(text.as_bytes())?)
}

#[tokio::main]
async fn serve<P: Program>(settings: P::Settings) -> anyhow::Result<()> {
    let telemetry = telemetry::start(P::log(&settings), P::SERVICE)?;
    let open_files = raise_open_files();
    tracing::debug!(open_files, "so many files may be open at once");
    let outcome = P::run(settings).await;
    telemetry.finish().await;
    outcome
}

#[tokio::main(flavor = "current_thread")]
async fn ask_health(ops: &OpsSettings) -> anyhow::Result<()> {
    Ok(ops::check_health(ops.listen, "/healthz").await?)
}
