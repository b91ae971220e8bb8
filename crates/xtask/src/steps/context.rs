//! What every step is given, and what it gives back.

use std::path::{Path, PathBuf};
use std::process::Command;

use hubkey_starters::{console, process, tools};

use crate::report::{Count, Failure};

/// What a step gives back.
pub(crate) type Outcome = Result<Count, Failure>;

/// Where the steps work: the checkout, and a folder for the output of each program.
#[derive(Debug)]
pub(crate) struct StepContext {
    root: PathBuf,
    logs: PathBuf,
}

impl StepContext {
    pub(crate) fn new() -> anyhow::Result<Self> {
        let root = process::checkout();
        let logs = process::artifacts().join("test-logs");
        std::fs::create_dir_all(&logs)?;
        Ok(Self { root, logs })
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Cargo, with the given arguments, in the checkout.
    pub(crate) fn cargo(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command.args(arguments).current_dir(&self.root);
        command
    }

    /// A command that came with the Python packages.
    pub(crate) fn python_command(&self, name: &str) -> Command {
        let mut command = Command::new(tools::python_bin().join(name));
        command.current_dir(&self.root);
        command
    }

    /// Runs a program whose success is one passed check.
    pub(crate) fn check(&self, label: &str, mut command: Command) -> Outcome {
        console::run(label, &mut command, &self.log(label))?;
        Ok(Count::ONE)
    }

    /// The file for the output of a program.
    pub(crate) fn log(&self, label: &str) -> PathBuf {
        self.logs
            .join(format!("{}.log", label.replace([' ', '/'], "-")))
    }
}
