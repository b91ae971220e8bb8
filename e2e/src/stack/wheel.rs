//! The Python package as a user would install it: a wheel, built by maturin, unpacked into a folder of its own.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;

use hubkey_starters::{console, process, tools};

/// Builds the wheel and installs it; gives the folder to be put on `PYTHONPATH`.
///
/// The folder belongs to this checkout's target folder, so that checkouts do not overwrite each other's package.
pub fn install() -> anyhow::Result<PathBuf> {
    install_as("dev", "python")
}

/// The same as for a release, in a folder of its own.
pub fn install_optimised() -> anyhow::Result<PathBuf> {
    // Not `bench`: `cargo rustc`, which maturin calls, makes a test of the library in that profile.
    install_as("release", "python-optimised")
}

fn install_as(profile: &str, name: &str) -> anyhow::Result<PathBuf> {
    tools::require(&["python packages"])?;
    let target = target_folder()?;
    let folder = target.join(name);
    let _one_at_a_time = tools::lock(&folder)?;
    let wheels = target.join(format!("wheels-{name}"));
    if wheels.exists() {
        std::fs::remove_dir_all(&wheels)?;
    }
    std::fs::create_dir_all(&wheels)?;
    let mut build = Command::new(tools::python_bin().join("maturin"));
    build
        .args(["build", "--quiet", "--locked", "--profile", profile])
        .arg("--manifest-path")
        .arg(process::checkout().join("crates/python-shim/Cargo.toml"))
        .arg("--interpreter")
        .arg(tools::python())
        .arg("--out")
        .arg(&wheels);
    console::run("maturin build", &mut build, &target.join("maturin.log"))?;
    let wheel = only_file(&wheels)?;
    unpack(&wheel, &folder)
}

/// Replaces the folder by the content of the wheel. An unchanged wheel leaves it alone: someone may be using it.
fn unpack(wheel: &Path, folder: &Path) -> anyhow::Result<PathBuf> {
    let bytes = std::fs::read(wheel)?;
    let mark = folder.join(".wheel");
    let hash = tools::short_hash(&[&bytes]);
    if std::fs::read_to_string(&mark).is_ok_and(|known| known == hash) {
        return Ok(folder.to_path_buf());
    }
    if folder.exists() {
        std::fs::remove_dir_all(folder)?;
    }
    let mut install = Command::new(tools::python());
    install
        .args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
        ])
        .args(["--no-index", "--no-deps", "--target"])
        .arg(folder)
        .arg(wheel);
    console::run(
        "pip install hubkey",
        &mut install,
        &folder.with_extension("log"),
    )?;
    std::fs::write(mark, hash)?;
    Ok(folder.to_path_buf())
}

fn only_file(folder: &Path) -> anyhow::Result<PathBuf> {
    let entry = folder
        .read_dir()?
        .flatten()
        .next()
        .context("maturin made no wheel")?;
    Ok(entry.path())
}

/// Cargo's target folder: this program runs from below it.
pub fn target_folder() -> anyhow::Result<PathBuf> {
    let program = std::env::current_exe()?;
    let profile = program
        .ancestors()
        .find(|folder| folder.ends_with("debug") || folder.ends_with("release"))
        .context("this program does not run from cargo's target folder")?;
    Ok(profile.parent().unwrap_or(profile).to_path_buf())
}
