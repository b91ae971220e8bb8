//! `hubkey exec`: a program with a token in its environment, or in a file as long as it runs.

use std::{
    io::{self, ErrorKind, IsTerminal as _},
    os::unix::process::{CommandExt as _, ExitStatusExt as _},
    path::PathBuf,
    process::{Command, ExitStatus},
};

use rustix::process::Signal;
use tokio::process::Child;

use crate::{
    Outcome, Then,
    arguments::ExecArguments,
    environment::Environment,
    failure::{Exit, Failure},
    fresh,
    output::{line_of, print_note},
    session::{Grant, Session},
    signals::{Signals, forward},
    token_file::TokenFile,
};

const USUAL: &str = "BEARER_TOKEN";

pub(crate) async fn run(
    session: &Session,
    arguments: ExecArguments,
    environment: &Environment,
) -> Outcome {
    let grant = session.grant(&arguments.wish).await?;
    let (program, rest) = arguments
        .program
        .split_first()
        .ok_or_else(|| Failure::new(Exit::Usage, "Say which program to run, after --."))?;
    let mut command = Command::new(program);
    command.args(rest);
    let usual = arguments.file.is_none().then(|| USUAL.to_owned());
    if let Some(variable) = arguments.env.or(usual) {
        command.env(variable, line_of(&grant.token.access_token)?);
    }
    match arguments.file {
        // Nothing is left to be done while it runs, so it takes this process over: signals, terminal and exit code
        // are its own.
        None => Ok(Then::Become(Box::new(command))),
        Some(variable) => beside_a_file(session, &grant, (command, variable), environment).await,
    }
}

/// Becomes the program; comes back only if that fails.
pub(crate) fn become_program(mut command: Command) -> Failure {
    let error = command.exec();
    cannot_run(&command, &error)
}

async fn beside_a_file(
    session: &Session,
    grant: &Grant,
    (mut command, variable): (Command, String),
    environment: &Environment,
) -> Outcome {
    let folder = private_folder(environment).map_err(|error| {
        let said = format!("No private folder for the token can be made: {error}.");
        Failure::new(Exit::Failed, said)
    })?;
    let mut file = TokenFile::at(folder.path().join("token"));
    file.write(&grant.token.access_token)?;
    command.env(variable, file.path());
    let mut signals = Signals::for_a_program()?;
    let mut command = tokio::process::Command::from(command);
    let child = command
        .spawn()
        .map_err(|error| cannot_run(command.as_std(), &error))?;
    let keeping = async {
        let failure = fresh::keep(session, grant, &mut file).await;
        print_note(&format!(
            "The program goes on with the token it has: {}",
            failure.said()
        ));
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = keeping => Ok(Then::DONE),
        status = ended(child, &mut signals) => Ok(Then::End(code_of(status?))),
    }
}

/// In memory where there is such a place, so that no token is left on a disk.
fn private_folder(environment: &Environment) -> io::Result<tempfile::TempDir> {
    let own = environment.text("XDG_RUNTIME_DIR").map(PathBuf::from);
    let memory = Some(PathBuf::from("/dev/shm"));
    let make = |parent: PathBuf| {
        tempfile::Builder::new()
            .prefix("hubkey-")
            .tempdir_in(parent)
            .ok()
    };
    match [own, memory].into_iter().flatten().find_map(make) {
        Some(folder) => Ok(folder),
        None => tempfile::Builder::new().prefix("hubkey-").tempdir(),
    }
}

/// Waits for the end of the program, and passes on what it is told.
async fn ended(mut child: Child, signals: &mut Signals) -> Result<ExitStatus, Failure> {
    loop {
        tokio::select! {
            status = child.wait() => {
                return status.map_err(|_| Failure::new(Exit::Failed, "The program's end was not seen."));
            }
            signal = signals.next() => {
                // The terminal has told the program too: it is in the same foreground group.
                if !(comes_from_terminal(signal) && io::stdin().is_terminal()) {
                    forward(signal, child.id());
                }
            }
        }
    }
}

fn comes_from_terminal(signal: Signal) -> bool {
    [Signal::INT, Signal::QUIT].contains(&signal)
}

/// As a shell says it.
fn code_of(status: ExitStatus) -> u8 {
    let code = status
        .code()
        .or_else(|| status.signal().map(|signal| signal + 128));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}

fn cannot_run(command: &Command, error: &io::Error) -> Failure {
    let code = if error.kind() == ErrorKind::NotFound {
        127
    } else {
        126
    };
    let program = command.get_program().to_string_lossy();
    Failure::new(
        Exit::Program(code),
        format!("{program} cannot be run: {error}."),
    )
}
