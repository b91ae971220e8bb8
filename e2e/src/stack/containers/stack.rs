//! A [`Stack`] whose parts are containers.

use std::path::Path;

use super::Compose;
use crate::real::keycloak::Keycloak;
use crate::stack::servers::Server;
use crate::stack::{Ports, Stack, StackOptions};
use hubkey_starters::jupyterhub::JupyterHub;
use hubkey_starters::process::{RunFolder, checkout};
use hubkey_starters::redis::Redis;

/// Users' homes lie on this machine, where tests look into them.
const HUB_CONFIG: &str = r#"
import os
from pathlib import Path

def make_home(spawner):
    home = Path(os.environ["HUB_HOMES"]) / spawner.user.name
    home.mkdir(mode=0o777, exist_ok=True)
    home.chmod(0o777)

c.Spawner.pre_spawn_hook = make_home
c.DockerSpawner.volumes = {os.environ["HUB_HOMES"] + "/{raw_username}": "/home/jovyan"}
"#;

/// Starts the stack of `compose.yaml` on free ports.
pub(crate) async fn start(label: &str, options: &StackOptions) -> anyhow::Result<Stack> {
    anyhow::ensure!(
        !options.shared_origin && !options.without_redis,
        "a stack with callback-server on the hub's origin, or without Redis, is made of processes only"
    );
    let run = RunFolder::create(label)?;
    let mut ports = Ports::free(false)?;
    // From outside, the hub's API is reached through its proxy.
    ports.hub_api = ports.hub;
    let redis_port = hubkey_starters::process::free_port()?;
    write_files(&run, options)?;
    let environment = variables(&run, options, &ports, redis_port);
    let compose = Compose::start(&run, environment).await?;
    compose.copy_out("token-broker", "/run/secrets/hubkey", &run.join("secrets"))?;
    // It says where Redis is; the password is in a file of its own.
    std::fs::remove_file(run.join("secrets/redis-url"))?;
    let password = std::fs::read_to_string(run.join("secrets/redis-password"))?;
    let local = |port: u16| format!("http://127.0.0.1:{port}");
    let server = |service: &str, address: String| -> anyhow::Result<Server> {
        Ok(Server::of_container(
            compose.follow(&run, service)?,
            address,
        ))
    };
    Ok(Stack {
        hub: JupyterHub::of_container(
            compose.follow(&run, "jupyterhub")?,
            ports.hub,
            run.join("jupyterhub"),
            compose.project(),
        )?,
        callback_server: server("callback-server", ports.public_url.clone())?,
        broker: server("token-broker", local(ports.kernel))?,
        lab_api: server("lab-api", local(ports.lab_api))?,
        data_api: server("data-api", local(ports.data_api))?,
        keycloak: Keycloak::of_container(compose.follow(&run, "keycloak")?, ports.keycloak),
        redis: Some(Redis::of_container(
            compose.follow(&run, "redis")?,
            redis_port,
            password,
        )),
        ports,
        compose: Some(compose),
        run,
    })
}

/// What containers are given of this run's folder.
fn write_files(run: &RunFolder, options: &StackOptions) -> anyhow::Result<()> {
    let homes = run.join("jupyterhub/home");
    std::fs::create_dir_all(&homes)?;
    open_to_all(&homes)?;
    let settings = std::fs::read_to_string(checkout().join("docker/compose/token-broker.toml"))?;
    let (first, last) = (&options.broker_settings, &options.more_broker_settings);
    std::fs::write(
        run.join("token-broker.toml"),
        format!("{first}\n{settings}\n{last}"),
    )?;
    let hub = format!("{HUB_CONFIG}\n{}", options.hub_config);
    Ok(std::fs::write(run.join("extra_config.py"), hub)?)
}

/// Users in containers are not the user who runs the tests.
fn open_to_all(folder: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    Ok(std::fs::set_permissions(
        folder,
        std::fs::Permissions::from_mode(0o777),
    )?)
}

/// The variables of `compose.yaml` and of `e2e/compose.tests.yaml`.
fn variables(
    run: &RunFolder,
    options: &StackOptions,
    ports: &Ports,
    redis_port: u16,
) -> Vec<(String, String)> {
    // Stacks that run at once need networks of their own. This range is set aside for tests (RFC 2544), and a port that
    // is free is used by one of them only.
    let network = format!("198.{}.{}", 18 + ports.kernel / 256 % 2, ports.kernel % 256);
    let log = if options.log.is_empty() {
        "info"
    } else {
        &options.log
    };
    let folder = run.path().display().to_string();
    let list = [
        ("HUBKEY_PORT", ports.callback.to_string()),
        ("HUBKEY_HUB_PORT", ports.hub.to_string()),
        ("HUBKEY_KEYCLOAK_PORT", ports.keycloak.to_string()),
        ("HUBKEY_CHANNEL_NETWORK", network),
        ("HUBKEY_LOG", log.to_owned()),
        ("TESTS_FOLDER", folder),
        ("TESTS_KERNEL_PORT", ports.kernel.to_string()),
        ("TESTS_LAB_API_PORT", ports.lab_api.to_string()),
        ("TESTS_DATA_API_PORT", ports.data_api.to_string()),
        ("TESTS_REDIS_PORT", redis_port.to_string()),
        ("TESTS_HUB_TOKEN", JupyterHub::TESTS_TOKEN.to_owned()),
    ];
    list.map(|(name, value)| (name.to_owned(), value)).into()
}
