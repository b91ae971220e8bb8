//! The program while its Redis is gone, stands still or is full: what kernels are told, and that it goes on by itself.

use std::time::{Duration, Instant};

use http::{Method, StatusCode};
use hubkey_fakes::kernel_api::{KernelApi, Opened};
use hubkey_fakes::scripted_hub::ScriptedHub;
use hubkey_starters::process::RunFolder;
use hubkey_starters::redis::Redis;
use serde_json::json;
use tokio::process::Child;

use crate::crowd::{hub, kernel, program as program_of};
use crate::program::Program;

/// How long it may take until a Redis that is back is used again.
const BACK: Duration = Duration::from_secs(30);
/// A Redis that is away (rule R14).
const AT_ONCE: Duration = Duration::from_secs(1);

struct Stage {
    redis: Redis,
    run: RunFolder,
    child: Child,
    kernel: KernelApi,
    opened: Opened,
    _hub: ScriptedHub,
    _program: Program,
}

impl Stage {
    /// A kernel with an open sign-in.
    async fn new(label: &str) -> Self {
        let (hub, run) = (hub().await, RunFolder::create(label).unwrap());
        let redis = Redis::start(&run).await.unwrap();
        let program = program_of(&hub).redis(&redis.url());
        let (child, _log) = program.start().await;
        let kernel = kernel(&program, &hub, "alice");
        let opened = kernel.open("lab-api").await.unwrap();
        Self {
            redis,
            run,
            child,
            kernel,
            opened,
            _hub: hub,
            _program: program,
        }
    }

    /// Every question that needs the store is refused for now, each within a second. On a machine that does much else, one
    /// of three tries is enough.
    async fn refuses(&self) {
        let poll = format!("/v1/sign-ins/{}", self.opened.nonce);
        for (method, path) in [
            (Method::POST, "/v1/sign-ins"),
            (Method::GET, "/v1/connections"),
            (Method::GET, &poll),
        ] {
            let mut took = Vec::new();
            for _ in 0..3 {
                let began = Instant::now();
                self.refused(method.clone(), path).await;
                took.push(began.elapsed());
            }
            assert!(took.iter().any(|took| *took <= AT_ONCE), "{path}: {took:?}");
        }
    }

    async fn refused(&self, method: Method, path: &str) {
        let body = (method == Method::POST).then(|| json!({ "provider": "lab-api" }));
        let secret = [("hubkey-poll-secret", self.opened.poll_secret.as_str())];
        let (status, answer) = self.kernel.ask(method, path, body, &secret).await.unwrap();
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{path}: {answer}");
        assert_eq!(answer["code"], "store_unavailable", "{path}");
        assert!(
            answer["retry_after"].as_u64() >= Some(1),
            "{path}: {answer}"
        );
    }

    /// The same process soon knows again what it knew.
    async fn recovers(&mut self) {
        let began = Instant::now();
        loop {
            let (status, answer) = self.kernel.poll(&self.opened).await.unwrap();
            if status == StatusCode::OK {
                assert_eq!(answer["status"], "pending");
                break;
            }
            assert!(began.elapsed() < BACK, "{status}: {answer}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert!(
            self.child.try_wait().unwrap().is_none(),
            "the program ended"
        );
    }

    async fn configure(&self, command: &[&str]) {
        let mut connection = self.redis.connect().await.unwrap();
        let (name, arguments) = command.split_first().unwrap();
        let mut command = redis::cmd(name);
        command.arg(arguments);
        command.exec_async(&mut connection).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn security_r14_without_redis_kernels_are_told_at_once_and_nothing_is_restarted() {
    let mut stage = Stage::new("r14-gone").await;
    stage.redis.stop();
    stage.refuses().await;
    stage.redis.restart(&stage.run).await.unwrap();
    stage.recovers().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn security_r15_a_full_redis_opens_no_sign_in_and_loses_none() {
    let mut stage = Stage::new("r15-full").await;
    stage.configure(&["CONFIG", "SET", "maxmemory", "1"]).await;
    stage.refused(Method::POST, "/v1/sign-ins").await;
    stage.configure(&["CONFIG", "SET", "maxmemory", "0"]).await;
    stage.recovers().await;
}
