//! The Helm chart: its schema, and the tests in `k8s/tests`, which render it with Helm 3 and Helm 4.

use std::path::Path;

use anyhow::{Context as _, ensure};
use hubkey_e2e::stack::servers;
use hubkey_starters::tools;

use super::{Outcome, StepContext, python};
use crate::report::Count;

/// Made of `k8s/schema/values.schema.yaml` and of the settings that the programs tell.
pub(super) const SCHEMA: &str = "k8s/hubkey/values.schema.json";

pub(crate) fn run(context: &StepContext) -> Outcome {
    let programs = servers::build()?;
    let mut pytest = std::process::Command::new(tools::chart::python());
    pytest
        .args(["-m", "pytest", "-q", "-p", "no:cacheprovider"])
        .env("HUBKEY_CHART_TOOLS", tools::chart::folder())
        .env("HUBKEY_PROGRAMS", programs)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .current_dir(context.root().join("k8s/tests"));
    python::run_pytest(context, "chart tests", pytest, Count::default())
}

/// The schema of the chart's values, as it should be now.
pub(super) fn schema(context: &StepContext, programs: &Path) -> anyhow::Result<String> {
    let mut make = context.python_command("python");
    make.arg("k8s/schema/make.py")
        .args(["token-broker", "callback-server"].map(|program| programs.join(program)));
    let output = make.output().context("starting k8s/schema/make.py")?;
    ensure!(
        output.status.success(),
        "k8s/schema/make.py: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8(output.stdout)?)
}
