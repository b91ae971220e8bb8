//! One real Hub for all tests of this program, with hubkey and another service registered.

use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use hubkey_domain::clock::{Clock, TestClock, Timestamp};
use hubkey_domain::identity::ServerIdentity;
use hubkey_protocol::secret::{ClientSecret, ServerToken};
use hubkey_starters::jupyterhub::{HubOptions, JupyterHub, Registration};
use hubkey_starters::process::{RunFolder, checkout};
use hubkey_store::keys::LookupMacKey;
use hubkey_token_broker::hub::{
    Freshness, KernelAuthenticator, KernelError, browser::HubBrowserAuthenticator,
    config::HubConfig, http::HubApi, kernel::HubKernelAuthenticator,
};
use serde_json::Value;
use tokio::runtime::Runtime;
use tokio::sync::{Mutex, OnceCell};

/// Nothing listens there: no browser of these tests follows the Hub that far.
pub(crate) const PUBLIC_URL: &str = "http://127.0.0.1:9";
pub(crate) const EVIL_SECRET: &str = "the-api-token-of-the-service-evil";
pub(crate) const EVIL_CALLBACK: &str = "http://127.0.0.1:9/evil";
const SERVICE_TOKEN: &str = "the-api-token-of-the-service-hubkey";

/// A service that has nothing to do with hubkey, and that alice uses.
const EVIL: &str = r#"
c.JupyterHub.services.append({
    "name": "evil",
    "api_token": "the-api-token-of-the-service-evil",
    "oauth_redirect_uri": "http://127.0.0.1:9/evil",
    "oauth_no_confirm": True,
})
c.JupyterHub.load_roles.append({
    "name": "uses-evil",
    "users": ["alice"],
    "scopes": ["access:services!service=evil"],
})
"#;

/// Runs when a kernel starts: what it writes down is what any code in a kernel has.
const START_OF_A_KERNEL: &str = r#"
import os, pathlib
name = os.environ["JUPYTERHUB_SERVER_NAME"]
new = pathlib.Path.home() / f"token-{name}.new"
new.write_text(os.environ["JUPYTERHUB_API_TOKEN"])
new.rename(new.with_suffix(""))
"#;

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());
static STAGE: OnceCell<Stage> = OnceCell::const_new();

pub(crate) struct Stage {
    pub(crate) hub: JupyterHub,
    pub(crate) kernels: HubKernelAuthenticator,
    pub(crate) browsers: HubBrowserAuthenticator,
    clock: Arc<TestClock>,
    /// Servers are started by one test at a time.
    starting: Mutex<Vec<(String, String)>>,
    _run: RunFolder,
}

/// Runs a test on the stage. The stage outlives each test's own runtime, hence one for all.
pub(crate) fn on_stage(test: impl AsyncFnOnce(&'static Stage)) {
    RUNTIME.block_on(async { test(STAGE.get_or_init(Stage::set).await).await });
}

impl Stage {
    async fn set() -> Self {
        let run = RunFolder::create("real-hub").unwrap();
        let api_token_file = run.join("hubkey-api-token");
        std::fs::write(&api_token_file, SERVICE_TOKEN).unwrap();
        let options = HubOptions {
            hubkey: Some(Registration {
                public_url: PUBLIC_URL.into(),
                broker_url: PUBLIC_URL.into(),
                callback_url: None,
                api_token_file,
                ca_file: None,
            }),
            // `hubkey.hub` needs nothing that is compiled.
            python_packages: Some(checkout().join("crates/python-shim/python")),
            extra_config: EVIL.into(),
            ..HubOptions::default()
        };
        let hub = JupyterHub::start(&run, options).await.unwrap();
        let config = config(&hub);
        let api = Arc::new(HubApi::new(&config).unwrap());
        let clock = Arc::new(TestClock::at(Timestamp::from_millis(0)));
        let time: Arc<dyn Clock> = Arc::<TestClock>::clone(&clock);
        let index = LookupMacKey::new(&[7; 32]);
        Self {
            kernels: HubKernelAuthenticator::new(
                Arc::clone(&api),
                &config,
                index,
                Arc::clone(&time),
            ),
            browsers: HubBrowserAuthenticator::new(api, &config, time),
            clock,
            hub,
            starting: Mutex::default(),
            _run: run,
        }
    }

    /// What the broker takes the holder of a token for.
    pub(crate) async fn authenticate(&self, token: &str) -> Result<ServerIdentity, KernelError> {
        let token = ServerToken::new(token);
        self.kernels
            .authenticate(&token, Freshness::Fresh, None)
            .await
    }

    /// What the Hub says of a token.
    pub(crate) async fn model(&self, token: &str) -> Value {
        let url = format!("{}/user", self.hub.api_url());
        let request = reqwest::Client::builder()
            .build()
            .unwrap()
            .get(url)
            .bearer_auth(token);
        request.send().await.unwrap().json().await.unwrap()
    }

    /// Starts a server unless it runs.
    pub(crate) async fn running(&self, user: &str, server: &str) {
        let mut started = self.starting.lock().await;
        let key = (user.to_owned(), server.to_owned());
        if !started.contains(&key) {
            self.hub.start_server(user, server).await.unwrap();
            started.push(key);
        }
    }

    /// Stops a server.
    pub(crate) async fn stopped(&self, user: &str, server: &str) {
        let mut started = self.starting.lock().await;
        self.hub.stop_server(user, server).await.unwrap();
        started.retain(|(of, name)| (of.as_str(), name.as_str()) != (user, server));
    }

    /// Starts a kernel in a server and gives the token that it finds in its environment.
    pub(crate) async fn token_in_kernel(&self, user: &str, server: &str) -> String {
        self.running(user, server).await;
        let home = self.hub.home(user);
        let startup = home.join(".ipython/profile_default/startup");
        std::fs::create_dir_all(&startup).unwrap();
        std::fs::write(startup.join("00-token.py"), START_OF_A_KERNEL).unwrap();
        let file = home.join(format!("token-{server}"));
        let _ = std::fs::remove_file(&file);
        let url = format!("{}api/kernels", self.hub.server_url(user, server));
        let request = reqwest::Client::builder()
            .build()
            .unwrap()
            .post(url)
            .header("authorization", format!("token {}", self.hub.tests_token()))
            .body("{}");
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 201, "{}", answer.text().await.unwrap());
        content_of(&file).await
    }

    /// Shares a server with another user.
    pub(crate) async fn share(&self, owner: &str, server: &str, with: &str) {
        let body = serde_json::json!({ "user": with });
        let path = format!("/shares/{owner}/{server}");
        let post = reqwest::Method::POST;
        // The hub refuses to make a user whom another test made before: then there is nothing to do.
        let _ = self
            .hub
            .api(post.clone(), &format!("/users/{with}"), None)
            .await;
        self.hub.api(post, &path, Some(body)).await.unwrap();
        // What the Hub said of shares before is remembered for less.
        self.clock.advance(Duration::from_secs(5));
    }
}

fn config(hub: &JupyterHub) -> HubConfig {
    HubConfig {
        api_url: hub.api_url().parse().unwrap(),
        public_url: hub.url().parse().unwrap(),
        api_token: ClientSecret::new(SERVICE_TOKEN),
        service_name: "hubkey".into(),
        client_id: "service-hubkey".into(),
        redirect_uri: format!("{PUBLIC_URL}/oauth_callback"),
        server_scope: "custom:hubkey:kernel".into(),
        allow_plaintext: false,
        ca_pem: None,
    }
}

async fn content_of(file: &Path) -> String {
    for _ in 0..600 {
        if let Ok(content) = std::fs::read_to_string(file) {
            return content;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("no kernel wrote {} within a minute", file.display());
}
