//! What the tests of the Helm chart need: Helm 3 and 4, kubectl, KubeSpawner and a validator of manifests.

use std::path::PathBuf;
use std::process::Command;

use super::base::{is_complete, log, once};
use super::venv;
use crate::console;

const REQUIREMENTS: &[u8] = include_bytes!("../../../../e2e/tools/chart-requirements.txt");
const SHARED_VERSIONS: &[u8] = include_bytes!("../../../../e2e/tools/requirements.txt");
const GET_HELM: &[u8] = include_bytes!("../../../../e2e/tools/get_helm.py");

/// The folder of these tools: `helm-3/helm`, `helm-4/helm`, `helm-4/kubectl`, `python/bin/python`.
#[must_use]
pub fn folder() -> PathBuf {
    venv::folder("chart", &[REQUIREMENTS, SHARED_VERSIONS, GET_HELM])
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
        let environment = folder.join("python");
        venv::make(&environment, "chart", REQUIREMENTS, Some(SHARED_VERSIONS))?;
        let script = folder.join("get_helm.py");
        std::fs::write(&script, GET_HELM)?;
        let mut fetch = Command::new(python());
        fetch.arg(&script).arg(&folder);
        console::run("pip download helm", &mut fetch, &log("helm")?)
    })
}
