//! What the developer's commands say on the terminal, and child programs that run with a sign of life.

use std::fs::File;
use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

/// How often a long step says that it is still at work.
const SIGN_OF_LIFE: Duration = Duration::from_secs(10);

/// Writes one line to standard output. A closed output is no reason to stop.
pub fn say(line: impl AsRef<str>) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{}", line.as_ref());
    let _ = out.flush();
}

/// Asks a yes-or-no question on the terminal; no terminal means no.
#[must_use]
pub fn ask(question: &str) -> bool {
    if !io::stdin().is_terminal() {
        return false;
    }
    let mut out = io::stdout().lock();
    let _ = write!(out, "{question} [y/N] ");
    let _ = out.flush();
    drop(out);
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).is_ok()
        && matches!(answer.trim(), "y" | "Y" | "yes" | "Yes")
}

/// Runs a program to its end with its output in a file, and says every few seconds that it is still at work.
///
/// # Errors
///
/// If it cannot be started or fails; the error carries the end of its output.
pub fn run(label: &str, command: &mut Command, log: &Path) -> anyhow::Result<()> {
    let output = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
    let program = command.get_program().to_string_lossy().into_owned();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output)
        .spawn()
        .with_context(|| format!("cannot start {program}"))?;
    let started = Instant::now();
    let mut next_sign = SIGN_OF_LIFE;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if started.elapsed() >= next_sign {
            say(format!("    … {label}, {} s", started.elapsed().as_secs()));
            next_sign += SIGN_OF_LIFE;
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    if !status.success() {
        bail!("{label}: {program} ended with {status}\n{}", tail(log, 25));
    }
    Ok(())
}

/// The end of a log, after its first complaints: a long stack trace hides them.
#[must_use]
pub fn tail(path: &Path, lines: usize) -> String {
    const COMPLAINTS: usize = 5;
    let Ok(bytes) = std::fs::read(path) else {
        return format!("({} cannot be read)", path.display());
    };
    let text = String::from_utf8_lossy(&bytes);
    let all: Vec<&str> = text.lines().collect();
    let (before, end) = all.split_at(all.len().saturating_sub(lines));
    let complaints = before.iter().filter(|line| line.contains("ERROR"));
    let shown: Vec<&str> = complaints.take(COMPLAINTS).chain(end).copied().collect();
    shown.join("\n")
}
