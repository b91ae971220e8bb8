//! What builds the documentation site: Zensical, and griffe for the reference of the Python package.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Context as _;

use super::base::{cache_folder, is_complete, log, on_path, once, short_hash};
use crate::console;

const REQUIREMENTS: &[u8] = include_bytes!("../../../../e2e/tools/site-requirements.txt");

fn folder() -> PathBuf {
    let python = on_path("python3").and_then(|path| path.canonicalize().ok());
    let python = python.unwrap_or_default();
    let hash = short_hash(&[REQUIREMENTS, python.as_os_str().as_encoded_bytes()]);
    cache_folder().join(format!("site-{hash}"))
}

/// A command of that environment: `zensical`, `python`.
#[must_use]
pub fn command(name: &str) -> PathBuf {
    folder().join("bin").join(name)
}

pub(super) fn present() -> bool {
    is_complete(&folder())
}

pub(super) fn install() -> anyhow::Result<()> {
    let folder = folder();
    once(&folder, || {
        let system = on_path("python3").context("python3 is missing")?;
        let mut make = Command::new(system);
        make.args(["-m", "venv"]).arg(&folder);
        console::run("python3 -m venv", &mut make, &log("site-venv")?)?;
        let list = folder.join("requirements.txt");
        std::fs::write(&list, REQUIREMENTS)?;
        let mut pip = Command::new(command("python"));
        pip.args(["-m", "pip", "install", "--quiet"])
            .args(["--disable-pip-version-check", "--requirement"])
            .arg(&list);
        console::run("pip install", &mut pip, &log("site-pip")?)
    })
}
