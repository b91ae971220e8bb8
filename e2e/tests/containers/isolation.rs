//! Who reaches whom, and with which rights.

use std::process::Command;

use anyhow::{Context as _, ensure};
use hubkey_e2e::evidence::canary::Canaries;
use hubkey_e2e::real::kernel::Kernel;
use hubkey_e2e::stack::containers::Compose;
use serde_json::Value;

use crate::support::{Outcome, compose, in_peace};

/// Each service whose container runs all the time.
const SERVICES: [&str; 7] = [
    "redis",
    "keycloak",
    "token-broker",
    "callback-server",
    "jupyterhub",
    "lab-api",
    "data-api",
];
/// Those that need no more rights than a program without any.
const RESTRICTED: [&str; 5] = [
    "redis",
    "token-broker",
    "callback-server",
    "lab-api",
    "data-api",
];

/// Tries doors from inside a user's server. What answers is printed.
const KNOCK: &str = r#"import socket
def opens(door):
    host, port = door.rsplit(":", 1)
    try:
        socket.create_connection((host, int(port)), timeout=2).close()
        return True
    except OSError:
        return False
print([door for door in DOORS if opens(door)])
print([line.split()[1] for line in open("/proc/net/route")].count("00000000"))"#;

fn inspect(name: &str) -> anyhow::Result<Value> {
    let output = Command::new("docker").args(["inspect", name]).output()?;
    ensure!(output.status.success(), "no container {name}");
    let list: Value = serde_json::from_slice(&output.stdout)?;
    Ok(list[0].clone())
}

/// The address of a service on one of the stack's networks.
fn address(compose: &Compose, service: &str, network: &str) -> anyhow::Result<String> {
    let container = inspect(&compose.container(service))?;
    let network = format!("{}_{network}", compose.project());
    let address = &container["NetworkSettings"]["Networks"][&network]["IPAddress"];
    let address = address.as_str().filter(|text| !text.is_empty());
    Ok(address
        .with_context(|| format!("{service} is not on {network}"))?
        .to_owned())
}

#[tokio::test]
async fn security_x3_a_users_server_reaches_the_kernel_port_and_no_other_door_of_hubkey() -> Outcome
{
    let (stack, _peace) = in_peace().await?;
    let compose = compose(stack)?;
    let person = stack.new_person().await?;
    stack.hub.start_server(&person.name, "").await?;
    let open = ["token-broker:8091", "jupyterhub:8081", "lab-api:8000"].map(str::to_owned);
    let mut shut = Vec::new();
    // The broker's other ports, on each of its addresses that a user's server could try.
    for network in ["users", "channel", "store", "outside"] {
        let broker = address(compose, "token-broker", network)?;
        shut.extend([format!("{broker}:8092"), format!("{broker}:9091")]);
    }
    for (service, network, port) in [
        ("redis", "store", 6379),
        ("callback-server", "channel", 8090),
        ("callback-server", "channel", 9092),
        ("keycloak", "outside", stack.ports.keycloak),
    ] {
        shut.push(format!("{}:{port}", address(compose, service, network)?));
        shut.push(format!("{service}:{port}"));
    }
    let doors: Vec<String> = open.iter().chain(&shut).cloned().collect();
    let mut kernel = Kernel::start(&stack.hub, &person.name, "").await?;
    let text = kernel
        .run(&format!("DOORS = {doors:?}\n{KNOCK}"))
        .await?
        .ok()?;
    let mut lines = text.lines();
    let answered = lines.next().unwrap_or_default().replace('\'', "\"");
    assert_eq!(serde_json::from_str::<Vec<String>>(&answered)?, open);
    assert_eq!(lines.next(), Some("0"), "a route to the world");
    Ok(())
}

#[tokio::test]
async fn security_x6_containers_run_without_rights_and_publish_on_loopback_only() -> Outcome {
    let (stack, _peace) = in_peace().await?;
    let compose = compose(stack)?;
    for service in SERVICES {
        let container = inspect(&compose.container(service))?;
        let host = &container["HostConfig"];
        assert_eq!(host["CapDrop"][0], "ALL", "{service}");
        assert_eq!(host["CapAdd"], Value::Null, "{service}");
        assert_eq!(
            host["SecurityOpt"][0], "no-new-privileges:true",
            "{service}"
        );
        assert_eq!(host["Privileged"], false, "{service}");
        let bindings = host["PortBindings"].as_object().context("no bindings")?;
        for binding in bindings.values().filter_map(Value::as_array).flatten() {
            assert_eq!(binding["HostIp"], "127.0.0.1", "{service}");
        }
        if RESTRICTED.contains(&service) {
            assert_eq!(host["ReadonlyRootfs"], true, "{service}");
            let user = container["Config"]["User"].as_str().unwrap_or_default();
            assert!(
                !user.is_empty() && !user.starts_with('0'),
                "{service}: {user}"
            );
        }
    }
    Ok(())
}

#[tokio::test]
async fn security_l1_no_secret_is_in_the_environment_of_a_container_or_in_an_image() -> Outcome {
    let (stack, _peace) = in_peace().await?;
    let compose = compose(stack)?;
    let mut canaries = Canaries::default();
    for file in std::fs::read_dir(stack.run.join("secrets"))?.flatten() {
        canaries.add("secret", std::fs::read_to_string(file.path())?.trim());
    }
    ensure!(canaries.count("secret") >= 6, "the secrets were not found");
    for service in SERVICES {
        let container = inspect(&compose.container(service))?;
        let image = container["Image"].as_str().context("no image")?;
        let text = format!("{container}{}", inspect(image)?);
        assert_eq!(canaries.found_in(text.as_bytes()), [""; 0], "{service}");
    }
    Ok(())
}

#[tokio::test]
async fn security_x6_callback_server_holds_one_secret_and_both_servers_have_no_shell() -> Outcome {
    let (stack, _peace) = in_peace().await?;
    let compose = compose(stack)?;
    let copy = stack.run.join("callback-secrets");
    compose.copy_out("callback-server", "/run/secrets/hubkey", &copy)?;
    let names: Vec<_> = std::fs::read_dir(&copy)?
        .flatten()
        .map(|entry| entry.file_name())
        .collect();
    assert_eq!(names, ["shared-secret"]);
    assert!(
        address(compose, "callback-server", "store").is_err(),
        "it is beside Redis"
    );
    for service in ["token-broker", "callback-server"] {
        let output = Command::new("docker")
            .args(["exec", &compose.container(service), "sh", "-c", "true"])
            .output()?;
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        assert!(
            said.contains("executable file not found"),
            "{service}: {said}"
        );
    }
    Ok(())
}
