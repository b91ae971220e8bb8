//! What the brokers stand on: a Hub, a provider, a Redis, and connections that nobody had to sign in for.

use std::{fs, path::PathBuf, sync::Arc, time::Duration};

use hubkey_e2e::{
    hostile_provider::{Account, HostileProvider},
    kernel_api::KernelApi,
    process::RunFolder,
    redis::Redis,
    scripted_hub::ScriptedHub,
};
use hubkey_protocol::{
    ConnectionId, ProviderId, Scopes, ShortId,
    secret::{AccessToken, HubToken, OidcNonce, RefreshToken},
};
use hubkey_token_broker::{
    domain::{
        clock::{Clock, Timestamp},
        connection::{Connection, Grant, Proof},
        kernel::{HubUser, Kernel, ServerName},
        renewal::Renewal,
        sign_in::Wish,
    },
    keys::{self, IndexKey, KeyRing},
    store::{
        Change, Expect, Key, Outcome, Store,
        redis::{RedisSettings, RedisStore},
        sealed::SealedStore,
    },
    system::SystemClock,
};

use crate::{brokers::Broker, seeded::Seeded};

pub(crate) const BROKERS: usize = 4;
/// How long the token of a new connection has been over.
const OVER: Duration = Duration::from_secs(5);

pub(crate) struct Site {
    pub(crate) provider: HostileProvider,
    pub(crate) brokers: Vec<Broker>,
    /// A kernel at each broker. Making one takes time: it reads all the authorities of the machine.
    pub(crate) kernels: Vec<KernelApi>,
    kernel: Kernel,
    store: Arc<dyn Store>,
    _redis: Redis,
    _hub: ScriptedHub,
    _run: RunFolder,
}

/// A connection, as its kernels know it.
#[derive(Debug, Clone)]
pub(crate) struct Connected {
    pub(crate) id: String,
    pub(crate) subject: String,
    pub(crate) refresh_token: String,
}

impl Site {
    pub(crate) async fn start(seed: u64, brokers: usize) -> Self {
        hubkey_service::lifecycle::install_crypto_provider();
        let run = RunFolder::create("faults").unwrap();
        let hub = ScriptedHub::start().await.unwrap();
        let provider = HostileProvider::start().await.unwrap();
        let redis = Redis::start(&run).await.unwrap();
        let files = Files::write(&run);
        let hub_token = hub.server_token("alice", "");
        let index_key = IndexKey::from_file(&files.index).unwrap();
        let ring = KeyRing::open(vec![files.sealing.clone()], &index_key).unwrap();
        let kernel = Kernel {
            user: HubUser::parse("alice").unwrap(),
            server: ServerName::parse("").unwrap(),
            fingerprint: index_key.fingerprint(&HubToken::new(&hub_token)),
        };
        let store = RedisStore::open(RedisSettings::new(redis.url()), index_key);
        let store = SealedStore::new(store.await.unwrap(), Arc::new(ring), Arc::new(SystemClock));
        let settings = files.settings(&hub, &provider, &redis);
        let mut running = Vec::new();
        for number in 0..brokers {
            let name = format!("broker-{seed}-{number}");
            running.push(Broker::start(run.path(), &name, &settings).await);
        }
        let kernels = running
            .iter()
            .map(|broker| KernelApi::new(&broker.url, hub_token.as_str()).unwrap())
            .collect();
        Self {
            kernels,
            provider,
            brokers: running,
            kernel,
            store: Arc::new(store),
            _redis: redis,
            _hub: hub,
            _run: run,
        }
    }

    /// A connection whose token is over.
    pub(crate) async fn connect(&self, seed: u64) -> Connected {
        let mut chance = Seeded::new(seed);
        let short = ShortId::from_random(chance.next().to_le_bytes());
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&chance.next().to_le_bytes());
        let id = ConnectionId::from_random(&short, bytes);
        let subject = format!("op-{seed}");
        let refresh_token = self.provider.grant(Account::new(&subject));
        let connection = self.connection(&id, &subject, &refresh_token);
        let life = Duration::from_hours(12);
        let put = Change::put(Key::connection(&id), Expect::Absent, &connection, life);
        let outcome = self.store.commit(vec![put.unwrap()]).await.unwrap();
        assert_eq!(outcome, Outcome::Done);
        Connected {
            id: id.as_str().to_owned(),
            subject,
            refresh_token,
        }
    }

    fn connection(&self, id: &ConnectionId, subject: &str, refresh_token: &str) -> Connection {
        let now = SystemClock.now();
        let scopes = Scopes::parse("openid").unwrap();
        let millis =
            |before: Duration| now.as_millis() - u64::try_from(before.as_millis()).unwrap();
        Connection {
            id: id.clone(),
            kernel: self.kernel.clone(),
            provider: ProviderId::parse("lab-api").unwrap(),
            wish: Wish {
                scopes: scopes.clone(),
                audience: None,
                resource: None,
                account: None,
            },
            since: now,
            extended_at: now,
            grant: Grant {
                issuer: self.provider.issuer(),
                account: hubkey_protocol::Account {
                    sub: subject.to_owned(),
                    name: None,
                    email: None,
                },
                scopes,
                access_token: AccessToken::new("over"),
                token_type: "Bearer".to_owned(),
                obtained_at: Timestamp::from_millis(millis(Duration::from_mins(5))),
                expires_at: Some(Timestamp::from_millis(millis(OVER))),
                refresh_token: Some(RefreshToken::new(refresh_token)),
                serial: 0,
                proof: Proof {
                    issued_at: 0,
                    auth_time: None,
                    oidc_nonce: OidcNonce::new("n"),
                    session: None,
                },
            },
            renewal: Renewal::Idle,
            others: Vec::new(),
        }
    }
}

/// The secrets of all brokers.
struct Files {
    sealing: PathBuf,
    index: PathBuf,
    secret: PathBuf,
    redis: PathBuf,
}

impl Files {
    fn write(run: &RunFolder) -> Self {
        let files = Self {
            sealing: run.join("sealing-key"),
            index: run.join("index-key"),
            secret: run.join("secret"),
            redis: run.join("redis-url"),
        };
        keys::generate(&files.sealing).unwrap();
        keys::generate(&files.index).unwrap();
        fs::write(&files.secret, "s".repeat(43)).unwrap();
        files
    }

    /// The settings of every broker, without its addresses.
    fn settings(&self, hub: &ScriptedHub, provider: &HostileProvider, redis: &Redis) -> String {
        fs::write(&self.redis, redis.url()).unwrap();
        let [sealing, index, secret, redis] =
            [&self.sealing, &self.index, &self.secret, &self.redis].map(|file| file.display());
        format!(
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
sealing_files = ["{sealing}"]
index_file = "{index}"

[redis]
url_file = "{redis}"

[providers.lab-api]
issuer = "{issuer}"
client_id = "hubkey"
client_authentication = "none"
default_scopes = ["openid"]
"#,
            hub_api = hub.api_url(),
            hub_url = hub.url(),
            issuer = provider.issuer(),
        )
    }
}
