//! The starters themselves: what they start answers, and nothing of it is left when it is dropped.

use std::path::Path;
use std::time::{Duration, Instant};

use hubkey_e2e::real::browser::Browser;
use hubkey_e2e::real::kernel::Kernel;
use hubkey_e2e::real::keycloak::Keycloak;
use hubkey_e2e::real::notebook::Notebook;
use hubkey_fakes::attacks::rapid_reset;
use hubkey_fakes::loopback;
use hubkey_starters::jupyterhub::{HubOptions, JupyterHub};
use hubkey_starters::process::{self, RunFolder, Spec};
use hubkey_starters::redis::Redis;
use hubkey_starters::tools;

type Outcome = anyhow::Result<()>;

fn lives(id: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{id}/status"))
        .is_ok_and(|status| !status.contains("State:\tZ"))
}

#[tokio::test]
async fn a_dropped_process_takes_everything_below_it_along() -> Outcome {
    let run = RunFolder::create("process")?;
    let script = "setsid sleep 300 & echo started $!; trap 'exit 0' TERM; wait";
    let mut process = Spec::new("family", "sh").args(["-c", script]).start(&run)?;
    process.says("started", Duration::from_secs(5)).await?;
    let text = process.output();
    let below: u32 = text.trim().rsplit(' ').next().unwrap().parse()?;
    let program = process.id().unwrap();
    assert!(lives(below) && lives(program));
    let started = Instant::now();
    drop(process);
    assert!(started.elapsed() < Duration::from_secs(10));
    assert!(!lives(below) && !lives(program));
    Ok(())
}

#[tokio::test]
async fn a_child_that_ends_at_once_is_reported_with_its_words() -> Outcome {
    let run = RunFolder::create("process")?;
    let mut process = Spec::new("brief", "sh")
        .args(["-c", "echo no such luck; exit 3"])
        .start(&run)?;
    let error = process
        .ready(Duration::from_secs(5), async || false)
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("no such luck") && error.contains('3'),
        "{error}"
    );
    Ok(())
}

#[tokio::test]
async fn redis_forgets_nothing_at_a_restart() -> Outcome {
    let run = RunFolder::create("redis")?;
    let mut server = Redis::start(&run).await?;
    let mut connection = server.connect().await?;
    let _: () = redis::cmd("SET")
        .arg("k")
        .arg("v")
        .query_async(&mut connection)
        .await?;
    server.restart(&run).await?;
    let mut connection = server.connect().await?;
    let value: String = redis::cmd("GET")
        .arg("k")
        .query_async(&mut connection)
        .await?;
    assert_eq!(value, "v");
    Ok(())
}

#[tokio::test]
async fn keycloak_serves_the_realm() -> Outcome {
    let run = RunFolder::create("keycloak")?;
    let keycloak = Keycloak::start(&run).await?;
    let client = loopback::client()?;
    let url = format!("{}/.well-known/openid-configuration", keycloak.issuer());
    let discovery: serde_json::Value = client.get(url).send().await?.json().await?;
    assert_eq!(discovery["issuer"], keycloak.issuer());
    let token = keycloak.admin_token().await?;
    let url = format!("{}/users?username=alice", keycloak.admin_api());
    let users: serde_json::Value = client
        .get(url)
        .bearer_auth(token)
        .send()
        .await?
        .json()
        .await?;
    assert_eq!(users[0]["email"], "alice.liddell@lab.example");
    Ok(())
}

#[tokio::test]
async fn a_hub_starts_servers_and_leaves_none_behind() -> Outcome {
    let run = RunFolder::create("hub")?;
    let hub = JupyterHub::start(&run, HubOptions::default()).await?;
    hub.start_server("alice", "").await?;
    let status = format!("{}api/status", hub.server_url("alice", ""));
    let client = loopback::client()?;
    let answer = client
        .get(status)
        .bearer_auth(hub.tests_token())
        .send()
        .await?;
    assert_eq!(answer.status(), 200);
    let homes = run.join("jupyterhub/home");
    assert!(processes_with(&homes)? > 0);
    drop(hub);
    assert_eq!(processes_with(&homes)?, 0);
    Ok(())
}

/// How many processes run in a folder or below it.
fn processes_with(folder: &Path) -> anyhow::Result<usize> {
    let entries = std::fs::read_dir("/proc")?.flatten();
    let count = entries
        .filter(|entry| {
            std::fs::read_link(entry.path().join("cwd")).is_ok_and(|cwd| cwd.starts_with(folder))
        })
        .count();
    Ok(count)
}

#[tokio::test]
async fn a_kernel_runs_cells_without_a_browser() -> Outcome {
    let run = RunFolder::create("kernel")?;
    let hub = JupyterHub::start(&run, HubOptions::default()).await?;
    hub.start_server("alice", "").await?;
    let mut kernel = Kernel::start(&hub, "alice", "").await?;
    assert_eq!(
        kernel.run("print(1 + 1)\n'three'").await?.ok()?,
        "2\n'three'\n"
    );
    let failed = kernel.run("1 / 0").await?;
    assert_eq!(failed.error.unwrap().0, "ZeroDivisionError");
    kernel
        .begin("import time\nwhile True: time.sleep(0.1)")
        .await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    kernel.interrupt().await?;
    let stopped = kernel.finish(Duration::from_secs(20)).await?;
    assert_eq!(stopped.error.unwrap().0, "KeyboardInterrupt");
    Ok(())
}

#[tokio::test]
async fn a_person_runs_a_cell_in_the_browser() -> Outcome {
    let run = RunFolder::create("browser")?;
    let hub = JupyterHub::start(&run, HubOptions::default()).await?;
    let browser = Browser::start(&run, "alice").await?;
    browser.sign_in_to_hub(&hub, "alice").await?;
    let notebook = Notebook::create(&browser, &hub, "alice").await?;
    notebook
        .write_and_run("import sys\nprint(\"six\", 2 * 3, sys.version_info[0])")
        .await?;
    let output = notebook.await_output(0, "six").await?;
    assert_eq!(output.trim(), "six 6 3");
    browser.screenshot("starters-notebook").await?;
    browser.quit().await;
    Ok(())
}

/// Counts the streams that it gets, and says so when all are there.
const HTTP2: &str = r#"const server = require("node:http2").createServer({
  streamResetBurst: 20000,
  unknownProtocolTimeout: 1000,
});
let streams = 0;
server.on("stream", (stream) => {
  stream.on("error", () => {});
  if (++streams === 10000) console.log("ten thousand streams");
});
server.listen(Number(process.argv[1]), "127.0.0.1", () => console.log("listening"));"#;

/// A server that speaks HTTP/2 understands all of what the tests of rule Q6 send, and their check says so.
#[tokio::test]
async fn security_q6_the_attack_is_http2_and_the_check_sees_who_takes_it() -> Outcome {
    let (run, port) = (RunFolder::create("http2")?, process::free_port()?);
    let mut server = Spec::new("http2", tools::node()?)
        .args(["-e", HTTP2])
        .arg(port.to_string())
        .start(&run)?;
    server.says("listening", Duration::from_secs(20)).await?;
    let checked = rapid_reset::check(([127, 0, 0, 1], port).into()).await;
    let error = format!("{:#}", checked.unwrap_err());
    assert!(
        error.contains("answered HTTP/2") || error.contains("left open"),
        "{error}"
    );
    server
        .says("ten thousand streams", Duration::from_secs(20))
        .await?;
    Ok(())
}
