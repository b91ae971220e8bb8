//! hubkey's two servers and the protected API, started as the programs that an operator starts.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;

use crate::stack::wheel;
use hubkey_fakes::loopback;
use hubkey_fakes::protected_api;
use hubkey_starters::process::{self, Process, RunFolder, Spec};
use hubkey_starters::{console, tools};

const START: Duration = Duration::from_secs(30);

/// Builds the programs as they are in this checkout now; gives the folder they are in.
pub fn build() -> anyhow::Result<PathBuf> {
    Ok(build_as("dev")?.join("debug"))
}

/// The same as for a release, with symbols.
pub fn build_optimised() -> anyhow::Result<PathBuf> {
    Ok(build_as("bench")?.join("release"))
}

/// Builds in a profile; gives the target folder.
fn build_as(profile: &str) -> anyhow::Result<PathBuf> {
    let all = ["--workspace", "--bins", "--profile", profile];
    cargo_build("cargo build", "servers", &all)
}

/// Builds something of this checkout, whoever else builds it meanwhile; its log has the name of the lock. Gives the target
/// folder.
pub(crate) fn cargo_build(label: &str, name: &str, what: &[&str]) -> anyhow::Result<PathBuf> {
    let target = wheel::target_folder()?;
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .args(["build", "--locked"])
        .args(what)
        .arg("--target-dir")
        .arg(&target)
        .current_dir(process::checkout());
    let _one_at_a_time = tools::lock(&target.join(name))?;
    let log = target.join(format!("{name}.log"));
    console::run(label, &mut command, &log)?;
    Ok(target)
}

/// What to start one of the two servers with.
#[derive(Debug)]
pub struct Program<'a> {
    /// The program.
    pub file: &'a Path,
    /// Its settings file.
    pub settings: &'a Path,
    /// Variables of its environment.
    pub environment: &'a [(String, String)],
}

/// A running program of ours.
#[derive(Debug)]
pub struct Server {
    process: Process,
    address: String,
}

impl Server {
    /// Starts one of the two servers with the given settings file, and waits until its ops port says that it is
    /// ready.
    pub async fn start(
        run: &RunFolder,
        program: &Path,
        settings: &Path,
        address: String,
        ops_port: u16,
    ) -> anyhow::Result<Self> {
        let program = Program {
            file: program,
            settings,
            environment: &[],
        };
        Self::start_program(run, &program, address, ops_port).await
    }

    /// The same, with variables in its environment.
    pub async fn start_program(
        run: &RunFolder,
        program: &Program<'_>,
        address: String,
        ops_port: u16,
    ) -> anyhow::Result<Self> {
        let name = program
            .file
            .file_name()
            .context("a program without a name")?
            .to_string_lossy();
        let spec = Spec::new(name, program.file)
            .arg("--config")
            .arg(program.settings)
            .in_folder(run.path());
        let spec = program
            .environment
            .iter()
            .fold(spec, |spec, (name, value)| spec.env(name, value));
        let mut process = spec.start(run)?;
        let client = loopback::client()?;
        let ready = format!("http://127.0.0.1:{ops_port}/readyz");
        let probe = async || loopback::answers(&client, &ready).await;
        process.ready(START, probe).await?;
        Ok(Self { process, address })
    }

    /// Starts a protected API under the name of its audience.
    pub async fn start_api(
        run: &RunFolder,
        program: &Path,
        port: u16,
        wanted: &protected_api::Settings,
    ) -> anyhow::Result<Self> {
        let address = format!("http://127.0.0.1:{port}");
        let mut process = Spec::new(&wanted.audience, program)
            .args(["--listen", &format!("127.0.0.1:{port}")])
            .args(["--issuer", &wanted.issuer])
            .args(["--audience", &wanted.audience])
            .args(["--scope", &wanted.scope])
            .start(run)?;
        process.says("listening on", START).await?;
        Ok(Self { process, address })
    }

    /// One that runs in a container: `process` follows what it writes.
    pub(crate) fn of_container(process: Process, address: String) -> Self {
        Self { process, address }
    }

    /// Its address, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.address
    }

    /// What it has logged.
    #[must_use]
    pub fn output(&self) -> String {
        self.process.output()
    }

    /// The program's process id.
    #[must_use]
    pub fn id(&self) -> Option<u32> {
        self.process.id()
    }

    /// Ends it before its time.
    pub fn stop(&mut self) {
        self.process.stop();
    }
}
