//! `token-broker`: see `token-broker --help`.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Parser, Subcommand};
use hubkey_service::{
    command_line::{self, Program, SharedCommand, SharedOptions, print},
    settings::{ConfigErrors, LogSettings, OpsSettings},
};
use hubkey_store::keys;
use hubkey_token_broker::{app, routes, settings, settings::Settings};

/// hubkey's broker: gives the kernels of a JupyterHub the access tokens of the person in front of them.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(flatten)]
    options: SharedOptions,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    #[command(flatten)]
    Shared(SharedCommand),
    /// Make a file of 32 random bytes for `keys.encryption_key_files` or `keys.lookup_mac_key_file`
    GenerateKey {
        /// The file; it must not exist yet
        path: PathBuf,
        /// Leave an existing file as it is, and succeed
        #[arg(long)]
        if_missing: bool,
    },
    /// Print the OpenAPI document of the kernel API
    Openapi,
}

struct TokenBroker;

impl Program for TokenBroker {
    const NAME: &'static str = "token-broker";
    const SERVICE: &'static str = "hubkey-token-broker";
    type Settings = Settings;

    fn load(file: Option<&Path>) -> Result<Settings, ConfigErrors> {
        Settings::load(file)
    }

    fn reference() -> String {
        settings::reference()
    }

    fn log(settings: &Settings) -> &LogSettings {
        &settings.log
    }

    fn ops(settings: &Settings) -> &OpsSettings {
        &settings.ops
    }

    async fn run(settings: Settings) -> anyhow::Result<()> {
        app::run(settings).await
    }
}

fn main() -> ExitCode {
    command_line::main::<TokenBroker>(|| {
        let Arguments { options, command } = Arguments::parse();
        match command.unwrap_or(Command::Shared(SharedCommand::Serve)) {
            Command::Shared(shared) => shared.run::<TokenBroker>(&options),
            Command::GenerateKey { path, if_missing } if if_missing && path.exists() => {
                print(&format!("{} is there already.\n", path.display()))
            }
            Command::GenerateKey { path, .. } => Ok(keys::generate(&path)?),
            Command::Openapi => print(routes::document()),
        }
    })
}
