//! Providers at the edge of the network, beside Keycloak: they live as long as the program, in a thread of their own.

use std::future::pending;
use std::sync::mpsc;

use anyhow::Context as _;
use hubkey_e2e::real::keycloak::Keycloak;
use hubkey_e2e::real::oidc_provider::OidcProvider;
use hubkey_e2e::stack::platform::Platform;
use hubkey_fakes::hostile_provider::{Account, Alg, HostileProvider, SigningKey};
use hubkey_starters::process::{RunFolder, free_port};
use serde_json::json;
use tokio::sync::{Mutex, MutexGuard, OnceCell};

/// An honest provider that only the settings know of.
const WORKSHOP: &str = "workshop";
/// A provider whose metadata names another issuer.
pub(crate) const IMPOSTER: &str = "imposter";
/// A provider that misbehaves as a test wants it.
pub(crate) const HOSTILE: &str = "hostile";
/// The same provider, where it has to give a refresh token for words of its own, and addresses have to be the house's.
pub(crate) const HOUSE: &str = "house";
/// An honest provider with audiences and resources to choose from.
const MANY: &str = "many";

/// Who signs in there, unless a test says otherwise.
const PERSON: &str = "op-person";

/// npm `oidc-provider`, which a test starts.
pub(crate) const SECOND: &str = "second";
/// Keycloak, with a client that proves itself by key; a test makes it.
pub(crate) const KEYED: &str = "keyed";
/// Keycloak, where people sign in at a realm behind it; a test makes that.
pub(crate) const FEDERATED: &str = "federated";
/// Keycloak, where all servers of a person share what one of them connected.
pub(crate) const SHARED: &str = "shared";

/// What hubkey proves itself with at `second` and `keyed`.
#[derive(Debug)]
pub(crate) struct Proof {
    pub(crate) key: SigningKey,
    pub(crate) second_port: u16,
    run: RunFolder,
}

#[derive(Debug)]
struct Edge {
    proof: Proof,
    workshop: HostileProvider,
    imposter: HostileProvider,
    hostile: HostileProvider,
    many: HostileProvider,
}

static EDGE: OnceCell<Edge> = OnceCell::const_new();
static HOSTILE_TURN: Mutex<()> = Mutex::const_new(());

/// The settings of these providers.
pub(crate) async fn providers() -> anyhow::Result<String> {
    let edge = EDGE.get_or_try_init(async || start()).await?;
    let list = [
        (WORKSHOP, &edge.workshop, ""),
        (IMPOSTER, &edge.imposter, ""),
        (
            HOSTILE,
            &edge.hostile,
            "allowed_audiences = [\"tools\", \"workshop\"]\n",
        ),
        (
            HOUSE,
            &edge.hostile,
            "allowed_email_domains = [\"house.example\"]\nextra_authorization_parameters = [\"access_type=offline\", \"prompt=consent\"]\n",
        ),
        (
            MANY,
            &edge.many,
            "allowed_audiences = [\"tools\"]\nallowed_resources = [\"https://tools.example/\"]\nallowed_scopes = [\"bench\"]\n",
        ),
    ];
    let tables = list.map(|(id, provider, more)| {
        format!(
            "\n[providers.{id}]\ndisplay_name = \"The {id}\"\nissuer = \"{}\"\nclient_id = \"hubkey\"\n\
             token_endpoint_auth_method = \"none\"\ndefault_scopes = [\"openid\"]\n{more}",
            provider.issuer()
        )
    });
    let mut tables = tables.concat();
    // A container sees no file of this machine, and the tests of these run on processes.
    if Platform::wanted()? == Platform::Processes {
        tables.push_str(&edge.proof.tables());
        tables.push_str(&federated());
        tables.push_str(&shared());
    }
    Ok(tables)
}

/// What hubkey proves itself with.
pub(crate) fn proof() -> anyhow::Result<&'static Proof> {
    Ok(&EDGE.get().context("no stack was started")?.proof)
}

impl Proof {
    fn make() -> anyhow::Result<Self> {
        let key = SigningKey::generate(Alg::Es256, 0)?;
        let run = RunFolder::create("proof")?;
        std::fs::write(run.join("key.pem"), key.private_pem()?)?;
        let next = SigningKey::generate(Alg::Es256, 1)?.private_pem()?;
        std::fs::write(
            run.join("published.pem"),
            key.private_pem()? + next.as_str(),
        )?;
        Ok(Self {
            key,
            second_port: free_port()?,
            run,
        })
    }

    fn tables(&self) -> String {
        let proof = |file: &str, how: &str| {
            format!(
                "token_endpoint_auth_method = \"private_key_jwt\"\nprivate_key_file = \"{}\"\n{how}\n",
                self.run.join(file).display()
            )
        };
        let given = proof(
            "key.pem",
            &format!("private_key_kid = \"{}\"", self.key.kid),
        );
        let published = proof("published.pem", "publish_jwks = true");
        format!(
            "\n[providers.{SECOND}]\nissuer = \"{}\"\nclient_id = \"hubkey\"\n{given}\
             default_scopes = [\"openid\", \"offline_access\", \"read\"]\nallowed_resources = [\"{}\"]\n\
             extra_authorization_parameters = [\"prompt=consent\"]\npushed_authorization = \"always\"\n\
             \n[providers.{KEYED}]\nissuer = \"http://localhost:{{keycloak}}/realms/hubkey\"\n\
             client_id = \"hubkey-keyed\"\n{published}default_scopes = [\"openid\", \"profile\", \"email\"]\n",
            OidcProvider::issuer_at(self.second_port),
            OidcProvider::API,
        )
    }
}

/// "away" is a name that Keycloak does not know.
fn federated() -> String {
    let (client, behind) = (Keycloak::FEDERATED_CLIENT_ID, Keycloak::BEHIND);
    format!(
        "\n[providers.{FEDERATED}]\nissuer = \"http://localhost:{{keycloak}}/realms/hubkey\"\n\
         client_id = \"{client}\"\ntoken_endpoint_auth_method = \"none\"\n\
         default_scopes = [\"openid\", \"profile\", \"email\"]\n\
         extra_authorization_parameters = [\"kc_idp_hint={behind}\"]\npushed_authorization = \"never\"\n\
         \n[providers.{FEDERATED}.token_exchange]\nrequested_issuers = [\"{behind}\", \"away\"]\n\
         requested_issuer_method = \"keycloak_broker_token\"\n"
    )
}

/// As `lab-api`, but for all servers of a person.
fn shared() -> String {
    let client = Keycloak::PUBLIC_CLIENT_ID;
    format!(
        "\n[providers.{SHARED}]\nissuer = \"http://localhost:{{keycloak}}/realms/hubkey\"\n\
         client_id = \"{client}\"\ntoken_endpoint_auth_method = \"none\"\n\
         default_scopes = [\"openid\", \"profile\", \"email\", \"data:read\"]\nconnection_scope = \"user\"\n"
    )
}

/// The hostile provider, for this test alone until the guard is dropped; honest to begin with.
pub(crate) async fn hostile() -> anyhow::Result<(&'static HostileProvider, MutexGuard<'static, ()>)>
{
    let guard = HOSTILE_TURN.lock().await;
    let provider = &EDGE.get().context("no stack was started")?.hostile;
    provider.be_honest();
    provider.sign_in_as(Account::new(PERSON));
    Ok((provider, guard))
}

fn start() -> anyhow::Result<Edge> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        runtime.block_on(async {
            // Nobody listens any more only if the program is ending.
            let _ = sender.send(start_all().await);
            pending::<()>().await;
        });
    });
    receiver.recv()?
}

async fn start_all() -> anyhow::Result<Edge> {
    let [workshop, imposter, hostile, many] = [
        HostileProvider::start().await?,
        HostileProvider::start().await?,
        HostileProvider::start().await?,
        HostileProvider::start().await?,
    ];
    imposter.metadata(|metadata| metadata["issuer"] = json!("http://127.0.0.1:1/somebody-else"));
    for provider in [&workshop, &hostile, &many] {
        provider.sign_in_as(Account::new(PERSON));
    }
    Ok(Edge {
        proof: Proof::make()?,
        workshop,
        imposter,
        hostile,
        many,
    })
}
