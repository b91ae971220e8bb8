//! Children that tests start: their ports, their logs, the wait until they answer, and their certain end.
//!
//! Each child runs below a small shell guard that ends it, and everything below it, as soon as the pipe to the
//! guard closes. The pipe closes when the [`Process`] is dropped and also when the test program dies in any
//! other way, so that nothing is ever left behind. Children are ended by their own ids, never by a name.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use rustix::process::{Resource, geteuid, getrlimit, setrlimit};

use crate::console;

const GUARD: &str = include_str!("guard.sh");
/// How long a child may take to end in order before it is killed.
const GRACE: Duration = Duration::from_secs(8);
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// A loopback port that was free a moment ago. It lies below those that systems give to outgoing connections, one of
/// which could take it before its server does. This process gives it out once, and no other process does meanwhile.
pub fn free_port() -> anyhow::Result<u16> {
    let first = FIRST_PORT + port_range() * PORTS_OF_ONE;
    for _ in 0..PORTS_OF_ONE {
        let next = PORTS.fetch_add(1, Ordering::Relaxed) % PORTS_OF_ONE;
        let port = u16::try_from(first + next)?;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no free port on 127.0.0.1")
}

const FIRST_PORT: u32 = 15_000;
/// How many processes have ports of their own at one time, and how many ports each.
const PORT_RANGES: u32 = 17;
const PORTS_OF_ONE: u32 = 1_000;

/// The number of the range that is this process' own until it ends; where all are taken, one that it shares.
fn port_range() -> u32 {
    static RANGE: OnceLock<(u32, Option<File>)> = OnceLock::new();
    let range = RANGE.get_or_init(|| {
        let start = std::process::id();
        let tried = (0..PORT_RANGES).map(|step| start.wrapping_add(step) % PORT_RANGES);
        let mut locks = tried.filter_map(|range| Some((range, Some(lock_range(range)?))));
        locks.next().unwrap_or((start % PORT_RANGES, None))
    });
    range.0
}

/// A lock that the system takes back when this process ends. `None` where another process has it.
fn lock_range(range: u32) -> Option<File> {
    let name = format!("hubkey-e2e-ports-{}-{range}", geteuid().as_raw());
    let file = File::create(std::env::temp_dir().join(name)).ok()?;
    file.try_lock().ok()?;
    Some(file)
}

static PORTS: AtomicU32 = AtomicU32::new(0);

/// Lets this process, and those that it starts from now on, hold as many files and connections as the system permits.
pub fn allow_many_files() -> anyhow::Result<()> {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    Ok(setrlimit(Resource::Nofile, limit)?)
}

/// The folder of one run: logs, data and screenshots of everything it starts.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
}

static RUNS: AtomicU32 = AtomicU32::new(0);

impl RunFolder {
    /// Makes the folder `e2e/artifacts/runs/<label>-<process>-<number>` and removes those of runs long gone.
    pub fn create(label: &str) -> anyhow::Result<Self> {
        let parent = artifacts().join("runs");
        std::fs::create_dir_all(&parent)?;
        remove_old_runs(&parent);
        let number = RUNS.fetch_add(1, Ordering::Relaxed);
        let path = parent.join(format!("{label}-{}-{number}", std::process::id()));
        if path.exists() {
            std::fs::remove_dir_all(&path)?;
        }
        std::fs::create_dir_all(&path)
            .with_context(|| format!("cannot make {}", path.display()))?;
        Ok(Self { path })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A file or folder in it.
    #[must_use]
    pub fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.path.join(name)
    }

    /// Makes a folder in it.
    pub fn folder(&self, name: &str) -> anyhow::Result<PathBuf> {
        let path = self.join(name);
        std::fs::create_dir_all(&path)?;
        Ok(path)
    }

    /// The log file of a child.
    #[must_use]
    pub fn log(&self, name: &str) -> PathBuf {
        self.join(format!("{name}.log"))
    }
}

/// The folder for what runs leave behind to look at: `e2e/artifacts`.
#[must_use]
pub fn artifacts() -> PathBuf {
    checkout().join("e2e/artifacts")
}

/// The root of this checkout.
#[must_use]
pub fn checkout() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest
        .ancestors()
        .nth(2)
        .unwrap_or(manifest)
        .to_path_buf()
}

/// Keeps the folders of the last few runs and of those that still go on.
fn remove_old_runs(parent: &Path) {
    const KEPT: usize = 6;
    let Ok(entries) = std::fs::read_dir(parent) else {
        return;
    };
    let mut ended: Vec<_> = entries
        .flatten()
        .filter(|entry| !owner_lives(&entry.file_name()))
        .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
        .collect();
    ended.sort();
    for (_, path) in ended.iter().rev().skip(KEPT) {
        // Another run may be removing it at the same time.
        let _ = std::fs::remove_dir_all(path);
    }
}

fn owner_lives(folder: &OsStr) -> bool {
    let name = folder.to_string_lossy();
    let owner = name.rsplit('-').nth(1).unwrap_or_default().to_owned();
    !owner.is_empty() && Path::new("/proc").join(owner).exists()
}

/// What to start. Build it, then [`Spec::start`].
#[derive(Debug)]
pub struct Spec {
    name: String,
    program: OsString,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    folder: Option<PathBuf>,
    grace: Duration,
}

impl Spec {
    /// A program under the name that its log file and messages carry.
    pub fn new(name: impl Into<String>, program: impl AsRef<OsStr>) -> Self {
        Self {
            name: name.into(),
            program: program.as_ref().to_owned(),
            arguments: Vec::new(),
            environment: Vec::new(),
            folder: None,
            grace: GRACE,
        }
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<A: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.arguments.extend(
            arguments
                .into_iter()
                .map(|argument| argument.as_ref().to_owned()),
        );
        self
    }

    /// Sets a variable of its environment.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.environment
            .push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// The folder it runs in.
    #[must_use]
    pub fn in_folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = Some(folder.into());
        self
    }

    /// How long it may take to end in order before it is killed.
    #[must_use]
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// Starts it, with its output in the run's log file of its name.
    pub fn start(self, run: &RunFolder) -> anyhow::Result<Process> {
        let log = run.log(&self.name);
        let output =
            File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        let mut command = Command::new("sh");
        command
            .arg("-c")
            .arg(GUARD)
            .arg("guard")
            .arg(self.grace.as_secs().to_string())
            .arg(&self.program)
            .args(&self.arguments)
            .envs(self.environment)
            // A group of its own, so that Ctrl-C on the terminal reaches us and not the children.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(output.try_clone()?)
            .stderr(output);
        if let Some(folder) = &self.folder {
            command.current_dir(folder);
        }
        let guard = command
            .spawn()
            .with_context(|| format!("cannot start {}", self.name))?;
        Ok(Process {
            name: self.name,
            guard,
            log,
            grace: self.grace,
        })
    }
}

/// A running child. Dropping it ends it and waits until it is gone.
#[derive(Debug)]
pub struct Process {
    name: String,
    guard: Child,
    log: PathBuf,
    grace: Duration,
}

impl Process {
    /// The name it was started under.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where its output goes.
    #[must_use]
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// What it has written so far.
    #[must_use]
    pub fn output(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// The process id of the program itself, as long as it runs.
    #[must_use]
    pub fn id(&self) -> Option<u32> {
        // The guard's first child is the program, its second the watcher.
        let guard = self.guard.id();
        let children = std::fs::read_to_string(format!("/proc/{guard}/task/{guard}/children"));
        children.ok()?.split_whitespace().next()?.parse().ok()
    }

    /// Waits until `probe` says yes.
    ///
    /// # Errors
    ///
    /// When the time is over or the child has ended; the error carries the end of its log.
    pub async fn ready(
        &mut self,
        limit: Duration,
        mut probe: impl AsyncFnMut() -> bool,
    ) -> anyhow::Result<()> {
        let started = Instant::now();
        while !probe().await {
            if let Some(status) = self.guard.try_wait()? {
                bail!(
                    "{} ended with {status} instead of starting:\n{}",
                    self.name,
                    self.tail()
                );
            }
            if started.elapsed() > limit {
                bail!(
                    "{} was not ready after {limit:?}:\n{}",
                    self.name,
                    self.tail()
                );
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        Ok(())
    }

    /// Waits until its output contains `text`.
    pub async fn says(&mut self, text: &str, limit: Duration) -> anyhow::Result<()> {
        let log = self.log.clone();
        self.ready(limit, async || {
            std::fs::read(&log).is_ok_and(|bytes| String::from_utf8_lossy(&bytes).contains(text))
        })
        .await
        .with_context(|| format!("waited for the output {text:?}"))
    }

    /// Ends it, with everything below it, and waits until it is gone.
    pub fn stop(&mut self) {
        drop(self.guard.stdin.take());
        let started = Instant::now();
        while matches!(self.guard.try_wait(), Ok(None)) {
            if started.elapsed() > self.grace + Duration::from_secs(15) {
                let _ = self.guard.kill();
                let _ = self.guard.wait();
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// The last lines that it wrote.
    #[must_use]
    pub fn tail(&self) -> String {
        console::tail(&self.log, 30)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stop();
    }
}
