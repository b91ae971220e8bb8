//! The command `hubkey`: its contract, and the tools that ask it for credentials.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use hubkey_e2e::evidence::canary::Canaries;
use hubkey_starters::process::free_port;
use rustix::process::Signal;
use serde_json::Value;

use crate::support::command::Hubkey;
use crate::support::{Guest, Outcome};

const ELSEWHERE: &str = "https://elsewhere.example";

#[tokio::test]
async fn feature_k11_need_12_need_15_tokens_for_shells_and_tools() -> Outcome {
    let guest = Guest::new().await?;
    let (hubkey, browser) = (Hubkey::of(&guest).await?, guest.browser().await?);
    let link = nobody_is_waited_for(&hubkey).await?;
    guest.sign_in(&browser, &link).await?;

    let token = hubkey.run(&["token", "lab-api"]).await?.answer()?;
    let token = token.strip_suffix('\n').context("no newline")?;
    ensure!(token.split('.').count() == 3, "the token alone");
    let mut canaries = Canaries::default();
    canaries.add("access token", token);
    canaries.add("server token", guest.api()?.token());

    the_token_is_where_it_was_asked_for(&hubkey, token).await?;
    only_listed_hosts_are_answered(&hubkey, guest.stack.lab_api.url(), token).await?;
    nothing_else_shows_it(&hubkey, &canaries).await?;
    ensure!(
        hubkey.home.read_dir()?.next().is_none(),
        "something was kept on the disk"
    );

    ensure!(hubkey.run(&["logout", "lab-api"]).await?.code == Some(0));
    let after = hubkey.run(&["token", "lab-api"]).await?;
    ensure!(
        after.code == Some(3) && after.link()? != link,
        "a dead link: {after:?}"
    );
    ensure!(guest.audited("grant_ended"), "the tokens live on");
    Ok(())
}

async fn nobody_is_waited_for(hubkey: &Hubkey) -> anyhow::Result<String> {
    let began = Instant::now();
    let said = hubkey.run(&["token", "lab-api"]).await?;
    ensure!(said.code == Some(3) && said.out.is_empty(), "{said:?}");
    ensure!(began.elapsed() < Duration::from_secs(20), "it waited");
    let again = hubkey.run(&["token", "lab-api"]).await?;
    ensure!(again.link()? == said.link()?, "another link");
    for quiet in [
        hubkey
            .run(&["token", "lab-api", "--non-interactive"])
            .await?,
        hubkey
            .with("HUBKEY_INTERACTIVE", "0")
            .run(&["token", "lab-api"])
            .await?,
    ] {
        ensure!(quiet.code == Some(3) && quiet.link().is_err(), "{quiet:?}");
    }
    said.link()
}

async fn the_token_is_where_it_was_asked_for(hubkey: &Hubkey, token: &str) -> Outcome {
    let json = hubkey
        .run(&["token", "lab-api", "--json"])
        .await?
        .answer()?;
    let json: Value = serde_json::from_str(&json)?;
    ensure!(
        json["access_token"] == token && json["expires_in"].as_u64() > Some(10),
        "its end"
    );
    let evaluated = r#"eval "$(hubkey env lab-api --name LAB)" && printf %s "$LAB""#;
    ensure!(hubkey.shell(evaluated).await?.answer()? == token, "env");
    let run = r#"hubkey exec lab-api --env LAB -- sh -c 'printf %s "$LAB"; exit 7'"#;
    let run = hubkey.shell(run).await?;
    ensure!(run.code == Some(7) && run.out == token, "exec");
    let missing = hubkey
        .run(&["exec", "lab-api", "--", "no-such-program"])
        .await?;
    ensure!(missing.code == Some(127), "{missing:?}");
    let google = hubkey
        .run(&["credential", "google", "lab-api"])
        .await?
        .answer()?;
    let google: Value = serde_json::from_str(&google)?;
    ensure!(
        google["success"] == true && google["id_token"] == token,
        "google"
    );
    Ok(())
}

async fn only_listed_hosts_are_answered(hubkey: &Hubkey, api: &str, token: &str) -> Outcome {
    let header = hubkey
        .run(&["header", "lab-api", "--for", api])
        .await?
        .answer()?;
    ensure!(
        header == format!("Authorization: Bearer {token}\n"),
        "header"
    );
    let refused = hubkey
        .run(&["header", "lab-api", "--for", ELSEWHERE])
        .await?;
    ensure!(
        refused.code == Some(5) && refused.out.is_empty(),
        "{refused:?}"
    );
    clusters(hubkey, api, token).await?;

    let filled = git(hubkey, api).await?;
    ensure!(filled.contains("username=oauth2\n"), "git: no name");
    ensure!(
        filled.contains(&format!("password={token}\n")),
        "git: no token"
    );
    ensure!(
        !git(hubkey, ELSEWHERE).await?.contains("password="),
        "git: elsewhere"
    );
    Ok(())
}

/// As a client of Kubernetes asks, which says where it sends the token.
async fn clusters(hubkey: &Hubkey, api: &str, token: &str) -> Outcome {
    let cluster = |server: &str| {
        let info = serde_json::json!({
            "apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential",
            "spec": { "cluster": { "server": server }, "interactive": false },
        });
        hubkey.with("KUBERNETES_EXEC_INFO", &info.to_string())
    };
    let said = cluster(api)
        .run(&["credential", "kubectl", "lab-api"])
        .await?
        .answer()?;
    let said: Value = serde_json::from_str(&said)?;
    ensure!(
        said["kind"] == "ExecCredential" && said["status"]["token"] == token,
        "kubectl"
    );
    ensure!(
        said["status"]["expirationTimestamp"].is_string(),
        "kubectl: no end"
    );
    let refused = cluster(ELSEWHERE)
        .run(&["credential", "kubectl", "lab-api"])
        .await?;
    ensure!(
        refused.code == Some(5) && refused.out.is_empty(),
        "{refused:?}"
    );
    Ok(())
}

/// What git itself learns for an address.
async fn git(hubkey: &Hubkey, address: &str) -> anyhow::Result<String> {
    let (protocol, host) = address.split_once("://").context("no address")?;
    let script = format!(
        "printf 'protocol={protocol}\\nhost={host}\\n\\n' | GIT_TERMINAL_PROMPT=0 GIT_CONFIG_NOSYSTEM=1 \
         git -c credential.helper='!hubkey credential git' credential fill"
    );
    let said = hubkey.shell(&script).await?;
    ensure!(said.code != Some(127), "git is not installed");
    Ok(said.out)
}

async fn nothing_else_shows_it(hubkey: &Hubkey, canaries: &Canaries) -> Outcome {
    let quiet: [&[&str]; 7] = [
        &["list"],
        &["list", "--json"],
        &["status", "lab-api"],
        &["status", "--json"],
        &["doctor"],
        &["login", "lab-api"],
        &["token", "no-such-provider"],
    ];
    for arguments in quiet {
        let said = hubkey.run(arguments).await?;
        let wrong = canaries.found_in([&*said.out, &*said.told].concat().as_bytes());
        ensure!(wrong.is_empty(), "{arguments:?} shows {wrong:?}");
        let expected = if arguments[0] == "token" {
            Some(2)
        } else {
            Some(0)
        };
        ensure!(said.code == expected, "{arguments:?}: {said:?}");
    }
    let loud = hubkey.run(&["token", "lab-api"]).await?;
    ensure!(
        !canaries.found_in(loud.out.as_bytes()).is_empty(),
        "the search finds nothing"
    );
    Ok(())
}

#[tokio::test]
async fn feature_k11_each_trouble_has_its_exit_code() -> Outcome {
    let guest = Guest::new().await?;
    let hubkey = Hubkey::of(&guest).await?;
    let gone = format!("http://127.0.0.1:{}", free_port()?);
    let (gone, stranger) = (
        hubkey.with("HUBKEY_URL", &gone),
        hubkey.with("JUPYTERHUB_API_TOKEN", "of-no-server-of-this-hub"),
    );
    let nowhere = hubkey.with("HUBKEY_URL", "");
    let cases: [(&Hubkey, &[&str], i32); 15] = [
        (&hubkey, &[], 2),
        (&hubkey, &["exec", "lab-api", "curl"], 2),
        (&hubkey, &["status", "lab-apj"], 2),
        (&hubkey, &["logout", "lab-apj"], 2),
        (&hubkey, &["token", "Lab API"], 2),
        (&hubkey, &["token", "lab-apj"], 2),
        (&hubkey, &["token", "lab-api", "--scope", "root"], 2),
        (&nowhere, &["token", "lab-api"], 2),
        (&hubkey, &["serve-file", "nowhere/token", "lab-api"], 1),
        (&hubkey, &["serve-file", ".", "lab-api"], 1),
        (&hubkey, &["logout", "lab-api"], 0),
        (&hubkey, &["status", "lab-api"], 3),
        (&gone, &["doctor"], 4),
        (&stranger, &["token", "lab-api"], 5),
        (&stranger, &["doctor"], 5),
    ];
    for (hubkey, arguments, code) in cases {
        let said = hubkey.run(arguments).await?;
        ensure!(said.code == Some(code), "{arguments:?}: {said:?}");
        ensure!(arguments == ["doctor"] || said.out.is_empty(), "{said:?}");
    }
    let told = gone.run(&["token", "lab-api"]).await?;
    ensure!(
        told.code == Some(4) && told.told.contains("Try again"),
        "{told:?}"
    );
    Ok(())
}

#[tokio::test]
async fn need_13_control_c_ends_a_login_and_its_link() -> Outcome {
    let guest = Guest::new().await?;
    let hubkey = Hubkey::of(&guest).await?;
    let mut login = hubkey.start(&["login", "lab-api"])?;
    let link = login.link().await?;
    login.signal(Signal::INT)?;
    let said = login.end().await?;
    ensure!(said.code == Some(130) && said.out.is_empty(), "{said:?}");
    ensure!(guest.audited("sign_in_cancelled"), "the sign-in lives on");
    let after = hubkey.run(&["token", "lab-api"]).await?;
    ensure!(after.link()? != link, "the dead link again");
    Ok(())
}
