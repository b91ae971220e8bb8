//! Providers at the edge of the network, beside Keycloak: they live as long as the program, in a thread of their own.

use std::future::pending;
use std::sync::mpsc;

use anyhow::Context as _;
use hubkey_e2e::hostile_provider::{Account, HostileProvider};
use serde_json::json;
use tokio::sync::{Mutex, MutexGuard, OnceCell};

/// An honest provider that only the settings know of.
const WORKSHOP: &str = "workshop";
/// A provider whose metadata names another issuer.
pub(crate) const IMPOSTER: &str = "imposter";
/// A provider that misbehaves as a test wants it.
pub(crate) const HOSTILE: &str = "hostile";
/// An honest provider with audiences and resources to choose from.
const MANY: &str = "many";

#[derive(Debug)]
struct Edge {
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
        (HOSTILE, &edge.hostile, ""),
        (
            MANY,
            &edge.many,
            "audiences = [\"tools\"]\nresources = [\"https://tools.example/\"]\nallowed_scopes = [\"bench\"]\n",
        ),
    ];
    let tables = list.map(|(id, provider, more)| {
        format!(
            "\n[providers.{id}]\ndisplay_name = \"The {id}\"\nissuer = \"{}\"\nclient_id = \"hubkey\"\n\
             client_authentication = \"none\"\ndefault_scopes = [\"openid\"]\n{more}",
            provider.issuer()
        )
    });
    Ok(tables.concat())
}

/// The hostile provider, for this test alone until the guard is dropped; honest to begin with.
pub(crate) async fn hostile() -> anyhow::Result<(&'static HostileProvider, MutexGuard<'static, ()>)>
{
    let guard = HOSTILE_TURN.lock().await;
    let provider = &EDGE.get().context("no stack was started")?.hostile;
    provider.be_honest();
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
        provider.sign_in_as(Account::new("op-person"));
    }
    Ok(Edge {
        workshop,
        imposter,
        hostile,
        many,
    })
}
