//! What the tests of the Helm chart need: Helm 3 and 4, kubectl, KubeSpawner and a validator of manifests.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Context as _;

use super::base::{cache_folder, is_complete, log, on_path, once, short_hash};
use crate::console;

const REQUIREMENTS: &[u8] = include_bytes!("../../../../e2e/tools/chart-requirements.txt");
const SHARED_VERSIONS: &[u8] = include_bytes!("../../../../e2e/tools/requirements.txt");
const GET_HELM: &[u8] = include_bytes!("../../../../e2e/tools/get_helm.py");

/// The folder of these tools: `helm-3/helm`, `helm-4/helm`, `helm-4/kubectl`, `python/bin/python`.
#[must_use]
pub fn folder() -> PathBuf {
    let python = on_path("python3").and_then(|path| path.canonicalize().ok());
    let python = python.unwrap_or_default();
    let python = python.as_os_str().as_encoded_bytes();
    let hash = short_hash(&[REQUIREMENTS, SHARED_VERSIONS, GET_HELM, python]);
    cache_folder().join(format!("chart-{hash}"))
}

/// The Python with KubeSpawner and the validator.
#[must_use]
pub fn python() -> PathBuf {
    folder().join("python/bin/python")
}

/// Helm, the newest version that the tests use.
#[must_use]
pub fn helm() -> PathBuf {
    folder().join("helm-4/helm")
}

/// kubectl.
#[must_use]
pub fn kubectl() -> PathBuf {
    folder().join("helm-4/kubectl")
}

pub(super) fn present() -> bool {
    is_complete(&folder())
}

pub(super) fn install() -> anyhow::Result<()> {
    let folder = folder();
    once(&folder, || {
        let system = on_path("python3").context("python3 is missing")?;
        let mut make = Command::new(system);
        make.args(["-m", "venv"]).arg(folder.join("python"));
        console::run("python3 -m venv", &mut make, &log("chart-venv")?)?;
        let (list, versions) = (folder.join("list.txt"), folder.join("versions.txt"));
        std::fs::write(&list, REQUIREMENTS)?;
        std::fs::write(&versions, SHARED_VERSIONS)?;
        let mut pip = Command::new(python());
        pip.args(["-m", "pip", "install", "--quiet"])
            .args(["--disable-pip-version-check", "--requirement"])
            .arg(&list)
            .arg("--constraint")
            .arg(&versions);
        console::run("pip install", &mut pip, &log("chart-pip")?)?;
        let script = folder.join("get_helm.py");
        std::fs::write(&script, GET_HELM)?;
        let mut fetch = Command::new(python());
        fetch.arg(&script).arg(&folder);
        console::run("pip download helm", &mut fetch, &log("helm")?)
    })
}
