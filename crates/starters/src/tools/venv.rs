//! Python environments in the cache folder, each with what a list of packages names.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;

use super::base::{cache_folder, log, on_path, short_hash};
use crate::console;

/// The folder of an environment: its name carries the hash of what was asked for, and of the Python that made it, since it
/// belongs to that one.
pub(super) fn folder(name: &str, asked_for: &[&[u8]]) -> PathBuf {
    let python = on_path("python3").and_then(|path| path.canonicalize().ok());
    let python = python.unwrap_or_default();
    let hash = short_hash(&[asked_for, &[python.as_os_str().as_encoded_bytes()]].concat());
    cache_folder().join(format!("{name}-{hash}"))
}

/// Makes an environment, and installs what a list names into it: in the versions of `constraints` where the list has none.
pub(super) fn make(
    environment: &Path,
    name: &str,
    requirements: &[u8],
    constraints: Option<&[u8]>,
) -> anyhow::Result<()> {
    let system = on_path("python3").context("python3 is missing")?;
    let mut make = Command::new(system);
    make.args(["-m", "venv"]).arg(environment);
    let log_of = |part: &str| log(&format!("{name}-{part}"));
    console::run("python3 -m venv", &mut make, &log_of("venv")?)?;
    let mut pip = Command::new(environment.join("bin/python"));
    pip.args(["-m", "pip", "install", "--quiet"])
        .arg("--disable-pip-version-check");
    let lists = [
        ("--requirement", Some(requirements)),
        ("--constraint", constraints),
    ];
    for (option, list) in lists {
        if let Some(list) = list {
            let file = environment.join(format!("{}.txt", option.trim_start_matches('-')));
            std::fs::write(&file, list)?;
            pip.arg(option).arg(file);
        }
    }
    console::run("pip install", &mut pip, &log_of("pip")?)
}
