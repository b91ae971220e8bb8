//! The OpenAPI document as others read it: two validators, and a client that a generator made of it.

use std::path::Path;
use std::process::Command;

use anyhow::ensure;
use hubkey_starters::process::{artifacts, checkout};
use hubkey_starters::tools::{self, openapi};

use crate::support::command::Hubkey;
use crate::support::{Guest, Outcome};

const DOCUMENT: &str = "docs/reference/openapi.json";
/// A sign-in, a token and a request by the generated client.
const SCRIPT: &str = "e2e/tests/outside/on_processes/operation/generated_client.py";

/// What a program printed, if it succeeded.
fn printed(command: &mut Command) -> anyhow::Result<String> {
    let output = command.output()?;
    let told = [output.stdout, output.stderr].concat();
    let told = String::from_utf8_lossy(&told).into_owned();
    ensure!(output.status.success(), "{command:?}: {told}");
    Ok(told)
}

#[test]
fn found_k1_two_validators_take_the_openapi_document() -> Outcome {
    tools::require(&["openapi"])?;
    let document = checkout().join(DOCUMENT);
    printed(openapi::command("openapi-spec-validator").arg(&document))?;
    printed(openapi::other_validator()?.arg(&document))?;
    // The form that one of them was seen to take, and the other not.
    let text = std::fs::read_to_string(&document)?;
    let broken = text.replacen("\"description\": \"The connections\",", "", 1);
    ensure!(broken != text, "there is no such description any more");
    let folder = artifacts().join("openapi");
    std::fs::create_dir_all(&folder)?;
    let file = folder.join("broken.json");
    std::fs::write(&file, broken)?;
    for mut validator in [
        openapi::command("openapi-spec-validator"),
        openapi::other_validator()?,
    ] {
        ensure!(
            printed(validator.arg(&file)).is_err(),
            "{validator:?} takes anything"
        );
    }
    Ok(())
}

/// Generates the client; a warning of the generator means that something is missing in it.
fn generate(folder: &Path) -> Outcome {
    let mut generator = openapi::command("openapi-python-client");
    generator
        .args(["generate", "--meta", "none", "--fail-on-warning", "--path"])
        .arg(checkout().join(DOCUMENT))
        .arg("--output-path")
        .arg(folder.join("kernel_api"));
    printed(&mut generator)?;
    Ok(())
}

#[tokio::test]
async fn found_k1_a_generated_client_signs_in_and_reads_a_token() -> Outcome {
    tools::require(&["openapi"])?;
    let guest = Guest::new().await?;
    let (hubkey, browser) = (Hubkey::of(&guest).await?, guest.browser().await?);
    generate(&hubkey.home)?;
    let python = openapi::command("python").get_program().to_owned();
    let script = checkout().join(SCRIPT).display().to_string();
    let mut client = hubkey
        .of_program(python)
        .with("PYTHONPATH", &hubkey.home.display().to_string())
        .start(&[&script])?;
    let link = client.link().await?;
    guest.sign_in(&browser, &link).await?;
    let said = client.end().await?;
    ensure!(said.code == Some(0), "{said:?}");
    ensure!(said.out.contains("aurora"), "{said:?}");
    Ok(())
}
