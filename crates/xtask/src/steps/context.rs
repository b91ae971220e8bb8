//! What every step is given, and what it gives back.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use clap::Args;
use hubkey_starters::{console, process, tools};

use crate::report::{Count, Failure};

/// What a step gives back.
pub(crate) type Outcome = Result<Count, Failure>;

/// What the command line says about containers and clusters.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct StackOptions {
    /// First build the base images that the engine lacks, where no container registry can be reached.
    #[arg(long)]
    pub(crate) offline: bool,
    /// What starts the cluster of `KUBECONFIG`: run by a shell, beside other steps.
    #[arg(long, value_name = "COMMAND")]
    pub(crate) start_cluster: Option<String>,
}

/// Where the steps work: the checkout, and a folder for the output of each program.
#[derive(Debug)]
pub(crate) struct StepContext {
    root: PathBuf,
    logs: PathBuf,
    pub(super) stack_options: StackOptions,
    /// What came of making the images, once that was done.
    pub(super) images: OnceLock<Result<(), String>>,
}

impl StepContext {
    pub(crate) fn new() -> anyhow::Result<Self> {
        Self::with(StackOptions::default())
    }

    pub(crate) fn with(stack_options: StackOptions) -> anyhow::Result<Self> {
        let root = process::checkout();
        let logs = process::artifacts().join("test-logs");
        std::fs::create_dir_all(&logs)?;
        Ok(Self {
            root,
            logs,
            stack_options,
            images: OnceLock::new(),
        })
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
