//! The command `hubkey` as one program that needs nothing of the system: no shared library, no loader, no C library.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};

use crate::stack::servers;
use hubkey_starters::tools;

/// What it is made with, as [`tools`] calls them.
pub const TOOLS: [&str; 2] = ["musl", "rust for musl"];

/// Builds it in a profile of cargo, and makes sure that it is what it should be.
pub fn build(profile: &str) -> anyhow::Result<PathBuf> {
    tools::require(&TOOLS)?;
    let triple = tools::musl_target();
    let what = [
        "--package",
        "hubkey-cli",
        "--profile",
        profile,
        "--target",
        &triple,
    ];
    let target = servers::cargo_build("cargo build for musl", "static-command", &what)?;
    let folder = if profile == "dev" { "debug" } else { profile };
    let program = target.join(triple).join(folder).join("hubkey");
    ensure_static(&program)?;
    Ok(program)
}

/// Fails if a program asks for a loader or for shared libraries.
pub fn ensure_static(program: &Path) -> anyhow::Result<()> {
    let output = Command::new(tools::program("readelf")?)
        .args(["--wide", "--program-headers", "--dynamic"])
        .arg(program)
        .env("LC_ALL", "C")
        .output()
        .context("readelf cannot be run")?;
    let said = String::from_utf8_lossy(&output.stdout);
    let lines: Vec<&str> = said.lines().map(str::trim).collect();
    let name = program.display();
    ensure!(
        output.status.success() && lines.iter().any(|line| line.starts_with("LOAD ")),
        "{name} is no program"
    );
    let asks = |line: &&&str| line.starts_with("INTERP ") || line.contains("(NEEDED)");
    let asked: Vec<&str> = lines.iter().filter(asks).copied().collect();
    ensure!(
        asked.is_empty(),
        "{name} needs more than itself:\n{}",
        asked.join("\n")
    );
    Ok(())
}

/// How a program is started in a root folder in which nothing of the system is: the words before the program's own path
/// in there.
#[must_use]
pub fn in_root(folder: &Path) -> Vec<OsString> {
    let folder = folder.as_os_str().to_owned();
    if rustix::process::geteuid().is_root() {
        return vec!["chroot".into(), folder];
    }
    let own = ["unshare", "--map-root-user", "--root"].map(OsString::from);
    own.into_iter().chain([folder]).collect()
}

#[cfg(test)]
mod tests {
    use super::ensure_static;

    #[test]
    fn a_program_that_needs_a_loader_is_recognised() {
        let own = std::env::current_exe().unwrap();
        let said = ensure_static(&own).unwrap_err().to_string();
        assert!(
            said.contains("INTERP") && said.contains("(NEEDED)"),
            "{said}"
        );
        assert!(ensure_static("Cargo.toml".as_ref()).is_err());
    }
}
