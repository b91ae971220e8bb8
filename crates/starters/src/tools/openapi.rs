//! What reads the OpenAPI document as others do: two validators, and a generator of clients.

use std::path::PathBuf;
use std::process::Command;

use super::base::{cache_folder, is_complete, once, short_hash};
use super::{cache, venv};

const REQUIREMENTS: &[u8] = include_bytes!("../../../../e2e/tools/openapi-requirements.txt");
const VALIDATOR: &[u8] = include_bytes!("../../../../e2e/tools/openapi-validator/package.json");
const VALIDATOR_LOCK: &[u8] =
    include_bytes!("../../../../e2e/tools/openapi-validator/package-lock.json");

fn environment() -> PathBuf {
    venv::folder("openapi", &[REQUIREMENTS])
}

fn validator_folder() -> PathBuf {
    let hash = short_hash(&[VALIDATOR, VALIDATOR_LOCK]);
    cache_folder().join(format!("openapi-validator-{hash}"))
}

/// A command of the Python packages: `openapi-spec-validator`, `openapi-python-client`, `python`.
#[must_use]
pub fn command(name: &str) -> Command {
    let programs = environment().join("bin");
    let mut command = Command::new(programs.join(name));
    // The generator calls a formatter that lies beside it.
    command.env("PATH", programs);
    command
}

/// The validator that is not made of the same libraries.
pub fn other_validator() -> anyhow::Result<Command> {
    let script = "node_modules/@seriousme/openapi-schema-validator/bin/validate-api-cli.js";
    let mut command = Command::new(cache::node()?);
    command.arg(validator_folder().join(script));
    Ok(command)
}

pub(super) fn present() -> bool {
    is_complete(&environment()) && is_complete(&validator_folder())
}

pub(super) fn install() -> anyhow::Result<()> {
    let environment = environment();
    once(&environment, || {
        venv::make(&environment, "openapi", REQUIREMENTS, None)
    })?;
    cache::npm_ci(&validator_folder(), VALIDATOR, VALIDATOR_LOCK)
}
