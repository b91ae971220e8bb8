//! What builds the documentation site: Zensical, and griffe for the reference of the Python package.

use std::path::PathBuf;

use super::base::{is_complete, once};
use super::venv;

const REQUIREMENTS: &[u8] = include_bytes!("../../../../e2e/tools/site-requirements.txt");

fn folder() -> PathBuf {
    venv::folder("site", &[REQUIREMENTS])
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
    once(&folder, || venv::make(&folder, "site", REQUIREMENTS, None))
}
