//! What `conn.token` costs in a notebook where the token is there already.

use std::process::Stdio;

use anyhow::ensure;
use hubkey_starters::tools;
use serde_json::json;
use tokio::process::Command;

use super::extent::{Built, Extent};
use super::figures::Spread;
use super::load::script;
use super::read::Stage;
use super::report::Section;

pub(crate) async fn measure(built: &Built, _: &Extent) -> anyhow::Result<Section> {
    let stage = Stage::start(built).await?;
    let output = Command::new(tools::python())
        .arg(script("conn_token.py"))
        .env("PYTHONPATH", &built.packages)
        .env("HUBKEY_URL", &stage.site.broker()?.url)
        .env("JUPYTERHUB_API_TOKEN", &stage.token)
        .stdin(Stdio::null())
        .output()
        .await?;
    ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let microseconds: Vec<f64> = serde_json::from_slice(&output.stdout)?;
    let spread = Spread::of(microseconds.iter().copied());
    Ok(Section {
        name: "python",
        title: "`conn.token` in Python",
        about: "The package of a release build, connected to the broker by the connection of the read above; `timeit` over \
                20,000 calls, 15 times. The token is in the kernel's memory: nobody is asked."
            .to_owned(),
        columns: vec!["call", "µs"],
        rows: vec![vec!["`conn.token`".to_owned(), spread.show(2)]],
        targets: Vec::new(),
        data: json!({ "microseconds": microseconds }),
    })
}
