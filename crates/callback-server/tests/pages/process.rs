//! The program itself: its settings, its listeners, its log.

use std::{
    net::SocketAddr,
    process::{Output, Stdio},
    time::Duration,
};

use hubkey_protocol::internal::{BrowserAnswer, Refusal};
use reqwest::{Client, StatusCode, redirect};
use tokio::{
    io::AsyncReadExt,
    net::TcpListener,
    process::{Child, Command},
    time::{sleep, timeout},
};

use crate::support::{Broker, refused, short};

const SECRET: &str = "canary-shared-secret-of-32-characters";
const PROGRAM: &str = env!("CARGO_BIN_EXE_callback-server");

/// A program with these settings and nothing else in its environment.
fn program(settings: &[(&str, &str)]) -> Command {
    let mut command = Command::new(PROGRAM);
    command
        .env_clear()
        .envs(settings.iter().copied())
        .kill_on_drop(true);
    command
}

pub(crate) async fn output(settings: &[(&str, &str)], argument: &str) -> Output {
    program(settings).arg(argument).output().await.unwrap()
}

async fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap()
        .to_string()
}

/// A running program.
pub(crate) struct Running {
    child: Child,
    public: String,
    ops: String,
    broker: String,
    client: Client,
}

impl Running {
    async fn start(more: &[(&str, &str)]) -> Self {
        let (public, ops, broker) = (
            free_address().await,
            free_address().await,
            free_address().await,
        );
        let (public_url, broker_url) = (format!("http://{public}"), format!("http://{broker}"));
        let mut settings = vec![
            ("HUBKEY_PUBLIC_URL", public_url.as_str()),
            ("HUBKEY_LISTEN", &public),
            ("HUBKEY_OPS_LISTEN", &ops),
            ("HUBKEY_BROKER_URL", &broker_url),
            ("HUBKEY_SHARED_SECRET", SECRET),
            ("HUBKEY_LOG_FORMAT", "json"),
            ("HUBKEY_LOG_FILTER", "trace"),
        ];
        settings.extend(more);
        let child = program(&settings).stderr(Stdio::piped()).spawn().unwrap();
        let client = Client::builder()
            .redirect(redirect::Policy::none())
            .no_proxy()
            .build()
            .unwrap();
        let running = Self {
            child,
            public,
            ops,
            broker,
            client,
        };
        running.until("/healthz", StatusCode::OK).await;
        running
    }

    pub(crate) async fn with_broker(more: &[(&str, &str)]) -> (Self, Broker) {
        let running = Self::start(more).await;
        let (broker, _) =
            Broker::start_at(&running.broker, &format!("http://{}", running.public)).await;
        running.until("/readyz", StatusCode::OK).await;
        (running, broker)
    }

    /// Waits until the ops port answers with a status.
    async fn until(&self, path: &str, status: StatusCode) {
        for _ in 0..200 {
            let answer = self
                .client
                .get(format!("http://{}{path}", self.ops))
                .send()
                .await;
            if answer.is_ok_and(|answer| answer.status() == status) {
                return;
            }
            sleep(Duration::from_millis(50)).await;
        }
        panic!("{path} did not answer {status} within 10 s");
    }

    pub(crate) fn get(&self, path: &str) -> reqwest::RequestBuilder {
        self.client.get(format!("http://{}{path}", self.public))
    }

    /// Where browsers reach it.
    pub(crate) fn public(&self) -> SocketAddr {
        self.public.parse().unwrap()
    }

    /// Where it tells how it is.
    pub(crate) fn ops(&self) -> SocketAddr {
        self.ops.parse().unwrap()
    }

    /// How many requests it has read from browsers, but for heads that it could not read.
    pub(crate) async fn requests(&self) -> anyhow::Result<u64> {
        const COUNTED: &str = "hubkey_http_server_request_duration_seconds_count";
        // What is answered is counted a moment later.
        sleep(Duration::from_millis(100)).await;
        let url = format!("http://{}/metrics", self.ops);
        let told = self.client.get(url).send().await?.text().await?;
        let counted = told.lines().filter(|line| line.starts_with(COUNTED));
        let public = counted.filter(|line| !line.contains("listener=\"ops\""));
        let numbers = public.filter_map(|line| line.rsplit_once(' '));
        Ok(numbers
            .map(|(_, number)| number.parse::<u64>())
            .sum::<Result<_, _>>()?)
    }

    /// Tells the program to end, and gives back what it logged.
    pub(crate) async fn end(mut self) -> String {
        let pid = self.child.id().unwrap().to_string();
        Command::new("kill")
            .args(["-TERM", &pid])
            .status()
            .await
            .unwrap();
        let mut log = String::new();
        let ended = async {
            self.child
                .stderr
                .take()
                .unwrap()
                .read_to_string(&mut log)
                .await
                .unwrap();
            self.child.wait().await.unwrap()
        };
        let status = timeout(Duration::from_secs(10), ended)
            .await
            .expect("the program ends when told to");
        assert!(status.success(), "{log}");
        log
    }
}

#[tokio::test]
async fn check_config_tells_all_mistakes_together_and_no_secret() {
    let settings = [
        ("HUBKEY_PUBLIC_URL", "http://hub.example.org"),
        ("HUBKEY_BROKER_URL", "http://broker:8082"),
        ("HUBKEY_SHARED_SECRET", "canary"),
        ("HUBKEY_LISSEN", "127.0.0.1:1"),
    ];
    let wrong = output(&settings, "check-config").await;
    assert!(!wrong.status.success());
    let told = String::from_utf8(wrong.stderr).unwrap();
    for word in [
        "4 mistakes",
        "use an https URL",
        "broker.allow_plaintext",
        "32 characters",
        "HUBKEY_LISTEN",
    ] {
        assert!(told.contains(word), "{word}: {told}");
    }
    assert!(!told.contains("canary"), "{told}");
    let settings = [
        (
            "HUBKEY_PUBLIC_URL",
            "https://hub.example.org/services/hubkey",
        ),
        ("HUBKEY_BROKER_URL", "http://127.0.0.1:8082"),
        ("HUBKEY_SHARED_SECRET", SECRET),
    ];
    assert!(output(&settings, "check-config").await.status.success());
}

#[tokio::test]
async fn the_server_starts_without_the_broker_and_is_ready_with_it() {
    let running = Running::start(&[]).await;
    running
        .until("/readyz", StatusCode::SERVICE_UNAVAILABLE)
        .await;
    let page = running.get("/start/abcdef.x").send().await.unwrap();
    assert_eq!(page.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(
        page.text()
            .await
            .unwrap()
            .contains("Signing in does not work right now")
    );
    let (_broker, _) =
        Broker::start_at(&running.broker, &format!("http://{}", running.public)).await;
    running.until("/readyz", StatusCode::OK).await;
    let home = running.get("/").send().await.unwrap().text().await.unwrap();
    assert!(
        home.contains("<bdi>hub.example.org</bdi>"),
        "the broker says the hub's name"
    );
    let public = running.get("/readyz").send().await.unwrap();
    assert_eq!(
        public.status(),
        StatusCode::NOT_FOUND,
        "health is for the ops port only"
    );
    let ops = running.ops.clone();
    let health = [
        ("HUBKEY_PUBLIC_URL", "https://hub.example.org"),
        ("HUBKEY_BROKER_URL", "http://127.0.0.1:1"),
        ("HUBKEY_SHARED_SECRET", SECRET),
        ("HUBKEY_OPS_LISTEN", &ops),
    ];
    assert!(output(&health, "health").await.status.success());
    running.end().await;
    assert!(!output(&health, "health").await.status.success());
}

#[tokio::test]
async fn a_broker_with_another_public_url_keeps_the_server_from_being_ready() {
    let running = Running::start(&[]).await;
    let (_broker, _) = Broker::start_at(&running.broker, "https://other.example.org").await;
    sleep(Duration::from_secs(2)).await;
    running
        .until("/readyz", StatusCode::SERVICE_UNAVAILABLE)
        .await;
    let log = running.end().await;
    assert!(log.contains("give both the same"), "{log}");
}

#[tokio::test]
async fn security_q11_only_a_trusted_proxy_says_where_a_browser_is() {
    for (settings, expected) in [
        (&[][..], "127.0.0.1"),
        (&[("HUBKEY_TRUSTED_PROXIES", "127.0.0.0/8")], "203.0.113.7"),
        (
            &[("HUBKEY_TRUSTED_PROXIES", "127.0.0.0/8,203.0.113.7")],
            "198.51.100.9",
        ),
    ] {
        let (running, broker) = Running::with_broker(settings).await;
        broker.says(refused(Refusal::InvalidLink));
        let request = running
            .get("/start/abcdef.x")
            .header("x-forwarded-for", "192.0.2.1, 198.51.100.9, 203.0.113.7");
        assert_eq!(request.send().await.unwrap().status(), StatusCode::GONE);
        assert_eq!(broker.call().body["source"], expected, "{settings:?}");
        running.end().await;
    }
}

/// A proxy that nobody named speaks for everybody, and so does one that names nobody.
#[tokio::test]
async fn found_f1_first_aid_a_browser_is_counted_by_its_own_address_or_not_at_all() {
    let proxies = |list| [("HUBKEY_TRUSTED_PROXIES", list)];
    let named = proxies("127.0.0.0/8");
    let with_another = proxies("127.0.0.0/8,203.0.113.7");
    for (settings, forwarded, expected) in [
        (&[][..], Some("203.0.113.7"), None),
        (&named, None, None),
        (&named, Some("203.0.113.7"), Some("203.0.113.7")),
        (&named, Some("10.1.2.3"), Some("10.1.2.3")),
        (&named, Some("2001:db8::1:2:3"), Some("2001:db8::")),
        (
            &with_another,
            Some("198.51.100.9, 203.0.113.7"),
            Some("198.51.100.9"),
        ),
        (&with_another, Some("203.0.113.7"), None),
    ] {
        let (running, broker) = Running::with_broker(settings).await;
        broker.says(refused(Refusal::Forbidden));
        let mut request = running.get("/oauth_callback?code=c&state=abcdef.s");
        if let Some(forwarded) = forwarded {
            request = request.header("x-forwarded-for", forwarded);
        }
        assert_eq!(
            request.send().await.unwrap().status(),
            StatusCode::FORBIDDEN
        );
        assert_eq!(
            broker.call().body["peer"].as_str(),
            expected,
            "{settings:?} {forwarded:?}"
        );
        running.end().await;
    }
}

#[tokio::test]
async fn security_l1_the_log_holds_nothing_that_passes_through() {
    let (running, broker) = Running::with_broker(&[]).await;
    broker.says(BrowserAnswer::View { flow: short() });
    let cookie = "__Host-Http-hk-abcdef=canary-cookie";
    for path in [
        "/start/abcdef.canary-ticket",
        "/oauth_callback?code=canary-code&state=abcdef.canary-state",
        "/callback/lab-api?code=canary-code&state=abcdef.canary-state&iss=canary-issuer&error_description=canary",
        "/callback/lab-api?code=canary-code&code=canary-code&state=abcdef.canary-state",
        "/canary?canary=canary",
        "/sign-in/abcdef",
    ] {
        running
            .get(path)
            .header("cookie", cookie)
            .send()
            .await
            .unwrap();
    }
    let form = "csrf=canary-form&decision=accept";
    let posted = running
        .client
        .post(format!("http://{}/confirm/abcdef", running.public));
    let posted = posted
        .header("origin", format!("http://{}", running.public))
        .header("cookie", cookie);
    posted
        .header("content-type", "application/x-www-form-urlencoded")
        .body(form)
        .send()
        .await
        .unwrap();
    broker.answers(
        StatusCode::INTERNAL_SERVER_ERROR,
        serde_json::json!({"canary": "canary"}),
    );
    running
        .get("/start/abcdef.canary-ticket")
        .send()
        .await
        .unwrap();
    assert_eq!(broker.calls().len(), 6, "{:?}", broker.calls());
    let log = running.end().await;
    assert!(
        log.contains("/callback/{provider}"),
        "the log names routes: {log}"
    );
    assert!(log.contains("the broker could not be asked"), "{log}");
    let leaks: Vec<_> = log.lines().filter(|line| line.contains("canary")).collect();
    assert!(leaks.is_empty(), "{leaks:#?}");
}

#[tokio::test]
async fn security_x1_plain_text_to_the_broker_is_told_at_start() {
    let elsewhere = [
        ("HUBKEY_BROKER_URL", "http://broker.invalid:8092"),
        ("HUBKEY_BROKER_ALLOW_PLAINTEXT", "true"),
    ];
    let told = Running::start(&elsewhere).await.end().await;
    assert!(
        told.contains(r#""setting":"broker.allow_plaintext""#),
        "{told}"
    );
    let silent = Running::start(&[]).await.end().await;
    assert!(!silent.contains("plaintext"), "{silent}");
}
