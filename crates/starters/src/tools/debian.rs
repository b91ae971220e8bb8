//! What Debian's packages bring.

use std::path::Path;
use std::process::Command;

use anyhow::bail;

use super::base::{log, on_path, output_of};
use crate::console;

pub(super) fn has_fonts() -> bool {
    [
        "/usr/share/fonts/truetype",
        "/usr/share/fonts/opentype",
        "/usr/share/fonts/TTF",
    ]
    .iter()
    .any(|folder| {
        Path::new(folder)
            .read_dir()
            .is_ok_and(|mut entries| entries.next().is_some())
    })
}

/// `java -version` prints `openjdk version "17.0.15"`, and `"1.8.0"` for the old ones.
pub(super) fn has_java() -> bool {
    let Some(text) = output_of("java", &["-version"]) else {
        return false;
    };
    let major = text
        .split('"')
        .nth(1)
        .and_then(|version| version.split('.').next());
    major
        .and_then(|major| major.parse::<u32>().ok())
        .is_some_and(|major| major >= 17)
}

pub(super) fn has_python() -> bool {
    let check = "import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 10))";
    output_of("python3", &["-c", check]).is_some()
}

pub(super) fn has_r() -> bool {
    let check = "stopifnot(requireNamespace('httr2'), requireNamespace('jsonlite'))";
    output_of("Rscript", &["--vanilla", "-e", check]).is_some()
}

/// Installs packages, as root or by way of `sudo`.
pub(super) fn install(packages: &[&str]) -> anyhow::Result<()> {
    let root = rustix::process::geteuid().is_root();
    if !root && on_path("sudo").is_none() {
        bail!(
            "Run this as root once, or install sudo: apt-get install {}",
            packages.join(" ")
        );
    }
    let apt = |arguments: &[&str]| {
        let mut command = if root {
            Command::new("env")
        } else {
            let mut command = Command::new("sudo");
            command.arg("env");
            command
        };
        // Run level 1 keeps the new packages from starting services of their own.
        command
            .args(["DEBIAN_FRONTEND=noninteractive", "RUNLEVEL=1", "apt-get"])
            .args(arguments);
        command
    };
    let file = log("apt")?;
    console::run("apt-get update", &mut apt(&["update", "--quiet"]), &file)?;
    let mut arguments = vec!["install", "--yes", "--quiet", "--no-install-recommends"];
    arguments.extend_from_slice(packages);
    console::run("apt-get install", &mut apt(&arguments), &file)
}
