//! The `hubkey` command: access tokens for any language and any tool in a JupyterHub server.
//!
//! It is a program of its own (`src/main.rs`) and a command of the Python wheel, which calls [`main`]. It keeps nothing
//! between two calls: connections live in the broker, and belong to the server whose `JUPYTERHUB_API_TOKEN` asks.
//!
//! A token goes to standard output and nowhere else, but where a command exists to put it elsewhere: a variable of one
//! program (`exec`), a private file (`exec --file`, `serve-file`). Everything for people goes to standard error. No
//! option takes a secret: other users of a machine can read command lines.

mod arguments;
mod credential;
mod doctor;
mod environment;
mod exec;
mod failure;
mod fresh;
mod listing;
mod outcome;
mod output;
mod reference;
mod serve_file;
mod session;
mod signals;
mod token_file;

use std::ffi::OsString;

use clap::Parser as _;
use tokio::runtime::Builder;

use arguments::{Command, CommandLine, Dialect};
use environment::Environment;
use failure::{Exit, Failure};
use outcome::{Outcome, Then};
use session::Session;

/// Does what a command line says, and gives the exit code. The first argument is the command's own name.
#[must_use]
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    output::hold_standard_streams();
    let words: Vec<OsString> = arguments.into_iter().collect();
    let line = match CommandLine::try_parse_from(&words) {
        Ok(line) => line,
        Err(refusal) => {
            // Nobody is left to tell if standard error is closed.
            let _ = refusal.print();
            if refusal.use_stderr() {
                arguments::tip(&words)
                    .into_iter()
                    .for_each(output::print_note);
            }
            return u8::try_from(refusal.exit_code()).unwrap_or(2);
        }
    };
    let outcome = obey(line.command, &Environment::of_process()).and_then(|then| match then {
        Then::End(code) => Ok(code),
        Then::Become(program) => Err(exec::become_program(*program)),
    });
    outcome.unwrap_or_else(|failure| {
        output::print_note(failure.said());
        failure.exit().code()
    })
}

fn obey(command: Command, environment: &Environment) -> Outcome {
    match command {
        Command::Completions { shell } => return reference::completions(shell),
        Command::Man { command } => return reference::man(&command),
        Command::Credential {
            dialect: Dialect::Aws(arguments),
        } => return credential::aws(&arguments),
        Command::Reference => return reference::markdown(),
        _ => {}
    }
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|_| {
            Failure::new(
                Exit::Failed,
                "The system gives no means to wait for events.",
            )
        })?;
    runtime.block_on(ask(command, environment))
}

async fn ask(command: Command, environment: &Environment) -> Outcome {
    if let Command::Doctor = command {
        return doctor::run(environment).await;
    }
    let session = Session::open(environment)?;
    match command {
        Command::Token(arguments) => listing::token(&session, arguments).await,
        Command::Header(arguments) => listing::header(&session, arguments).await,
        Command::Env(arguments) => listing::env(&session, arguments).await,
        Command::Login(arguments) => session.login(arguments).await,
        Command::List(arguments) => listing::list(&session, &arguments).await,
        Command::Status(arguments) => listing::status(&session, &arguments).await,
        Command::Logout(arguments) => session.logout(&arguments).await,
        Command::Exec(arguments) => exec::run(&session, arguments, environment).await,
        Command::Credential { dialect } => credential::run(&session, dialect, environment).await,
        Command::ServeFile(arguments) => serve_file::run(&session, arguments).await,
        Command::Doctor
        | Command::Completions { .. }
        | Command::Man { .. }
        | Command::Reference => Ok(Then::DONE),
    }
}
