//! The command `hubkey`, as somebody in a person's server runs it.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use hubkey_e2e::stack::static_command;
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::{Child, ChildStderr, Command};
use tokio::time::timeout;

use super::{Guest, LONG, built};

/// The program, and the environment of a server.
pub(crate) struct Hubkey {
    /// The program, behind what starts it.
    words: Vec<OsString>,
    environment: Vec<(String, String)>,
    /// The home of whoever runs it.
    pub(crate) home: PathBuf,
}

/// How a run ended. Its `Debug` is for messages of failures, which end in logs: what was answered may be a token.
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) told: String,
}

impl fmt::Debug for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let out = format_args!("{} bytes", self.out.len());
        f.debug_struct("Said")
            .field("code", &self.code)
            .field("out", &out)
            .field("told", &self.told)
            .finish()
    }
}

impl Said {
    /// What was answered, if the run went well and had nothing to tell.
    pub(crate) fn answer(self) -> anyhow::Result<String> {
        ensure!(self.code == Some(0) && self.told.is_empty(), "{self:?}");
        Ok(self.out)
    }

    /// The link that was told.
    pub(crate) fn link(&self) -> anyhow::Result<String> {
        let link = self.told.lines().find_map(link);
        link.with_context(|| format!("no link: {self:?}"))
    }
}

impl Hubkey {
    /// In the server of a guest.
    pub(crate) async fn of(guest: &Guest) -> anyhow::Result<Self> {
        let (programs, _) = built().await?;
        let home = guest
            .stack
            .run
            .folder(&format!("home-of-{}", guest.name()))?;
        let path = std::env::var_os("PATH").unwrap_or_default();
        let environment = [
            ("HUBKEY_URL", guest.stack.broker.url().to_owned()),
            ("JUPYTERHUB_API_TOKEN", guest.api()?.token().to_owned()),
            ("LAB_API", guest.stack.lab_api.url().to_owned()),
            ("HOME", home.display().to_string()),
            (
                "PATH",
                format!("{}:{}", programs.display(), path.to_string_lossy()),
            ),
        ];
        Ok(Self {
            words: vec![programs.join("hubkey").into()],
            environment: environment
                .map(|(name, value)| (name.to_owned(), value))
                .into(),
            home,
        })
    }

    /// With another value of a variable.
    pub(crate) fn with(&self, name: &str, value: &str) -> Self {
        let mut environment = self.environment.clone();
        environment.retain(|(known, _)| known != name);
        environment.push((name.to_owned(), value.to_owned()));
        Self {
            words: self.words.clone(),
            environment,
            home: self.home.clone(),
        }
    }

    /// Another program, in the same environment.
    pub(crate) fn of_program(&self, program: impl Into<OsString>) -> Self {
        Self {
            words: vec![program.into()],
            environment: self.environment.clone(),
            home: self.home.clone(),
        }
    }

    /// The program of this name in a root folder in which nothing of the system is.
    pub(crate) fn in_root(&self, folder: &Path, name: &str) -> Self {
        let mut words = static_command::in_root(folder);
        words.push(name.into());
        Self {
            words,
            environment: self.environment.clone(),
            home: self.home.clone(),
        }
    }

    /// Runs it to its end.
    pub(crate) async fn run(&self, arguments: &[&str]) -> anyhow::Result<Said> {
        finish(self.own()?.args(arguments)).await
    }

    /// Runs some shell with it on the PATH.
    pub(crate) async fn shell(&self, script: &str) -> anyhow::Result<Said> {
        finish(self.command("sh").args(["-c", script])).await
    }

    /// Starts it.
    pub(crate) fn start(&self, arguments: &[&str]) -> anyhow::Result<Running> {
        let mut child = self.own()?.args(arguments).spawn()?;
        let told = child.stderr.take().context("no standard error")?;
        Ok(Running {
            child,
            told: BufReader::new(told),
        })
    }

    fn own(&self) -> anyhow::Result<Command> {
        let (first, rest) = self.words.split_first().context("no program")?;
        let mut command = self.command(first);
        command.args(rest);
        Ok(command)
    }

    fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(&self.home)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }
}

async fn finish(command: &mut Command) -> anyhow::Result<Said> {
    let output = timeout(LONG, command.output())
        .await
        .context("it did not end")??;
    Ok(Said {
        code: output.status.code(),
        out: String::from_utf8(output.stdout)?,
        told: String::from_utf8(output.stderr)?,
    })
}

/// One that runs.
pub(crate) struct Running {
    child: Child,
    told: BufReader<ChildStderr>,
}

impl Running {
    /// Waits until it tells a link.
    pub(crate) async fn link(&mut self) -> anyhow::Result<String> {
        loop {
            let line = self.line().await?;
            if let Some(link) = link(&line) {
                return Ok(link);
            }
        }
    }

    /// Waits for a line on standard error.
    pub(crate) async fn line(&mut self) -> anyhow::Result<String> {
        let mut line = String::new();
        let read = timeout(LONG, self.told.read_line(&mut line));
        ensure!(
            read.await.context("it tells nothing")?? > 0,
            "it tells nothing any more"
        );
        Ok(line)
    }

    /// What other processes can read of it: its command line and its environment.
    pub(crate) fn visible(&self) -> anyhow::Result<Vec<u8>> {
        let id = self.child.id().context("it has ended")?;
        let read = |file| std::fs::read(format!("/proc/{id}/{file}"));
        Ok([read("cmdline")?, read("environ")?].concat())
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let id = self
            .child
            .id()
            .and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        Ok(kill_process(id.context("it has ended")?, signal)?)
    }

    /// Waits for its end.
    pub(crate) async fn end(mut self) -> anyhow::Result<Said> {
        let (mut out, mut told) = (String::new(), String::new());
        let mut stdout = self.child.stdout.take().context("no standard output")?;
        let reading = async {
            tokio::try_join!(
                stdout.read_to_string(&mut out),
                self.told.read_to_string(&mut told)
            )?;
            self.child.wait().await
        };
        let limit = LONG + Duration::from_secs(30);
        let status = timeout(limit, reading).await.context("it did not end")??;
        Ok(Said {
            code: status.code(),
            out,
            told,
        })
    }
}

fn link(line: &str) -> Option<String> {
    let line = line.trim();
    line.starts_with("http").then(|| line.to_owned())
}
