//! Broker processes, and what is done to them.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use hubkey_fakes::loopback;
use hubkey_starters::process::free_port;
use tokio::{
    process::Child,
    time::{Instant, sleep},
};

use crate::seeded::Seeded;

const PROGRAM: &str = env!("CARGO_BIN_EXE_token-broker");
/// Longer than any start takes.
const LONG: Duration = Duration::from_mins(1);
/// Longer than a lease.
pub(crate) const LONG_STOP: Duration = Duration::from_secs(33);

/// One broker: a process, or several after each other, at the same addresses.
#[derive(Debug)]
pub(crate) struct Broker {
    pub(crate) url: String,
    ready: String,
    settings: PathBuf,
    secret: PathBuf,
    log: PathBuf,
    child: Mutex<Option<Child>>,
    client: reqwest::Client,
    pub(crate) deaths: AtomicUsize,
    pub(crate) stops: AtomicUsize,
}

impl Broker {
    /// Starts one in a folder, with these settings and addresses of its own.
    pub(crate) async fn start(folder: &Path, name: &str, settings: &str) -> Self {
        let [kernel, internal, ops] = [(); 3].map(|()| free_port().unwrap());
        let file = folder.join(format!("{name}.toml"));
        let secret = folder.join("secret");
        let addresses = format!(
            "\n[kernel]\nlisten = \"127.0.0.1:{kernel}\"\n\n[internal]\nlisten = \"127.0.0.1:{internal}\"\n\
             shared_secret_file = \"{}\"\n\n[ops]\nlisten = \"127.0.0.1:{ops}\"\n",
            secret.display()
        );
        fs::write(&file, format!("{settings}{addresses}")).unwrap();
        let broker = Self {
            url: format!("http://127.0.0.1:{kernel}"),
            ready: format!("http://127.0.0.1:{ops}/readyz"),
            settings: file,
            secret,
            log: folder.join(format!("{name}.log")),
            child: Mutex::default(),
            client: loopback::client().unwrap(),
            deaths: AtomicUsize::new(0),
            stops: AtomicUsize::new(0),
        };
        broker.begin().await;
        broker
    }

    /// A process of it, from its start until it is ready.
    async fn begin(&self) {
        assert!(self.secret.exists());
        let log = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.log)
            .unwrap();
        let child = tokio::process::Command::new(PROGRAM)
            .env_clear()
            .arg("--config")
            .arg(&self.settings)
            .arg("serve")
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        *self.child.lock().unwrap() = Some(child);
        let end = Instant::now() + LONG;
        while !loopback::answers(&self.client, &self.ready).await {
            assert!(
                Instant::now() < end,
                "a broker does not start: {}",
                fs::read_to_string(&self.log).unwrap()
            );
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Kills and stops it at moments that follow from the seed, until the end.
    pub(crate) async fn disturb(&self, mut chance: Seeded, end: Instant) {
        let began = Instant::now();
        let mut long_stop = chance.below(2) == 0;
        loop {
            sleep(Duration::from_millis(300 + chance.below(3_000))).await;
            if Instant::now() >= end {
                return;
            }
            match chance.below(100) {
                0..55 => self.kill().await,
                55..90 => {
                    let early = began.elapsed() < Duration::from_secs(8);
                    let long = early && std::mem::take(&mut long_stop);
                    let short = Duration::from_millis(100 + chance.below(5_000));
                    self.stop(if long { LONG_STOP } else { short }).await;
                }
                _ => {}
            }
        }
    }

    /// Another process takes its place.
    async fn kill(&self) {
        self.end().await;
        self.deaths.fetch_add(1, Ordering::SeqCst);
        self.begin().await;
    }

    /// As the kernel does when memory ends: without a last word (-9). The process is gone afterwards.
    pub(crate) async fn end(&self) {
        let child = self.child.lock().unwrap().take();
        let mut child = child.unwrap();
        child.start_kill().unwrap();
        child.wait().await.unwrap();
    }

    async fn stop(&self, pause: Duration) {
        self.halt().await;
        self.stops.fetch_add(1, Ordering::SeqCst);
        sleep(pause).await;
        self.go_on();
    }

    /// All of it stands still afterwards: a thread may run on for a while after the signal was sent.
    pub(crate) async fn halt(&self) {
        self.signal("-STOP");
        while !self.stands_still() {
            sleep(Duration::from_millis(1)).await;
        }
    }

    fn stands_still(&self) -> bool {
        let threads = fs::read_dir(format!("/proc/{}/task", self.id())).unwrap();
        threads.flatten().all(|thread| {
            // The state follows the name, which is in parentheses. A thread that is not there any more does nothing.
            let status = fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
            let state = status.rsplit(") ").next().unwrap_or_default();
            state.is_empty() || state.starts_with(['T', 't'])
        })
    }

    pub(crate) fn go_on(&self) {
        self.signal("-CONT");
    }

    fn id(&self) -> String {
        let id = self.child.lock().unwrap().as_ref().unwrap().id();
        id.expect("it did not end by itself").to_string()
    }

    fn signal(&self, signal: &str) {
        let sent = Command::new("kill")
            .args([signal, &self.id()])
            .status()
            .unwrap();
        assert!(sent.success());
    }
}
