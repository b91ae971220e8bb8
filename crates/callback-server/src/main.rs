//! `callback-server`: see `callback-server --help`.

use std::{path::Path, process::ExitCode};

use clap::Parser;
use hubkey_callback_server::{
    run,
    settings::{self, Settings},
};
use hubkey_service::{
    command_line::{self, Program, SharedCommand, SharedOptions},
    settings::{ConfigErrors, LogSettings, OpsSettings},
};

/// hubkey's pages: the only part of hubkey that browsers reach.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(flatten)]
    options: SharedOptions,
    #[command(subcommand)]
    command: Option<SharedCommand>,
}

struct CallbackServer;

impl Program for CallbackServer {
    const NAME: &'static str = "callback-server";
    const SERVICE: &'static str = "hubkey-callback-server";
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
        run(settings).await
    }
}

fn main() -> ExitCode {
    command_line::main::<CallbackServer>(|| {
        let Arguments { options, command } = Arguments::parse();
        command.unwrap_or_default().run::<CallbackServer>(&options)
    })
}
