//! A real Keycloak with the realm of `docker/keycloak`.
//!
//! The first start on a machine takes about a minute, because Keycloak then builds itself and its database.
//! That state is kept as a template in the user's cache; every later start works on a copy of it.

mod federation;

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, bail};

use hubkey_fakes::loopback;
use hubkey_starters::console::say;
use hubkey_starters::process::{Process, RunFolder, Spec, free_port};
use hubkey_starters::tools;

const REALM: &str = include_str!("../../../docker/keycloak/hubkey-realm.json");
const REALM_NAME: &str = "hubkey";
const FIRST_START: Duration = Duration::from_secs(400);
const LATER_START: Duration = Duration::from_mins(4);

/// A person with an account in the realm `hubkey`, and a hub account of the same name.
#[derive(Debug, Clone)]
pub struct Person {
    /// The hub user and the user name at Keycloak.
    pub name: Cow<'static, str>,
    /// The password at Keycloak.
    pub password: Cow<'static, str>,
    /// The e-mail address at Keycloak.
    pub email: Cow<'static, str>,
}

const fn person(name: &'static str, password: &'static str, email: &'static str) -> Person {
    Person {
        name: Cow::Borrowed(name),
        password: Cow::Borrowed(password),
        email: Cow::Borrowed(email),
    }
}

impl Person {
    /// Somebody who is none of the three below.
    fn named(name: &str) -> Self {
        Self {
            name: Cow::Owned(name.to_owned()),
            password: Cow::Owned(format!("{name}-dev-password")),
            email: Cow::Owned(format!("{name}@lab.example")),
        }
    }

    /// Their account, as Keycloak's admin API takes it.
    fn account(&self) -> serde_json::Value {
        serde_json::json!({
            "username": self.name,
            "email": self.email,
            "emailVerified": true,
            "firstName": "Test",
            "lastName": self.name,
            "enabled": true,
            "credentials": [{ "type": "password", "value": self.password, "temporary": false }],
        })
    }
}

/// The person of the demo.
pub const ALICE: Person = person("alice", "alice-dev-password", "alice.liddell@lab.example");
/// Another user, with bad intentions.
pub const MALLORY: Person = person(
    "mallory",
    "mallory-dev-password",
    "mallory.gray@lab.example",
);
/// A third user, with none.
pub const BOB: Person = person("bob", "bob-dev-password", "bob.jones@lab.example");

/// A running Keycloak. Its issuer is on `localhost`, so that its cookies are not the hub's (which is on 127.0.0.1).
#[derive(Debug)]
pub struct Keycloak {
    // Ended before its folder is removed.
    process: Process,
    folder: PathBuf,
    host: &'static str,
    port: u16,
}

impl Keycloak {
    /// The confidential client of the token broker.
    pub const CLIENT_ID: &'static str = "hubkey";
    /// Its secret, for development only.
    pub const CLIENT_SECRET: &'static str = "hubkey-dev-secret";
    /// A client without a secret.
    pub const PUBLIC_CLIENT_ID: &'static str = "hubkey-public";
    /// The administrator of this Keycloak.
    pub const ADMIN: (&'static str, &'static str) = ("admin", "admin-dev-password");

    /// Starts it on a free port. The very first time on this machine, builds the template before.
    pub async fn start(run: &RunFolder) -> anyhow::Result<Self> {
        Self::start_on(run, free_port()?).await
    }

    /// Starts it on a port that others know already.
    pub async fn start_on(run: &RunFolder, port: u16) -> anyhow::Result<Self> {
        Self::start_with(run, port, "").await
    }

    /// The same with features that are off by default, which costs a build of its own.
    pub async fn start_with(run: &RunFolder, port: u16, features: &str) -> anyhow::Result<Self> {
        tools::require(&["java", "keycloak"])?;
        let template = template(run).await?;
        let folder = run.join("keycloak");
        copy_template(&template, &folder)?;
        Self::start_in(run, (folder, port), LATER_START, features).await
    }

    /// One that runs in a container: `process` follows what it writes.
    pub(crate) fn of_container(process: Process, port: u16) -> Self {
        Self {
            process,
            folder: PathBuf::new(),
            host: "keycloak.localhost",
            port,
        }
    }

    /// The issuer of the realm `hubkey`.
    #[must_use]
    pub fn issuer(&self) -> String {
        format!("{}/realms/{REALM_NAME}", self.origin())
    }

    /// Its origin, on a name that is this machine and not the hub's.
    #[must_use]
    pub fn origin(&self) -> String {
        format!("http://{}:{}", self.host, self.port)
    }

    /// The base address of the admin API of the realm.
    #[must_use]
    pub fn admin_api(&self) -> String {
        format!("{}/admin/realms/{REALM_NAME}", self.origin())
    }

    /// What it has logged.
    #[must_use]
    pub fn output(&self) -> String {
        self.process.output()
    }

    /// An access token for the admin API; it lives a minute.
    pub async fn admin_token(&self) -> anyhow::Result<String> {
        let url = format!(
            "{}/realms/master/protocol/openid-connect/token",
            self.origin()
        );
        let form = [
            ("grant_type", "password"),
            ("client_id", "admin-cli"),
            ("username", Self::ADMIN.0),
            ("password", Self::ADMIN.1),
        ];
        let answer = loopback::client()?.post(url).form(&form).send().await?;
        let body: serde_json::Value = answer.error_for_status()?.json().await?;
        let token = body["access_token"]
            .as_str()
            .context("no access token in the answer")?;
        Ok(token.to_owned())
    }

    /// Makes an account for a person whom the realm does not know yet.
    pub async fn add_person(&self, name: &str) -> anyhow::Result<Person> {
        let person = Person::named(name);
        let token = self.admin_token().await?;
        let url = format!("{}/users", self.admin_api());
        let answer = loopback::client()?
            .post(url)
            .bearer_auth(token)
            .json(&person.account())
            .send()
            .await?;
        answer
            .error_for_status()
            .context("Keycloak did not take the new person")?;
        Ok(person)
    }

    /// Makes a client, unless there is one of that name.
    pub async fn add_client(&self, client: &serde_json::Value) -> anyhow::Result<()> {
        let token = self.admin_token().await?;
        let request = loopback::client()?
            .post(format!("{}/clients", self.admin_api()))
            .bearer_auth(token);
        let answer = request.json(client).send().await?;
        if answer.status() != http::StatusCode::CONFLICT {
            answer
                .error_for_status()
                .context("Keycloak did not take the new client")?;
        }
        Ok(())
    }

    /// Ends all sessions of a person, as an administrator does it.
    pub async fn log_out(&self, person: &Person) -> anyhow::Result<()> {
        let id = self.id_of(person).await?;
        let token = self.admin_token().await?;
        let url = format!("{}/users/{id}/logout", self.admin_api());
        let answer = loopback::client()?.post(url).bearer_auth(token).send();
        answer
            .await?
            .error_for_status()
            .context("Keycloak did not log the person out")?;
        Ok(())
    }

    async fn id_of(&self, person: &Person) -> anyhow::Result<String> {
        let users = format!("/users?exact=true&username={}", person.name);
        let users = self.ask(&users).await?;
        let id = users[0]["id"]
            .as_str()
            .with_context(|| format!("Keycloak does not know {}", person.name))?;
        Ok(id.to_owned())
    }

    /// Changes settings of the realm; what is not named stays.
    pub async fn change_realm(&self, change: &serde_json::Value) -> anyhow::Result<()> {
        let token = self.admin_token().await?;
        let request = loopback::client()?.put(self.admin_api()).bearer_auth(token);
        let answer = request.json(change).send().await?;
        answer
            .error_for_status()
            .context("Keycloak did not take the change of its realm")?;
        Ok(())
    }

    /// Makes a key that signs from now on, beside those that are there. Gives what each key of the published set is for.
    pub async fn add_signing_key(&self) -> anyhow::Result<Vec<String>> {
        let key = serde_json::json!({
            "name": "rotated",
            "providerId": "rsa-generated",
            "providerType": "org.keycloak.keys.KeyProvider",
            "config": { "priority": ["1000"], "algorithm": ["RS256"] },
        });
        let token = self.admin_token().await?;
        let client = loopback::client()?;
        let made = client
            .post(format!("{}/components", self.admin_api()))
            .bearer_auth(token)
            .json(&key)
            .send();
        made.await?
            .error_for_status()
            .context("Keycloak did not make the key")?;
        let url = format!("{}/protocol/openid-connect/certs", self.issuer());
        let set: serde_json::Value = client.get(url).send().await?.json().await?;
        let keys = set["keys"].as_array().context("no keys")?;
        let uses = keys.iter().filter_map(|key| key["use"].as_str());
        Ok(uses.map(str::to_owned).collect())
    }

    /// How often a refresh token of this person was traded, and how often one was refused.
    pub async fn refreshes(&self, person: &Person) -> anyhow::Result<(usize, usize)> {
        Ok((
            self.events(person, &["REFRESH_TOKEN"]).await?,
            self.events(person, &["REFRESH_TOKEN_ERROR"]).await?,
        ))
    }

    /// How often a token of this person was exchanged, and how often an exchange was refused.
    pub async fn exchanges(&self, person: &Person) -> anyhow::Result<(usize, usize)> {
        Ok((
            self.events(person, &["TOKEN_EXCHANGE"]).await?,
            self.events(person, &["TOKEN_EXCHANGE_ERROR"]).await?,
        ))
    }

    /// Whether a token is good, as one of the APIs asks (RFC 7662). Keycloak tells an API about its own tokens only.
    pub async fn is_active(&self, api: &str, token: &str) -> anyhow::Result<bool> {
        let url = format!("{}/protocol/openid-connect/token/introspect", self.issuer());
        let secret = format!("{api}-dev-secret");
        let request = loopback::client()?.post(url);
        let request = request.basic_auth(api, Some(secret));
        let answer = request.form(&[("token", token)]).send().await?;
        let answer: serde_json::Value = answer.error_for_status()?.json().await?;
        Ok(answer["active"] == true)
    }

    /// How often a code of this person was redeemed, or tried to be.
    pub async fn codes_redeemed(&self, person: &Person) -> anyhow::Result<usize> {
        self.events(person, &["CODE_TO_TOKEN", "CODE_TO_TOKEN_ERROR"])
            .await
    }

    /// How many sessions this person has. One ends when the last refresh token of it is revoked.
    pub async fn sessions(&self, person: &Person) -> anyhow::Result<usize> {
        let id = self.id_of(person).await?;
        let sessions = self.ask(&format!("/users/{id}/sessions")).await?;
        Ok(sessions.as_array().map_or(0, Vec::len))
    }

    async fn events(&self, person: &Person, types: &[&str]) -> anyhow::Result<usize> {
        let id = self.id_of(person).await?;
        let types = types.join("&type=");
        let events = format!("/events?max=1000&user={id}&type={types}");
        Ok(self.ask(&events).await?.as_array().map_or(0, Vec::len))
    }

    /// Asks the admin API.
    async fn ask(&self, path: &str) -> anyhow::Result<serde_json::Value> {
        let token = self.admin_token().await?;
        let url = format!("{}{path}", self.admin_api());
        let answer = loopback::client()?
            .get(url)
            .bearer_auth(token)
            .send()
            .await?;
        Ok(answer.error_for_status()?.json().await?)
    }

    async fn start_in(
        run: &RunFolder,
        (folder, port): (PathBuf, u16),
        limit: Duration,
        features: &str,
    ) -> anyhow::Result<Self> {
        let management = free_port()?;
        let features = (!features.is_empty()).then(|| format!("--features={features}"));
        let process = Spec::new("keycloak", "bash")
            .arg(folder.join("bin/kc.sh"))
            .args(["start-dev", "--import-realm", "--http-host=127.0.0.1"])
            .arg(format!("--http-port={port}"))
            .arg(format!("--http-management-port={management}"))
            .args(["--health-enabled=true", "--cache=local"])
            .args(features)
            .env("KC_BOOTSTRAP_ADMIN_USERNAME", Self::ADMIN.0)
            .env("KC_BOOTSTRAP_ADMIN_PASSWORD", Self::ADMIN.1)
            .env("JAVA_OPTS_KC_HEAP", "-Xms64m -Xmx256m")
            .in_folder(&folder)
            .start(run)?;
        let mut keycloak = Self {
            process,
            folder,
            host: "localhost",
            port,
        };
        let discovery = format!("{}/.well-known/openid-configuration", keycloak.issuer());
        let client = loopback::client()?;
        let probe = async || loopback::answers(&client, &discovery).await;
        keycloak.process.ready(limit, probe).await?;
        Ok(keycloak)
    }
}

impl Drop for Keycloak {
    fn drop(&mut self) {
        self.process.stop();
        // Only this run's copy, which nobody looks at afterwards: its log lies beside it.
        if !self.folder.as_os_str().is_empty() {
            let _ = std::fs::remove_dir_all(&self.folder);
        }
    }
}

/// The built Keycloak with the realm imported, made once for each version of distribution and realm.
async fn template(run: &RunFolder) -> anyhow::Result<PathBuf> {
    let distribution = tools::keycloak_distribution();
    let folder = tools::keycloak_template(REALM);
    let _one_at_a_time = tools::lock(&folder)?;
    if tools::is_complete(&folder) {
        return Ok(folder);
    }
    say("    Keycloak builds itself and its database (once on this machine, about a minute)");
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    copy(&distribution, &folder)?;
    let import = folder.join("data/import");
    std::fs::create_dir_all(&import)?;
    std::fs::write(import.join("hubkey-realm.json"), REALM)?;
    let mut first =
        Keycloak::start_in(run, (folder.clone(), free_port()?), FIRST_START, "").await?;
    first.process.stop();
    // The template stays: forget the folder that dropping would remove.
    first.folder = run.join("keycloak-first");
    drop(first);
    tools::mark_complete(&folder)?;
    Ok(folder)
}

/// A copy that shares the files that are only read, and has its own database and build.
fn copy_template(template: &Path, folder: &Path) -> anyhow::Result<()> {
    copy(template, folder)?;
    for own in ["data", "lib/quarkus"] {
        std::fs::remove_dir_all(folder.join(own))?;
        cp(&["-R"], &template.join(own), &folder.join(own))?;
    }
    Ok(())
}

/// Hard links where the file system allows it, else real copies.
fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    if cp(&["-R", "-l"], from, to).is_ok() {
        return Ok(());
    }
    if to.exists() {
        std::fs::remove_dir_all(to)?;
    }
    cp(&["-R"], from, to)
}

fn cp(flags: &[&str], from: &Path, to: &Path) -> anyhow::Result<()> {
    let output = Command::new("cp").args(flags).arg(from).arg(to).output()?;
    if !output.status.success() {
        bail!(
            "cannot copy {}: {}",
            from.display(),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(())
}
