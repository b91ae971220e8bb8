//! A kernel of a user's server, driven without a browser: over the server's own API, as a front end does.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use hubkey_starters::jupyterhub::JupyterHub;
use hubkey_starters::process::checkout;
use hubkey_starters::tools;

const PATIENCE: Duration = Duration::from_mins(1);

/// Whether somebody sits in front of the notebook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// A person who can click a link: what JupyterLab tells its kernels.
    Person,
    /// Nobody: what `nbconvert --execute` and papermill tell theirs.
    Nobody,
}

/// Something that a running cell told.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub enum Event {
    /// The kernel is there.
    Ready {
        /// Its id at the server.
        kernel: String,
    },
    /// Text on standard output or standard error.
    Stream {
        /// `stdout` or `stderr`.
        name: String,
        /// The text.
        text: String,
    },
    /// A rich output, or the value of the last line.
    Display {
        /// By MIME type.
        data: Map<String, Value>,
        /// The id under which it can be replaced.
        id: Option<String>,
        /// Whether it replaces the one of the same id.
        update: bool,
    },
    /// An exception that ended the cell.
    Error {
        /// Its class.
        name: String,
        /// Its text.
        text: String,
        /// What the notebook shows, line by line, with colours.
        traceback: Vec<String>,
    },
    /// The kernel runs the cell.
    Begun,
    /// The cell has ended.
    Done {
        /// `ok`, `error` or `aborted`.
        status: String,
    },
    /// The connection to the kernel ended.
    Lost {
        /// Why.
        reason: String,
    },
}

/// What a finished cell shows.
#[derive(Debug, Clone, Default)]
pub struct CellOutput {
    /// Standard output, standard error and the plain text of what is displayed, in their order.
    pub text: String,
    /// The rich outputs as they stand at the end.
    pub displays: Vec<Map<String, Value>>,
    /// Class and text of the exception that ended the cell.
    pub error: Option<(String, String)>,
    /// The traceback as the notebook shows it.
    pub traceback: String,
    /// Everything that was ever displayed or printed, replaced outputs too: what a leak test reads.
    pub everything: String,
}

impl CellOutput {
    /// The HTML of all displays.
    #[must_use]
    pub fn html(&self) -> String {
        let parts = self
            .displays
            .iter()
            .filter_map(|data| data.get("text/html")?.as_str());
        parts.collect::<Vec<_>>().join("\n")
    }

    /// The text, if the cell ended without an exception.
    pub fn ok(self) -> anyhow::Result<String> {
        match self.error {
            None => Ok(self.text),
            Some((name, text)) => bail!("the cell raised {name}: {text}\n{}", self.traceback),
        }
    }
}

/// A running kernel. It is deleted when this is dropped.
#[derive(Debug)]
pub struct Kernel {
    // Reaped when dropped; it ends by itself when its input closes.
    _driver: Child,
    input: ChildStdin,
    events: Lines<BufReader<ChildStdout>>,
    id: String,
    begun: bool,
    output: CellOutput,
    shown: Vec<(Option<String>, Map<String, Value>)>,
}

impl Kernel {
    /// Starts a kernel on a running server of a user, in front of a person.
    pub async fn start(hub: &JupyterHub, user: &str, server: &str) -> anyhow::Result<Self> {
        Self::start_for(hub, user, server, Audience::Person).await
    }

    /// Starts a kernel on a running server of a user.
    pub async fn start_for(
        hub: &JupyterHub,
        user: &str,
        server: &str,
        audience: Audience,
    ) -> anyhow::Result<Self> {
        tools::require(&["python packages"])?;
        let mut driver = Command::new(tools::python())
            .arg(checkout().join("e2e/tools/kernel.py"))
            .arg(hub.server_url(user, server))
            .arg(if audience == Audience::Person {
                "person"
            } else {
                "nobody"
            })
            .env("SERVER_TOKEN", hub.tests_token())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let input = driver.stdin.take().context("the driver has no input")?;
        let output = driver.stdout.take().context("the driver has no output")?;
        let mut kernel = Self {
            _driver: driver,
            input,
            events: BufReader::new(output).lines(),
            id: String::new(),
            begun: false,
            output: CellOutput::default(),
            shown: Vec::new(),
        };
        match kernel.next(PATIENCE).await? {
            Event::Ready { kernel: id } => kernel.id = id,
            other => bail!("the kernel of {user} began with {other:?}"),
        }
        Ok(kernel)
    }

    /// Its id at the server.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Runs a cell to its end.
    pub async fn run(&mut self, code: &str) -> anyhow::Result<CellOutput> {
        self.begin(code).await?;
        self.finish(PATIENCE).await
    }

    /// Starts a cell.
    pub async fn begin(&mut self, code: &str) -> anyhow::Result<()> {
        self.output = CellOutput::default();
        self.begun = false;
        self.shown.clear();
        self.command(&json!({ "do": "execute", "code": code }))
            .await
    }

    /// Waits until the running cell shows a link, and gives its address.
    pub async fn link(&mut self) -> anyhow::Result<String> {
        loop {
            let event = self.next(PATIENCE).await.context("no link appeared")?;
            match &event {
                Event::Display { data, .. } => {
                    let html = data.get("text/html").and_then(Value::as_str);
                    if let Some(link) = html.and_then(first_link) {
                        return Ok(link);
                    }
                }
                Event::Done { status } => {
                    bail!(
                        "the cell ended ({status}) without a link:\n{}",
                        self.output.everything
                    )
                }
                _ => {}
            }
        }
    }

    /// Waits for the end of the running cell.
    pub async fn finish(&mut self, limit: Duration) -> anyhow::Result<CellOutput> {
        loop {
            match self.next(limit).await? {
                Event::Done { .. } => break,
                Event::Lost { reason } => bail!("the kernel is gone: {reason}"),
                _ => {}
            }
        }
        let mut output = std::mem::take(&mut self.output);
        output.displays = std::mem::take(&mut self.shown)
            .into_iter()
            .map(|(_, data)| data)
            .collect();
        for data in &output.displays {
            if let Some(text) = data.get("text/plain").and_then(Value::as_str) {
                output.text.push_str(text);
                output.text.push('\n');
            }
        }
        Ok(output)
    }

    /// Presses Stop.
    pub async fn interrupt(&mut self) -> anyhow::Result<()> {
        self.command(&json!({ "do": "interrupt" })).await
    }

    /// Presses "Restart kernel", and waits until it is there again.
    pub async fn restart(&mut self) -> anyhow::Result<()> {
        self.command(&json!({ "do": "restart" })).await?;
        match self.next(PATIENCE).await? {
            Event::Ready { kernel } if kernel == self.id => Ok(()),
            other => bail!("the restart ended with {other:?}"),
        }
    }

    /// The next thing that the cell tells.
    pub async fn next(&mut self, limit: Duration) -> anyhow::Result<Event> {
        let line = tokio::time::timeout(limit, self.events.next_line())
            .await
            .with_context(|| {
                let begun = if self.begun { "runs" } else { "has not begun" };
                format!("the kernel said nothing for {limit:?}, its cell {begun}")
            })??
            .context("the kernel's driver has ended; its words are on standard error")?;
        let event: Event = serde_json::from_str(&line)?;
        self.note(&event);
        Ok(event)
    }

    fn note(&mut self, event: &Event) {
        match event {
            Event::Stream { text, .. } => {
                self.output.text.push_str(text);
                self.output.everything.push_str(text);
            }
            Event::Display { data, id, update } => {
                self.output
                    .everything
                    .push_str(&Value::Object(data.clone()).to_string());
                let known = self
                    .shown
                    .iter_mut()
                    .find(|(known, _)| known.is_some() && known == id);
                match known {
                    Some((_, shown)) if *update => shown.clone_from(data),
                    _ => self.shown.push((id.clone(), data.clone())),
                }
            }
            Event::Error {
                name,
                text,
                traceback,
            } => {
                self.output.error = Some((name.clone(), text.clone()));
                self.output.traceback = traceback.join("\n");
                self.output.everything.push_str(&self.output.traceback);
            }
            Event::Begun => self.begun = true,
            Event::Ready { .. } | Event::Done { .. } | Event::Lost { .. } => {}
        }
    }

    async fn command(&mut self, command: &Value) -> anyhow::Result<()> {
        self.input
            .write_all(format!("{command}\n").as_bytes())
            .await?;
        self.input.flush().await?;
        Ok(())
    }
}

/// The address of the first link in some HTML.
fn first_link(html: &str) -> Option<String> {
    let (_, rest) = html.split_once("href=\"")?;
    let (address, _) = rest.split_once('"')?;
    Some(address.replace("&amp;", "&"))
}

#[cfg(test)]
mod tests {
    use super::first_link;

    #[test]
    fn a_link_is_read_out_of_a_card() {
        let card = r#"<div><a target="_blank" href="http://127.0.0.1:1/start/x?a=1&amp;b=2">Sign in</a></div>"#;
        assert_eq!(
            first_link(card).as_deref(),
            Some("http://127.0.0.1:1/start/x?a=1&b=2")
        );
        assert_eq!(first_link("<b>done</b>"), None);
    }
}
