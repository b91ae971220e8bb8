//! The command `hubkey` as one program, with nothing of the system around it.

use std::fs;
use std::path::PathBuf;

use anyhow::ensure;
use hubkey_e2e::stack::static_command;
use hubkey_fakes::loopback;

use crate::support::command::Hubkey;
use crate::support::{Guest, Outcome, encrypted};

#[tokio::test]
async fn feature_k11_the_static_command_needs_nothing_of_the_system() -> Outcome {
    let guest = Guest::on(encrypted().await?).await?;
    let root = bare_root(&guest)?;
    let untrusting = Hubkey::of(&guest).await?.in_root(&root, "/hubkey");
    let hubkey = untrusting.with("HUBKEY_CA_FILE", "/ca.pem");

    let version = hubkey.run(&["--version"]).await?.answer()?;
    ensure!(version.starts_with("hubkey "), "{version}");
    // There are no authorities of a system here, and it brings none of its own.
    let told = untrusting.run(&["token", "lab-api"]).await?;
    ensure!(
        told.code == Some(2) && told.told.contains("no authority"),
        "{told:?}"
    );
    let checked = hubkey.run(&["doctor"]).await?;
    ensure!(
        checked.code == Some(0) && checked.out.contains("its certificate is trusted"),
        "{}",
        checked.out
    );

    let browser = guest.browser().await?;
    let link = hubkey.run(&["token", "lab-api"]).await?.link()?;
    guest.sign_in(&browser, &link).await?;
    let header = hubkey.run(&["header", "lab-api"]).await?.answer()?;
    let value = header.trim_end().trim_start_matches("Authorization: ");
    let projects = format!("{}/projects", guest.stack.lab_api.url());
    let asked = loopback::client()?
        .get(projects)
        .header("authorization", value);
    let answer = asked.send().await?.error_for_status()?.text().await?;
    ensure!(answer.contains("aurora"), "{answer}");
    Ok(())
}

/// A folder with the program and the certificate of the broker's authority, and nothing else.
fn bare_root(guest: &Guest) -> anyhow::Result<PathBuf> {
    let folder = guest.stack.run.folder("bare-root")?;
    fs::copy(static_command::build("dev")?, folder.join("hubkey"))?;
    let authority = guest.stack.run.join("kernel-tls/ca.pem");
    fs::copy(authority, folder.join("ca.pem"))?;
    Ok(folder)
}
