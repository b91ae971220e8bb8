//! The program with settings of a test's own.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Output, Stdio};
use std::time::Duration;

use hubkey_starters::process::free_port;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

const PROGRAM: &str = env!("CARGO_BIN_EXE_token-broker");
/// Longer than anything here takes; a test that waits this long has failed.
const LONG: Duration = Duration::from_mins(1);

/// Settings that are in order, in a folder of their own.
pub(crate) struct Program {
    pub(crate) folder: tempfile::TempDir,
    variables: BTreeMap<String, String>,
    provider: String,
}

impl Program {
    /// Everything on loopback, everything else over https, no Redis.
    pub(crate) fn new() -> Self {
        let address = || format!("127.0.0.1:{}", free_port().unwrap());
        let variables = [
            ("HUBKEY_PUBLIC_URL", "https://hubkey.example.org".to_owned()),
            ("HUBKEY_KERNEL_LISTEN", address()),
            ("HUBKEY_INTERNAL_LISTEN", address()),
            ("HUBKEY_INTERNAL_SHARED_SECRET", "c".repeat(32)),
            ("HUBKEY_OPS_LISTEN", address()),
            (
                "HUBKEY_HUB_API_URL",
                "https://hub.example.org/hub/api".to_owned(),
            ),
            (
                "HUBKEY_HUB_PUBLIC_URL",
                "https://hub.example.org".to_owned(),
            ),
            (
                "HUBKEY_HUB_API_TOKEN",
                "the-api-token-of-the-service".to_owned(),
            ),
            ("HUBKEY_LOG_FORMAT", "json".to_owned()),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value));
        Self {
            folder: tempfile::tempdir().unwrap(),
            variables: variables.into(),
            provider: "issuer = \"https://login.example.org\"".to_owned(),
        }
    }

    /// One more variable, or another value.
    pub(crate) fn set(mut self, name: &str, value: impl Into<String>) -> Self {
        self.variables
            .insert(format!("HUBKEY_{name}"), value.into());
        self
    }

    /// What a variable is set to.
    pub(crate) fn get(&self, name: &str) -> &str {
        &self.variables[&format!("HUBKEY_{name}")]
    }

    /// Other lines of the provider.
    pub(crate) fn provider(mut self, lines: &str) -> Self {
        lines.clone_into(&mut self.provider);
        self
    }

    /// Redis at this address, with the key files that it asks for.
    pub(crate) fn redis(self, url: &str) -> Self {
        let key = |name: &str, bytes: u8| {
            let path = self.folder.path().join(name);
            std::fs::write(&path, (bytes..bytes + 32).collect::<Vec<_>>()).unwrap();
            path.display().to_string()
        };
        let (sealing, index) = (key("sealing", 0), key("index", 100));
        self.set("REDIS_URL", url)
            .set("KEYS_ENCRYPTION_KEY_FILES", sealing)
            .set("KEYS_LOOKUP_MAC_KEY_FILE", index)
    }

    /// The mistakes that `check-config` tells; empty where it finds none.
    pub(crate) async fn mistakes(&self) -> String {
        let output = self.command("check-config").output().await.unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.success(), told.is_empty(), "{told}");
        told
    }

    /// What it logs and says until it ends by itself.
    pub(crate) async fn fails(&self) -> String {
        let output: Output = timeout(LONG, self.command("serve").output())
            .await
            .unwrap()
            .unwrap();
        assert!(!output.status.success());
        [output.stdout, output.stderr]
            .map(|bytes| String::from_utf8(bytes).unwrap())
            .concat()
    }

    /// Starts it and waits until it is ready; gives what it logged until then.
    pub(crate) async fn start(&self) -> (Child, String) {
        let mut child = self
            .command("serve")
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut log = String::new();
        while let Some(line) = timeout(LONG, lines.next_line()).await.unwrap().unwrap() {
            log += &line;
            if line.contains(r#""message":"ready""#) {
                // Whoever logs into a pipe that nobody reads is stopped by it.
                tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
                return (child, log);
            }
        }
        panic!("it did not become ready: {log}");
    }

    fn command(&self, verb: &str) -> Command {
        let file: PathBuf = self.folder.path().join("token-broker.toml");
        let provider = format!(
            "[providers.lab-api]\n{}\nclient_id = \"hubkey\"\ntoken_endpoint_auth_method = \"none\"\n",
            self.provider
        );
        std::fs::write(&file, provider).unwrap();
        // Service managers and container runtimes start programs with this soft limit.
        let few_files = r#"ulimit -Sn 1024; exec "$0" "$@""#;
        let mut command = Command::new("/bin/sh");
        command
            .env_clear()
            .envs(&self.variables)
            .args(["-c", few_files, PROGRAM])
            .arg("--config")
            .arg(file)
            .arg(verb)
            .kill_on_drop(true);
        command
    }
}
