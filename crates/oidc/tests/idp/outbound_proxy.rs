//! Providers behind an outbound proxy: how it is asked, what it can do, and what it cannot see.

use std::{
    io::Write,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use hubkey_domain::provider::{
    ClientAuthentication, OutboundProxy, ProviderConfig, ProxyCredentials,
};
use hubkey_fakes::{
    certificates::Authority,
    connect_proxy::{Behaviour, ConnectProxy},
    hostile_provider::{Client, Endpoint, HostileProvider},
};
use hubkey_oidc::{IdentityProvider as _, IdpError, RefreshError, provider};
use hubkey_protocol::secret::{ClientSecret, ProxyPassword};
use tokio::process::Command;
use url::Url;

use crate::{
    refreshing::refresh,
    support::{Setup, Transaction, chance, clock, config, word},
};

const NAME: &str = "op.example.org";
const SECRET: &str = "secret-of-the-client";
/// With what a URL would decode, and what `Basic` takes as it is.
const PASSWORD: &str = "p:%41 ss@/";

/// A provider that only the proxy knows where to find.
struct Behind {
    setup: Setup,
    proxy: ConnectProxy,
    /// Who has signed the provider's certificate.
    authority: Authority,
}

impl Behind {
    async fn new() -> Self {
        Self::with(|_| ()).await
    }

    /// With other settings.
    async fn with(change: impl FnOnce(&mut ProviderConfig)) -> Self {
        let authority = Authority::new("company").unwrap();
        let op = HostileProvider::start_encrypted_as(&authority, NAME)
            .await
            .unwrap();
        let proxy = ConnectProxy::start(op.address()).await.unwrap();
        Self::between(op, proxy, authority, change)
    }

    fn between(
        op: HostileProvider,
        proxy: ConnectProxy,
        authority: Authority,
        change: impl FnOnce(&mut ProviderConfig),
    ) -> Self {
        op.register(Client::basic("hubkey", SECRET));
        let mut config = config(&op.issuer());
        config.token_endpoint_auth_method = ClientAuthentication::Basic(ClientSecret::new(SECRET));
        config.outbound.ca_pem = Some(authority.pem().into_bytes());
        config.outbound.proxy = Some(OutboundProxy {
            url: Url::parse(&proxy.url()).unwrap(),
            credentials: None,
        });
        change(&mut config);
        let setup = Setup::of(op, config);
        Self {
            setup,
            proxy,
            authority,
        }
    }

    /// What the proxy was asked for is the provider, and no secret was in it.
    fn check_tunnels(&self) -> usize {
        let tunnels = self.proxy.tunnels();
        let issuer = Url::parse(&self.setup.op.issuer()).unwrap();
        let target = format!("{NAME}:{}", issuer.port().unwrap());
        for tunnel in &tunnels {
            assert_eq!(tunnel.target(), target);
            let sent = String::from_utf8_lossy(&tunnel.sent);
            for clear in [SECRET, "Basic ", "Bearer ", "code", "HTTP/1.1"] {
                assert!(!sent.contains(clear), "{clear}");
            }
        }
        tunnels.len()
    }
}

fn credentials(config: &mut ProviderConfig) {
    config.outbound.proxy.as_mut().unwrap().credentials = Some(ProxyCredentials {
        user: "hub key".into(),
        password: ProxyPassword::new(PASSWORD),
    });
}

#[tokio::test]
async fn found_i1_a_whole_sign_in_goes_through_the_proxy_by_name() {
    let behind = Behind::new().await;
    behind.setup.sign_in().await.unwrap();
    // Metadata, key set, token endpoint, userinfo: a connection each, none past the proxy.
    for endpoint in [
        Endpoint::Discovery,
        Endpoint::Jwks,
        Endpoint::Token,
        Endpoint::UserInfo,
    ] {
        assert_eq!(behind.setup.hits(endpoint), 1, "{endpoint:?}");
    }
    assert!(behind.check_tunnels() >= 4);
    for tunnel in behind.proxy.tunnels() {
        assert_eq!(tunnel.header("proxy-authorization"), None);
        assert!(!tunnel.sent.is_empty());
    }
}

#[tokio::test]
async fn found_i1_a_proxy_may_speak_tls_itself() {
    let authority = Authority::new("company").unwrap();
    let op = HostileProvider::start_encrypted_as(&authority, NAME)
        .await
        .unwrap();
    let address = op.address();
    let proxy = ConnectProxy::start_encrypted(address, &authority)
        .await
        .unwrap();
    let behind = Behind::between(op, proxy, authority, |_| ());
    behind.setup.sign_in().await.unwrap();
    assert!(behind.check_tunnels() >= 4);
}

#[tokio::test]
async fn found_i1_credentials_go_to_the_proxy_as_they_are_and_nowhere_else() {
    let behind = Behind::with(credentials).await;
    // base64 of "hub key:p:%41 ss@/"
    let expected = "Basic aHViIGtleTpwOiU0MSBzc0Av";
    behind.proxy.behave(Behaviour::TunnelFor(expected.into()));
    behind.setup.sign_in().await.unwrap();
    behind.check_tunnels();
    for endpoint in [Endpoint::Discovery, Endpoint::Token] {
        for request in behind.setup.op.requests(endpoint) {
            assert!(!request.headers.contains_key("proxy-authorization"));
        }
    }
}

#[tokio::test]
async fn found_i1_a_proxy_that_plays_the_provider_is_refused_and_reads_nothing() {
    let behind = Behind::new().await;
    behind.setup.sign_in_honestly().await;
    let stranger = Authority::new("stranger").unwrap().issue(&[NAME]).unwrap();
    let other_name = behind.authority.issue(&["other.example.org"]).unwrap();
    for pair in [stranger, other_name] {
        // A code is there, and the client's secret is about to be sent.
        let transaction = Transaction::new();
        let back = behind.setup.authorize(&transaction).await.unwrap();
        behind.proxy.forget();
        behind.setup.op.forget_requests();
        behind.proxy.behave(Behaviour::Pretend(pair));
        let redemption = behind.setup.redemption(&back.code.unwrap(), transaction);
        let refused = behind.setup.client.redeem(redemption).await;
        assert_eq!(refused.err(), Some(IdpError::Unavailable));
        let tunnels = behind.proxy.tunnels();
        assert!(!tunnels.is_empty());
        assert!(tunnels.iter().all(|tunnel| tunnel.sent.is_empty()));
        assert_eq!(behind.setup.hits(Endpoint::Token), 0);
        behind.proxy.behave(Behaviour::Tunnel);
    }
    behind.setup.sign_in().await.unwrap();
}

#[tokio::test]
async fn found_i1_what_is_inside_is_refused_by_name_before_the_proxy_is_asked() {
    for issuer in [
        "https://localhost:8443",
        "https://127.0.0.1:8443",
        "https://10.0.0.1",
        "https://93.184.216.34",
        "https://[::1]",
        "https://169.254.169.254",
        "https://metadata.google.internal",
        "https://keycloak",
        "https://keycloak.identity.svc",
        "https://keycloak.identity.svc.cluster.local",
        "https://keycloak.local",
        "http://localhost:8080",
    ] {
        let behind = Behind::with(|config| {
            let hubkey_domain::provider::Endpoints::Discovered { issuer: own, .. } =
                &mut config.endpoints
            else {
                return;
            };
            issuer.clone_into(own);
            // What opens the inside without a proxy does not with one.
            let hosts = ["localhost", "127.0.0.1", "10.0.0.1", "keycloak.local"];
            config.outbound.allow_private_hosts = hosts.map(str::to_owned).to_vec();
            config.outbound.allow_plaintext = true;
        })
        .await;
        let refused = behind.setup.begin(&Transaction::new()).await;
        assert_eq!(word(refused), "address_not_permitted", "{issuer}");
        assert_eq!(behind.proxy.tunnels().len(), 0, "{issuer}");
    }
}

#[tokio::test]
async fn found_i1_metadata_lead_the_proxy_to_hosts_of_the_entry_only() {
    for (host, expected) in [
        ("other.example.org", "endpoint_host"),
        ("169.254.169.254", "endpoint_url"),
        ("localhost", "endpoint_url"),
        ("keycloak.identity.svc", "endpoint_url"),
    ] {
        let behind = Behind::with(|config| {
            let allowed = ["169.254.169.254", "localhost", "keycloak.identity.svc"];
            config.outbound.allowed_endpoint_hosts = allowed.map(str::to_owned).to_vec();
        })
        .await;
        behind.setup.op.metadata(move |metadata| {
            metadata["token_endpoint"] = format!("https://{host}/token").into();
        });
        assert_eq!(word(behind.setup.sign_in().await), expected, "{host}");
        // For the metadata.
        assert_eq!(behind.check_tunnels(), 1);
    }
}

#[tokio::test]
async fn found_i1_a_refresh_token_is_not_spent_at_a_proxy_that_gives_no_way() {
    let behind = Behind::new().await;
    let granted = behind.setup.sign_in_honestly().await;
    for (behaviour, _) in obstacles().into_iter().take(2) {
        behind.proxy.behave(behaviour);
        let refused = refresh(&behind.setup, &granted).await.err();
        assert!(
            matches!(refused, Some(RefreshError::NotSent)),
            "{refused:?}"
        );
    }
    assert_eq!(behind.setup.hits(Endpoint::Token), 0);
    behind.proxy.behave(Behaviour::Tunnel);
    refresh(&behind.setup, &granted).await.unwrap();
}

/// What the environment says is settled when a program starts, so this one starts itself anew: there, each variable names
/// a proxy.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn found_i1_proxies_of_the_environment_do_not_count() {
    const NAME: &str = "outbound_proxy::found_i1_proxies_of_the_environment_do_not_count";
    const ISSUER: &str = "HUBKEY_TEST_ISSUER";
    if let Some(issuer) = std::env::var_os(ISSUER) {
        let config = config(issuer.to_str().unwrap());
        provider(config, clock(), chance())
            .unwrap()
            .ready()
            .await
            .unwrap();
        return;
    }
    let op = HostileProvider::start().await.unwrap();
    let proxy = ConnectProxy::start(op.address()).await.unwrap();
    let mut again = Command::new(std::env::current_exe().unwrap());
    again.args(["--exact", NAME]).env(ISSUER, op.issuer());
    for variable in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
        let lower = variable.to_ascii_lowercase();
        again.env(variable, proxy.url()).env(lower, proxy.url());
    }
    let ended = again.output().await.unwrap();
    assert!(ended.status.success(), "{ended:?}");
    assert_eq!(op.hits(Endpoint::Discovery), 1);
    assert!(proxy.tunnels().is_empty());
}

/// Keeps what is logged.
#[derive(Debug, Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Log {
    /// Until the guard is dropped; on every level, so that nothing hides.
    fn collect(&self) -> tracing::subscriber::DefaultGuard {
        let writer = self.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
            .with_writer(move || writer.clone())
            .finish();
        tracing::subscriber::set_default(subscriber)
    }

    /// What was logged until now.
    fn take(&self) -> String {
        String::from_utf8(std::mem::take(&mut *self.0.lock().unwrap())).unwrap()
    }
}

/// What a proxy can do in place of a tunnel, and the word for it in the log.
fn obstacles() -> [(Behaviour, &'static str); 10] {
    let stranger = Authority::new("stranger").unwrap();
    let refused = |line| (Behaviour::Answer(line), "refused");
    let asks = "HTTP/1.1 407 Proxy Authentication Required\r\n";
    [
        (Behaviour::Answer(asks), "authentication_required"),
        refused("HTTP/1.1 403 Forbidden\r\n"),
        refused("HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n"),
        refused("HTTP/1.1 302 Found\r\nLocation: https://evil.example/\r\n"),
        refused("SSH-2.0-OpenSSH_9.9\r\n"),
        (Behaviour::HangUp, "closed"),
        (Behaviour::Silent, "silent"),
        (
            Behaviour::Pretend(stranger.issue(&[NAME]).unwrap()),
            "other_certificate",
        ),
        (Behaviour::Cut(0), "broken"),
        (Behaviour::Cut(100), "broken"),
    ]
}

#[tokio::test]
async fn found_i1_each_answer_of_a_proxy_is_an_outage_whose_log_line_names_it() {
    let log = Log::default();
    let _guard = log.collect();
    for (behaviour, expected) in obstacles() {
        let behind = Behind::with(credentials).await;
        behind.proxy.behave(behaviour.clone());
        let begun = Instant::now();
        let refused = behind.setup.begin(&Transaction::new()).await.err();
        assert_eq!(refused, Some(IdpError::Unavailable), "{behaviour:?}");
        assert!(begun.elapsed() < Duration::from_secs(9));
        let told = log.take();
        let line = format!("obstacle=\"{expected}\"");
        assert!(told.contains(&line), "{behaviour:?}: {told}");
        assert!(told.contains(&behind.proxy.url()), "{told}");
        for secret in [PASSWORD, "aHViIGtleT"] {
            assert!(!told.contains(secret), "{told}");
        }
        assert_eq!(behind.setup.hits(Endpoint::Discovery), 0);
    }
}

#[tokio::test]
async fn found_i1_a_proxy_that_is_not_there_is_an_outage_whose_log_line_names_it() {
    let log = Log::default();
    let _guard = log.collect();
    let gone = Behind::with(|config| {
        let proxy = config.outbound.proxy.as_mut().unwrap();
        proxy.url = Url::parse("http://127.0.0.1:1").unwrap();
    })
    .await;
    let refused = gone.setup.begin(&Transaction::new()).await.err();
    assert_eq!(refused, Some(IdpError::Unavailable));
    assert!(log.take().contains("obstacle=\"unreachable\""));
}

/// What failed later than that says nothing of the proxy: a request may have arrived.
#[tokio::test]
async fn found_i1_a_tunnel_that_is_cut_in_an_answer_is_a_lost_answer() {
    let behind = Behind::new().await;
    behind.setup.sign_in_honestly().await;
    let transaction = Transaction::new();
    let back = behind.setup.authorize(&transaction).await.unwrap();
    // The handshake passes, the answer does not.
    behind.setup.op.replies(Endpoint::Token, |reply| {
        reply.body = vec![b' '; 100_000].into();
    });
    behind.proxy.behave(Behaviour::Cut(20_000));
    let redemption = behind.setup.redemption(&back.code.unwrap(), transaction);
    let lost = behind.setup.client.redeem(redemption).await;
    assert_eq!(lost.err(), Some(IdpError::OutcomeUnknown));
    assert_eq!(behind.setup.hits(Endpoint::Token), 1);
}
