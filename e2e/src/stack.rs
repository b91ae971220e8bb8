//! Everything together: a hub, a provider, Redis, the two servers and an API that wants tokens.

pub mod cluster;
pub mod containers;
mod options;
pub mod platform;
mod running;
pub mod servers;
mod settings;
pub mod static_command;
pub mod wheel;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::real::keycloak::{Keycloak, Person};
use crate::stack::platform::Platform;
use crate::stack::servers::{Program, Server};
use hubkey_fakes::{certificates, protected_api};
use hubkey_starters::jupyterhub::{HubOptions, JupyterHub, Registration};
use hubkey_starters::process::RunFolder;
use hubkey_starters::redis::{Redis, RedisOptions};

pub use options::{DATA_API, LAB_API, StackOptions};
pub use running::Stack;
use settings::encrypted;
pub(crate) use settings::random;
pub use settings::{Ports, Secrets, broker_settings, callback_settings};

static PERSONS: AtomicU32 = AtomicU32::new(1);

impl Stack {
    /// Builds what is ours and starts everything.
    pub async fn start(label: &str, options: StackOptions) -> anyhow::Result<Self> {
        if Platform::wanted()? == Platform::Containers {
            return Self::start_on_containers(label, options).await;
        }
        let programs = servers::build()?;
        let packages = wheel::install()?;
        Self::start_built(label, options, programs, packages).await
    }

    /// Starts everything, with programs and Python package built before.
    pub async fn start_built(
        label: &str,
        options: StackOptions,
        programs: PathBuf,
        packages: PathBuf,
    ) -> anyhow::Result<Self> {
        if Platform::wanted()? == Platform::Containers {
            return Self::start_on_containers(label, options).await;
        }
        let run = RunFolder::create(label)?;
        if options.tls {
            certificates::write_for_loopback(&run.folder("kernel-tls")?, "broker")?;
        }
        let site = Site {
            ports: Ports::free(options.shared_origin)?,
            secrets: Secrets::write(&run)?,
            run,
            programs,
            options,
        };
        let redis = site.start_redis().await?;
        // Keycloak and the hub take most of the time, each on its own, so they start together. callback-server has
        // to be there before the hub's proxy looks for it.
        let hub_side = async {
            let (callback_server, broker) = tokio::try_join!(
                site.start_callback_server(),
                site.start_broker(redis.as_ref()),
            )?;
            Ok((callback_server, broker, site.start_hub(packages).await?))
        };
        let (keycloak, (callback_server, broker, hub), lab_api, data_api) = tokio::try_join!(
            Keycloak::start_with(
                &site.run,
                site.ports.keycloak,
                &site.options.keycloak_features
            ),
            hub_side,
            site.start_api(LAB_API, "projects:read", site.ports.lab_api),
            site.start_api(DATA_API, "data:read", site.ports.data_api),
        )?;
        let Site { run, ports, .. } = site;
        Ok(Self {
            hub,
            callback_server,
            broker,
            lab_api,
            data_api,
            keycloak,
            redis,
            ports,
            compose: None,
            run,
        })
    }

    /// Starts everything as containers, from the images that are there, whatever kind is wanted elsewhere.
    pub async fn start_on_containers(label: &str, options: StackOptions) -> anyhow::Result<Self> {
        containers::start(label, &options).await
    }

    /// A person with an account at Keycloak and a hub user of the same name, whom no other test knows.
    pub async fn new_person(&self) -> anyhow::Result<Person> {
        let number = PERSONS.fetch_add(1, Ordering::Relaxed);
        self.keycloak.add_person(&format!("person-{number}")).await
    }

    /// Where browsers find callback-server.
    #[must_use]
    pub fn public_url(&self) -> &str {
        &self.ports.public_url
    }
}

/// What every part of a stack is started with.
struct Site {
    run: RunFolder,
    ports: Ports,
    secrets: Secrets,
    programs: PathBuf,
    options: StackOptions,
}

impl Site {
    async fn start_redis(&self) -> anyhow::Result<Option<Redis>> {
        if self.options.without_redis {
            return Ok(None);
        }
        let options = RedisOptions {
            tls: self.options.tls,
            ..RedisOptions::default()
        };
        Redis::start_with(&self.run, options).await.map(Some)
    }

    async fn start_callback_server(&self) -> anyhow::Result<Server> {
        let file = self.run.join("callback-server.toml");
        std::fs::write(
            &file,
            callback_settings(&self.options, &self.ports, &self.secrets),
        )?;
        let program = self.programs.join("callback-server");
        let url = self.ports.public_url.clone();
        let program = self.program(&program, &file);
        Server::start_program(&self.run, &program, url, self.ports.callback_ops).await
    }

    async fn start_broker(&self, redis: Option<&Redis>) -> anyhow::Result<Server> {
        let file = self.run.join("token-broker.toml");
        let url = redis.map(Redis::url);
        let mut settings =
            broker_settings(&self.options, &self.ports, &self.secrets, url.as_deref())?;
        if self.options.tls {
            settings = encrypted(&settings, &self.run, redis);
        }
        std::fs::write(&file, settings)?;
        let program = self.programs.join("token-broker");
        let url = self.broker_url();
        let program = self.program(&program, &file);
        Server::start_program(&self.run, &program, url, self.ports.broker_ops).await
    }

    fn program<'a>(&'a self, file: &'a Path, settings: &'a Path) -> Program<'a> {
        Program {
            file,
            settings,
            environment: &self.options.environment,
        }
    }

    /// Where kernels reach the broker.
    fn broker_url(&self) -> String {
        let scheme = if self.options.tls { "https" } else { "http" };
        format!("{scheme}://127.0.0.1:{}", self.ports.kernel)
    }

    async fn start_api(&self, audience: &str, scope: &str, port: u16) -> anyhow::Result<Server> {
        let wanted = protected_api::Settings {
            issuer: format!("http://localhost:{}/realms/hubkey", self.ports.keycloak),
            audience: audience.to_owned(),
            scope: scope.to_owned(),
            jwks_uri: None,
        };
        let program = self.programs.join("protected-api");
        Server::start_api(&self.run, &program, port, &wanted).await
    }

    async fn start_hub(&self, packages: PathBuf) -> anyhow::Result<JupyterHub> {
        let local = |port: u16| format!("http://127.0.0.1:{port}");
        let ports = &self.ports;
        let options = HubOptions {
            port: Some(ports.hub),
            api_port: Some(ports.hub_api),
            hubkey: Some(Registration {
                public_url: ports.public_url.clone(),
                broker_url: self.broker_url(),
                callback_url: self.options.shared_origin.then(|| local(ports.callback)),
                api_token_file: self.secrets.hub_token.clone(),
                ca_file: self.options.tls.then(|| self.run.join("kernel-tls/ca.pem")),
            }),
            python_packages: Some(packages),
            kernel_environment: vec![
                ("LAB_API".to_owned(), local(ports.lab_api)),
                ("DATA_API".to_owned(), local(ports.data_api)),
            ],
            extra_config: self.options.hub_config.clone(),
        };
        JupyterHub::start(&self.run, options).await
    }
}
