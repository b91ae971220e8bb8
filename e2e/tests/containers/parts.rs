//! The two servers as programs of this machine, with Redis and Keycloak in containers of the test's own.

use std::time::Duration;

use hubkey_e2e::real::browser::Browser;
use hubkey_e2e::real::keycloak::ALICE;
use hubkey_e2e::real::sign_in::Page;
use hubkey_e2e::stack::servers::{self, Server};
use hubkey_e2e::stack::{
    LAB_API, Ports, Secrets, StackOptions, broker_settings, callback_settings,
};
use hubkey_fakes::kernel_api::KernelApi;
use hubkey_fakes::scripted_hub::{HubClient, ScriptedHub};
use hubkey_starters::process::{RunFolder, checkout, free_port};
use testcontainers::core::{ContainerPort, WaitFor};
use testcontainers::runners::AsyncRunner as _;
use testcontainers::{ContainerAsync, ContainerRequest, GenericImage, ImageExt as _};

use crate::support::Outcome;

const PASSWORD: &str = "redis-dev-password";

/// Published on 127.0.0.1 only, and known by its label.
fn on_loopback(
    image: ContainerRequest<GenericImage>,
    from: u16,
    to: u16,
) -> ContainerRequest<GenericImage> {
    image
        .with_label("hubkey.test", "parts")
        .with_mapped_port(from, ContainerPort::Tcp(to))
        .with_host_config_modifier(|host| {
            let bindings = host.port_bindings.iter_mut();
            for binding in bindings
                .flat_map(|all| all.values_mut())
                .flatten()
                .flatten()
            {
                binding.host_ip = Some("127.0.0.1".to_owned());
            }
        })
}

async fn redis(port: u16) -> anyhow::Result<ContainerAsync<GenericImage>> {
    let ready = WaitFor::message_on_stdout("Ready to accept connections");
    let image = GenericImage::new("redis", "7").with_wait_for(ready);
    let image = image.with_cmd(["redis-server", "--requirepass", PASSWORD]);
    Ok(on_loopback(image, port, 6379).start().await?)
}

async fn keycloak(port: u16) -> anyhow::Result<ContainerAsync<GenericImage>> {
    let realm = std::fs::read(checkout().join("docker/keycloak/hubkey-realm.json"))?;
    let ready = WaitFor::message_on_stdout("Listening on:");
    let image = GenericImage::new("quay.io/keycloak/keycloak", "26.7").with_wait_for(ready);
    let image = image
        .with_cmd(["start-dev", "--import-realm"])
        .with_env_var("KC_HOSTNAME", format!("http://localhost:{port}"))
        .with_env_var("KC_HEALTH_ENABLED", "true")
        .with_env_var("KC_CACHE", "local")
        .with_env_var("JAVA_OPTS_KC_HEAP", "-Xms64m -Xmx320m")
        .with_copy_to("/opt/keycloak/data/import/hubkey-realm.json", realm)
        .with_startup_timeout(Duration::from_mins(12));
    Ok(on_loopback(image, port, 8080).start().await?)
}

#[tokio::test]
async fn need_5_the_broker_signs_in_with_redis_and_keycloak_in_containers() -> Outcome {
    let run = RunFolder::create("parts")?;
    let hub = ScriptedHub::start().await?;
    let mut ports = Ports::free(false)?;
    let hub_port = url::Url::parse(&hub.url())?.port().unwrap_or_default();
    (ports.hub, ports.hub_api) = (hub_port, hub_port);
    let redis_port = free_port()?;
    let (_redis, _keycloak) = tokio::try_join!(redis(redis_port), keycloak(ports.keycloak))?;

    let secrets = Secrets::write(&run)?;
    let redirect_uri = format!("{}/oauth_callback", ports.public_url);
    hub.register(HubClient::hubkey(
        &std::fs::read_to_string(&secrets.hub_token)?,
        &redirect_uri,
    ));
    hub.log_in_every_browser(Some(&ALICE.name));
    let options = StackOptions::default();
    let redis_url = format!("redis://:{PASSWORD}@127.0.0.1:{redis_port}/0");
    let settings = broker_settings(&options, &ports, &secrets, Some(&redis_url))?;
    std::fs::write(run.join("token-broker.toml"), settings)?;
    std::fs::write(
        run.join("callback-server.toml"),
        callback_settings(&options, &ports, &secrets),
    )?;
    let programs = servers::build()?;
    let start = async |name: &str, url: String, ops: u16| {
        let settings = run.join(format!("{name}.toml"));
        Server::start(&run, &programs.join(name), &settings, url, ops).await
    };
    let kernel_url = format!("http://127.0.0.1:{}", ports.kernel);
    let (broker, _callback_server) = tokio::try_join!(
        start("token-broker", kernel_url, ports.broker_ops),
        start(
            "callback-server",
            ports.public_url.clone(),
            ports.callback_ops
        ),
    )?;

    let api = KernelApi::new(broker.url(), hub.server_token(&ALICE.name, ""))?;
    let opened = api.open(LAB_API).await?;
    let browser = Browser::start(&run, "alice").await?;
    let met = browser.open_sign_in(&opened.link, &ALICE).await?;
    assert_eq!(met.last(), Some(&Page::Done), "{met:?}");
    let (state, answer) = api.result(&opened).await?;
    assert_eq!(state, "connected", "{answer}");
    assert!(answer["token"]["access_token"].is_string());
    Ok(())
}
