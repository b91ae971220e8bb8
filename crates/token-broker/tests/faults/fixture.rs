//! What brokers stand on: a Hub, a Redis, their secrets, and connections that nobody had to sign in for.

use std::{fmt::Write as _, fs, path::PathBuf, sync::Arc, time::Duration};

use hubkey_domain::{
    clock::{Clock, Timestamp},
    connection::Connection,
    identity::{HubUser, ServerIdentity, ServerName},
    refresh_state::Lifetime,
};
use hubkey_fakes::{
    hostile_provider::{Account, HostileProvider},
    kernel_api::KernelApi,
    scripted_hub::ScriptedHub,
};
use hubkey_protocol::{ConnectionId, ShortId, secret::ServerToken};
use hubkey_starters::{process::RunFolder, redis::Redis};
use hubkey_store::keys::{self, KeyRing, LookupMacKey};
use hubkey_store::{
    Change, Expect, Key, Outcome, Store,
    redis::{RedisSettings, RedisStore},
    sealed::SealedStore,
};
use hubkey_token_broker::system::SystemClock;

use crate::{
    connected::{Origin, connection},
    seeded::Seeded,
};

/// How long the token of a new connection has been over.
const OVER: Duration = Duration::from_secs(5);

pub(crate) struct Fixture {
    pub(crate) redis: Redis,
    pub(crate) run: RunFolder,
    /// A kernel; it asks nobody yet. Making one takes time: it reads all the authorities of the machine.
    pub(crate) somebody: KernelApi,
    hub: ScriptedHub,
    files: Files,
    kernel: ServerIdentity,
    store: Arc<dyn Store>,
}

/// A connection, as its kernels know it.
#[derive(Debug, Clone)]
pub(crate) struct Connected {
    pub(crate) id: String,
    pub(crate) subject: String,
    pub(crate) refresh_token: String,
}

impl Fixture {
    pub(crate) async fn start() -> Self {
        hubkey_service::lifecycle::install_crypto_provider();
        let run = RunFolder::create("faults").unwrap();
        let hub = ScriptedHub::start().await.unwrap();
        let redis = Redis::start(&run).await.unwrap();
        let files = Files::write(&run);
        let hub_token = hub.server_token("alice", "");
        let lookup_mac_key = LookupMacKey::from_file(&files.index).unwrap();
        let ring = KeyRing::open(vec![files.sealing.clone()], &lookup_mac_key).unwrap();
        let kernel = ServerIdentity {
            user: HubUser::parse("alice").unwrap(),
            server: ServerName::parse("").unwrap(),
            fingerprint: lookup_mac_key.fingerprint(&ServerToken::new(&hub_token)),
        };
        let store = RedisStore::open(RedisSettings::new(redis.url()), lookup_mac_key);
        let store = SealedStore::new(store.await.unwrap(), Arc::new(ring), Arc::new(SystemClock));
        Self {
            somebody: KernelApi::new("", hub_token).unwrap(),
            redis,
            run,
            hub,
            files,
            kernel,
            store: Arc::new(store),
        }
    }

    /// The settings of a broker, without its addresses: its way to Redis, and its providers by id and issuer.
    pub(crate) fn settings(
        &self,
        name: &str,
        redis: &str,
        providers: &[(String, String)],
    ) -> String {
        let url_file = self.run.join(format!("{name}-redis-url"));
        fs::write(&url_file, redis).unwrap();
        let [sealing, index, secret, redis] = [
            &self.files.sealing,
            &self.files.index,
            &self.files.secret,
            &url_file,
        ]
        .map(|file| file.display());
        let mut settings = format!(
            r#"
public_url = "https://hubkey.example.org"

[log]
format = "json"
filter = "info"

[hub]
api_url = "{hub_api}"
public_url = "{hub_url}"
api_token_file = "{secret}"

[keys]
encryption_key_files = ["{sealing}"]
lookup_mac_key_file = "{index}"

[redis]
url_file = "{redis}"
"#,
            hub_api = self.hub.api_url(),
            hub_url = self.hub.url(),
        );
        for (id, issuer) in providers {
            let written = write!(
                settings,
                r#"
[providers.{id}]
issuer = "{issuer}"
client_id = "hubkey"
token_endpoint_auth_method = "none"
default_scopes = ["openid"]
"#
            );
            written.unwrap();
        }
        settings
    }

    /// A connection whose token is over.
    pub(crate) async fn connect(
        &self,
        provider: &HostileProvider,
        provider_id: &str,
        seed: u64,
    ) -> Connected {
        let mut chance = Seeded::new(seed);
        let short = ShortId::from_random(chance.next().to_le_bytes());
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&chance.next().to_le_bytes());
        let id = ConnectionId::from_random(&short, bytes);
        let subject = format!("op-{seed}");
        let refresh_token = provider.grant(Account::new(&subject));
        let origin = Origin {
            provider: provider_id,
            issuer: provider.issuer(),
            subject: &subject,
        };
        let (tokens, now) = (("over", refresh_token.as_str()), SystemClock.now());
        let connection = connection(&id, &self.kernel, &origin, tokens, (now, over(now)));
        self.put(&id, &connection).await;
        Connected {
            id: id.as_str().to_owned(),
            subject,
            refresh_token,
        }
    }

    async fn put(&self, id: &ConnectionId, connection: &Connection) {
        let life = Duration::from_hours(12);
        // A machine under load may not answer at once. A conflict says that it was carried out.
        for _ in 0..20 {
            let put = Change::put(Key::connection(id), Expect::Absent, connection, life);
            if let Ok(Outcome::Done | Outcome::Conflict) =
                self.store.commit(vec![put.unwrap()]).await
            {
                return;
            }
        }
        panic!("the store does not answer");
    }
}

/// The access token of a sign-in that was a while ago.
fn over(now: Timestamp) -> Lifetime {
    let ago = |before: Duration| {
        let before = u64::try_from(before.as_millis()).unwrap();
        Timestamp::from_millis(now.as_millis() - before)
    };
    Lifetime {
        obtained_at: ago(Duration::from_mins(5)),
        expires_at: Some(ago(OVER)),
    }
}

/// The secrets of all brokers.
struct Files {
    sealing: PathBuf,
    index: PathBuf,
    secret: PathBuf,
}

impl Files {
    fn write(run: &RunFolder) -> Self {
        let files = Self {
            sealing: run.join("encryption-key"),
            index: run.join("lookup-mac-key"),
            secret: run.join("secret"),
        };
        keys::generate(&files.sealing).unwrap();
        keys::generate(&files.index).unwrap();
        fs::write(&files.secret, "s".repeat(43)).unwrap();
        files
    }
}
