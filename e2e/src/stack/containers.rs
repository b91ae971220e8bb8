//! The stack of `compose.yaml` under a project name of its own, for one test program.
//!
//! It ends with the program that started it, however that ends, and what a killed guard left behind is removed by the
//! next start. Containers are known by their project, never by a program's name.

mod stack;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail};

use hubkey_starters::process::{Process, RunFolder, Spec, checkout};

pub(crate) use stack::start;

/// With how much patience the stack is started: Keycloak builds its database meanwhile.
const START: Duration = Duration::from_mins(12);
/// Ending the containers and removing networks and volumes.
const END: Duration = Duration::from_mins(1);
const UP: &str = "the stack is up";
const PREFIX: &str = "hubkey-e2e-";

/// Brings the stack up and keeps it until it is told to end. Arguments: those of `docker compose` that name the project.
const KEEPER: &str = r#"
compose() { docker compose --ansi never --progress plain "$@"; }
trap 'compose "$@" down --volumes --remove-orphans --timeout 5; exit 0' TERM
compose "$@" up --no-build --wait & wait $! || {
  compose "$@" ps --all; compose "$@" logs --tail 40
  compose "$@" down --volumes --remove-orphans --timeout 1
  exit 1
}
echo "the stack is up"
while :; do sleep 3600 & wait $!; done
"#;

/// Compose puts a terminal's "clear this line" in front of each line, whether there is a terminal or not.
const FOLLOWER: &str = r#"
docker compose "$@" logs --follow --no-color --no-log-prefix "$0" | sed --unbuffered "s/^$(printf '\\033')\[2K//"
"#;

/// The images of ours that the stack is made of.
const IMAGES: [&str; 5] = [
    "hubkey-token-broker:dev",
    "hubkey-callback-server:dev",
    "hubkey-hub:dev",
    "hubkey-notebook:dev",
    "hubkey-api:dev",
];

/// A running compose project. Dropping it ends it.
#[derive(Debug)]
pub struct Compose {
    project: String,
    environment: Vec<(String, String)>,
    _keeper: Process,
}

impl Compose {
    /// Starts the stack with these variables for `compose.yaml` and the tests' additions, and waits until it is healthy.
    pub async fn start(
        run: &RunFolder,
        environment: Vec<(String, String)>,
    ) -> anyhow::Result<Self> {
        require_images()?;
        remove_what_is_left()?;
        let folder = run.path().file_name().context("a run without a name")?;
        let owner = std::process::id();
        let label = folder.to_string_lossy();
        // The owner's id comes last, so that the next start can tell whether it still lives.
        let number = label.rsplit('-').next().unwrap_or_default();
        let project = format!("{PREFIX}{number}-{owner}");
        let mut keeper = Spec::new("compose", "sh")
            .args(["-c", KEEPER, "keeper"])
            .args(selection(&project))
            .in_folder(checkout())
            .grace(END);
        for (name, value) in &environment {
            keeper = keeper.env(name, value);
        }
        let mut keeper = keeper.start(run)?;
        keeper.says(UP, START).await?;
        Ok(Self {
            project,
            environment,
            _keeper: keeper,
        })
    }

    /// The name of the project.
    #[must_use]
    pub fn project(&self) -> &str {
        &self.project
    }

    /// Runs `docker compose` on this project: `kill redis`, `start redis`, `exec …`. Gives what it printed.
    pub fn run(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let mut command = Command::new("docker");
        command
            .args(["compose", "--ansi", "never", "--progress", "quiet"])
            .args(selection(&self.project))
            .args(arguments)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(checkout());
        output(command)
    }

    /// The name of a service's container.
    #[must_use]
    pub fn container(&self, service: &str) -> String {
        format!("{}-{service}-1", self.project)
    }

    /// Takes a service off one of the project's networks (`disconnect`), or puts it there again under its name
    /// (`connect`).
    pub fn network(&self, verb: &str, network: &str, service: &str) -> anyhow::Result<()> {
        let mut command = Command::new("docker");
        command.args(["network", verb]);
        if verb == "connect" {
            command.args(["--alias", service]);
        }
        command
            .arg(format!("{}_{network}", self.project))
            .arg(self.container(service));
        output(command).map(drop)
    }

    /// What a service writes, from its first line on and through its restarts, in the run's log file of its name.
    pub fn follow(&self, run: &RunFolder, service: &str) -> anyhow::Result<Process> {
        let mut spec = Spec::new(service, "sh")
            .args(["-c", FOLLOWER, service])
            .args(selection(&self.project))
            .in_folder(checkout());
        for (name, value) in &self.environment {
            spec = spec.env(name, value);
        }
        spec.start(run)
    }

    /// Copies a folder out of a service's container.
    pub fn copy_out(&self, service: &str, from: &str, to: &Path) -> anyhow::Result<()> {
        let source = format!("{}:{from}/.", self.container(service));
        std::fs::create_dir_all(to)?;
        let mut command = Command::new("docker");
        command.args(["cp", "--quiet", &source]).arg(to);
        output(command)?;
        Ok(())
    }
}

/// The arguments of `docker compose` that say which project and which files.
fn selection(project: &str) -> Vec<String> {
    let file = |name: &str| checkout().join(name).display().to_string();
    let words = [
        "--project-name",
        project,
        "--file",
        &file("compose.yaml"),
        "--file",
        &file("e2e/compose.tests.yaml"),
    ];
    words.map(str::to_owned).into()
}

/// The value of a variable of the container that runs this server of this user.
pub(crate) fn server_variable(
    project: &str,
    user: &str,
    server: &str,
    name: &str,
) -> anyhow::Result<String> {
    for container in user_servers(project)? {
        let variables = environment(&container)?;
        let is = |name: &str, wanted: &str| {
            variables
                .iter()
                .any(|(known, value)| known == name && value == wanted)
        };
        if is("JUPYTERHUB_USER", user) && is("JUPYTERHUB_SERVER_NAME", server) {
            let found = variables.into_iter().find(|(known, _)| known == name);
            return Ok(found.with_context(|| format!("no variable {name}"))?.1);
        }
    }
    bail!("no container runs the server {server:?} of {user}")
}

/// The containers that run users' servers.
fn user_servers(project: &str) -> anyhow::Result<Vec<String>> {
    let mut command = Command::new("docker");
    command
        .args(["ps", "--quiet", "--filter"])
        .arg(format!("label=com.docker.compose.project={project}"))
        .args(["--filter", "label=com.docker.compose.service=user-server"]);
    Ok(output(command)?.lines().map(str::to_owned).collect())
}

fn environment(container: &str) -> anyhow::Result<Vec<(String, String)>> {
    let mut command = Command::new("docker");
    command.args(["inspect", "--format", "{{json .Config.Env}}", container]);
    let list: Vec<String> = serde_json::from_str(&output(command)?)?;
    let pairs = list.iter().filter_map(|line| line.split_once('='));
    Ok(pairs
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect())
}

fn require_images() -> anyhow::Result<()> {
    for image in IMAGES {
        let mut command = Command::new("docker");
        command.args(["image", "inspect", "--format", "{{.Id}}", image]);
        output(command).with_context(|| {
            format!("the image {image} is missing: `cargo xtask images` makes it, on a machine with a Docker engine")
        })?;
    }
    Ok(())
}

/// Ends the projects of test programs that are gone.
fn remove_what_is_left() -> anyhow::Result<()> {
    let mut command = Command::new("docker");
    command.args(["compose", "ls", "--all", "--quiet"]);
    let list = output(command)?;
    let ours = list.lines().filter(|name| name.starts_with(PREFIX));
    for project in ours.filter(|name| !owner_lives(name)) {
        let mut command = Command::new("docker");
        command
            .args(["compose", "--project-name", project, "down"])
            .args(["--volumes", "--remove-orphans", "--timeout", "1"]);
        // Its own keeper may be at it too: then the two get in each other's way, and both are done.
        let _ = output(command);
    }
    Ok(())
}

fn owner_lives(project: &str) -> bool {
    let owner = project.rsplit('-').next().unwrap_or_default();
    PathBuf::from("/proc").join(owner).exists()
}

/// Runs a program to its end and gives its standard output.
fn output(mut command: Command) -> anyhow::Result<String> {
    let name = format!("{command:?}");
    let done = command
        .stdin(Stdio::null())
        .output()
        .context("the program `docker` cannot be run; install Docker with Compose v2")?;
    if !done.status.success() {
        bail!("{name}: {}", String::from_utf8_lossy(&done.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&done.stdout).into_owned())
}
