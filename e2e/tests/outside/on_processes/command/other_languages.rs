//! The examples of docs/how-to/other-languages.md, run as they stand there.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use anyhow::{Context as _, ensure};
use hubkey_starters::process::checkout;
use hubkey_starters::tools;

use crate::support::command::{Hubkey, Said};
use crate::support::{Guest, Outcome};

/// What the API answers.
const PROJECT: &str = "aurora";
const NIGHTLY_JOB: &str = "#!/bin/sh
exec curl --silent --header \"Authorization: Bearer $(cat \"$BEARER_TOKEN_FILE\")\" \"$LAB_API/projects\"
";

#[tokio::test]
async fn feature_k11_the_examples_for_other_languages_run_as_they_stand() -> Outcome {
    tools::require(&["R", "curl"])?;
    let guest = Guest::new().await?;
    let (hubkey, browser) = (Hubkey::of(&guest).await?, guest.browser().await?);
    let text = fs::read_to_string(checkout().join("docs/how-to/other-languages.md"))?;
    let [curl, exit_codes, file] = blocks(&text, "bash")?;
    let ([only_curl], [r]) = (blocks(&text, "sh")?, blocks(&text, "r")?);
    ensure!(
        text.contains("Julia's was not run"),
        "is there a Julia now?"
    );
    let job = hubkey.home.join("nightly-job");
    fs::write(&job, NIGHTLY_JOB)?;
    fs::set_permissions(&job, fs::Permissions::from_mode(0o700))?;
    fs::write(hubkey.home.join("projects.R"), r)?;
    let r = "Rscript --vanilla projects.R";

    // Nobody has signed in yet: each gives the link in its own way.
    for (script, code) in [(exit_codes, 3), (only_curl, 3), (r, 1)] {
        let said = hubkey.shell(script).await?;
        ensure!(said.code == Some(code) && said.out.is_empty(), "{said:?}");
        let link = said
            .told
            .split_whitespace()
            .find(|word| word.contains("/start/"));
        link.with_context(|| format!("no link: {said:?}"))?;
    }
    let link = hubkey.run(&["token", "lab-api"]).await?.link()?;
    guest.sign_in(&browser, &link).await?;

    let said = well(hubkey.shell(curl).await?)?;
    ensure!(said.matches(PROJECT).count() == 2, "{said}");
    for script in [file, r] {
        let said = well(hubkey.shell(script).await?)?;
        ensure!(said.contains(PROJECT), "{said}");
    }
    let token = hubkey.run(&["token", "lab-api"]).await?.answer()?;
    ensure!(
        well(hubkey.shell(only_curl).await?)? == token,
        "not the token"
    );
    let told = format!("{exit_codes}printf '%s\\n' \"$token\"");
    ensure!(well(hubkey.shell(&told).await?)? == token, "not the token");
    Ok(())
}

/// The code blocks of a language, of which there are so many.
fn blocks<'a, const COUNT: usize>(
    text: &'a str,
    language: &str,
) -> anyhow::Result<[&'a str; COUNT]> {
    let start = format!("```{language}\n");
    let found: Vec<&str> = text
        .split(&*start)
        .skip(1)
        .filter_map(|rest| Some(rest.split_once("```\n")?.0))
        .collect();
    let count = found.len();
    found
        .try_into()
        .ok()
        .with_context(|| format!("{count} blocks of {language}, and not {COUNT}"))
}

/// What was answered, if the run went well. curl shows how far it is on standard error.
fn well(said: Said) -> anyhow::Result<String> {
    ensure!(said.code == Some(0), "{said:?}");
    Ok(said.out)
}
