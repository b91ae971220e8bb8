//! Where a step runs its stack, and whether this machine can.

use std::process::{Command, Stdio};

use clap::Args;

/// What a step needs beside what `cargo xtask install` brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Nothing: processes on this machine.
    Processes,
    /// A container engine with Compose.
    Containers,
    /// A Kubernetes cluster, and a way to bring images to it.
    Cluster,
}

/// Why the steps of a kind cannot run here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Missing(pub(crate) String);

/// Kinds asked for on the command line; all where none is.
#[derive(Debug, Clone, Copy, Default, Args)]
pub(crate) struct StackFilter {
    /// Only what runs on containers.
    #[arg(long)]
    pub(crate) containers: bool,
    /// Only what runs on a cluster, the one of `KUBECONFIG`.
    #[arg(long)]
    pub(crate) cluster: bool,
    /// Fail where something cannot run on this machine, such as the tests on a cluster.
    #[arg(long)]
    pub(crate) all: bool,
}

impl StackFilter {
    /// Whether steps of this kind are to be tried.
    pub(crate) fn includes(self, kind: Kind) -> bool {
        let any = !self.containers && !self.cluster;
        match kind {
            Kind::Processes => any,
            Kind::Containers => any || self.containers,
            Kind::Cluster => any || self.cluster,
        }
    }

    /// Whether it is a failure that steps of this kind cannot run here: they were asked for by name, or all were.
    pub(crate) fn insists_on(self, kind: Kind) -> bool {
        self.all
            || match kind {
                Kind::Processes => true,
                Kind::Containers => self.containers,
                Kind::Cluster => self.cluster,
            }
    }
}

impl Kind {
    /// What of it this machine lacks.
    pub(crate) fn missing(self) -> Option<Missing> {
        let lacks: &[(&[&str], &str)] = match self {
            Self::Processes => &[],
            Self::Containers => &[
                (&["docker", "info"], "no container engine answers"),
                (
                    &["docker", "compose", "version"],
                    "`docker compose` is not installed",
                ),
                (
                    &["docker", "buildx", "version"],
                    "`docker buildx` is not installed",
                ),
            ],
            Self::Cluster => &[
                (
                    &["docker", "info"],
                    "no container engine answers, which the images are built with",
                ),
                (
                    &["docker", "buildx", "version"],
                    "`docker buildx` is not installed",
                ),
                (
                    &["kubectl", "version"],
                    "`kubectl` reaches no cluster: set KUBECONFIG",
                ),
            ],
        };
        let lack = lacks.iter().find(|(command, _)| !succeeds(command))?;
        let again = match self {
            Self::Processes => "cargo xtask test",
            Self::Containers => "cargo xtask test --containers",
            Self::Cluster => {
                "KUBECONFIG=… E2E_LOAD_IMAGES='<command that takes image names>' cargo xtask test --cluster"
            }
        };
        Some(Missing(format!("{}; then: {again}", lack.1)))
    }
}

fn succeeds(command: &[&str]) -> bool {
    let [program, arguments @ ..] = command else {
        return false;
    };
    Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::{Kind, StackFilter};

    const KINDS: [Kind; 3] = [Kind::Processes, Kind::Containers, Kind::Cluster];

    #[test]
    fn without_a_filter_every_kind_is_tried_and_only_processes_must_run() {
        let stacks = StackFilter::default();
        assert_eq!(KINDS.map(|kind| stacks.includes(kind)), [true, true, true]);
        assert_eq!(
            KINDS.map(|kind| stacks.insists_on(kind)),
            [true, false, false]
        );
    }

    #[test]
    fn a_kind_that_is_named_runs_alone_and_must() {
        let stacks = StackFilter {
            cluster: true,
            ..StackFilter::default()
        };
        assert_eq!(
            KINDS.map(|kind| stacks.includes(kind)),
            [false, false, true]
        );
        assert!(stacks.insists_on(Kind::Cluster) && !stacks.insists_on(Kind::Containers));
    }

    #[test]
    fn all_means_that_nothing_may_be_left_out() {
        let stacks = StackFilter {
            all: true,
            ..StackFilter::default()
        };
        assert_eq!(
            KINDS.map(|kind| stacks.insists_on(kind)),
            [true, true, true]
        );
    }
}
