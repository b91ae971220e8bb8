//! What is measured, started anew for each measurement: Redis, a provider that signs everybody in at once,
//! callback-server, and one or more brokers.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use hubkey_e2e::stack::Secrets;
use hubkey_fakes::hostile_provider::HostileProvider;
use hubkey_fakes::loopback;
use hubkey_starters::process::{Process, RunFolder, Spec, free_port};
use hubkey_starters::redis::Redis;

/// The provider's id.
pub(crate) const PROVIDER: &str = "lab-api";
const START: Duration = Duration::from_secs(30);

/// Where a hub is.
#[derive(Debug)]
pub(crate) struct HubAt {
    pub(crate) api_url: String,
    pub(crate) public_url: String,
}

/// Addresses and secrets, before anything runs: a hub has to know them.
#[derive(Debug)]
pub(crate) struct Fixture {
    pub(crate) run: RunFolder,
    pub(crate) secrets: Secrets,
    programs: PathBuf,
    callback: u16,
    callback_ops: u16,
    brokers: Vec<Doors>,
}

#[derive(Debug)]
struct Doors {
    kernel: u16,
    internal: u16,
    ops: u16,
}

impl Fixture {
    pub(crate) fn new(label: &str, programs: PathBuf, brokers: usize) -> anyhow::Result<Self> {
        let run = RunFolder::create(label)?;
        let doors = || {
            anyhow::Ok(Doors {
                kernel: free_port()?,
                internal: free_port()?,
                ops: free_port()?,
            })
        };
        Ok(Self {
            secrets: Secrets::write(&run)?,
            run,
            programs,
            callback: free_port()?,
            callback_ops: free_port()?,
            brokers: (0..brokers).map(|_| doors()).collect::<Result<_, _>>()?,
        })
    }

    /// Where browsers find callback-server.
    pub(crate) fn public_url(&self) -> String {
        local(self.callback)
    }

    /// Where kernels find the first broker.
    pub(crate) fn broker_url(&self) -> String {
        self.brokers
            .first()
            .map_or_else(String::new, |doors| local(doors.kernel))
    }

    /// The token of the service `hubkey` at the hub.
    pub(crate) fn hub_token(&self) -> anyhow::Result<String> {
        Ok(std::fs::read_to_string(&self.secrets.hub_token)?)
    }

    fn callback_settings(&self) -> anyhow::Result<String> {
        let internal = self.brokers.first().context("no broker")?.internal;
        let (callback, ops) = (self.callback, self.callback_ops);
        Ok(format!(
            r#"
listen = "127.0.0.1:{callback}"
public_url = "{url}"
shared_secret_file = "{channel}"

[broker]
url = "http://127.0.0.1:{internal}"

[ops]
listen = "127.0.0.1:{ops}"

[log]
format = "json"
"#,
            url = self.public_url(),
            channel = self.secrets.channel.display(),
        ))
    }

    fn broker_settings(&self, doors: &Doors, hub: &HubAt, issuer: &str) -> String {
        let Doors {
            kernel,
            internal,
            ops,
        } = doors;
        let HubAt {
            api_url,
            public_url,
        } = hub;
        let secrets = &self.secrets;
        format!(
            r#"
public_url = "{site}"

[kernel]
listen = "127.0.0.1:{kernel}"

[internal]
listen = "127.0.0.1:{internal}"
shared_secret_file = "{channel}"

[ops]
listen = "127.0.0.1:{ops}"

[log]
format = "json"

[hub]
api_url = "{api_url}"
public_url = "{public_url}"
api_token_file = "{hub_token}"

[keys]
encryption_key_files = ["{encryption_key}"]
lookup_mac_key_file = "{lookup_mac_key}"

[redis]
url_file = "{redis}"

[providers.{PROVIDER}]
issuer = "{issuer}"
client_id = "hubkey"
token_endpoint_auth_method = "none"
default_scopes = ["openid", "profile", "email"]
"#,
            site = self.public_url(),
            channel = secrets.channel.display(),
            hub_token = secrets.hub_token.display(),
            encryption_key = secrets.encryption_key.display(),
            lookup_mac_key = secrets.lookup_mac_key.display(),
            redis = self.run.join("redis-url").display(),
        )
    }
}

/// A broker that runs.
#[derive(Debug)]
pub(crate) struct Broker {
    process: Process,
    /// Where kernels reach it.
    pub(crate) url: String,
}

impl Broker {
    /// KiB of memory that it holds.
    pub(crate) fn memory(&self) -> anyhow::Result<f64> {
        let id = self.process.id().context("the broker is gone")?;
        let status = std::fs::read_to_string(format!("/proc/{id}/status"))?;
        resident(&status).context("no VmRSS")
    }

    /// Seconds of processor time that it has used.
    pub(crate) fn busy(&self) -> anyhow::Result<f64> {
        let id = self.process.id().context("the broker is gone")?;
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat"))?;
        processor_time(&stat).context("no times")
    }
}

/// Seconds of processor time, out of `/proc/<id>/stat`.
fn processor_time(stat: &str) -> Option<f64> {
    /// What Linux counts in, on every machine that hubkey runs on.
    const TICKS_PER_SECOND: f64 = 100.0;
    // The name of the program may have spaces in it; what follows its bracket is counted from the third field.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<f64>().ok();
    Some((ticks()? + ticks()?) / TICKS_PER_SECOND)
}

fn resident(status: &str) -> Option<f64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().trim_end_matches(" kB").trim().parse().ok()
}

/// All of it, running. What is named first is ended first.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) brokers: Vec<Broker>,
    _callback_server: Process,
    pub(crate) provider: HostileProvider,
    pub(crate) redis: Redis,
    pub(crate) fixture: Fixture,
}

impl Site {
    pub(crate) async fn start(fixture: Fixture, hub: &HubAt) -> anyhow::Result<Self> {
        let provider = HostileProvider::start().await?;
        let redis = Redis::start(&fixture.run).await?;
        std::fs::write(fixture.run.join("redis-url"), redis.url())?;
        let mut brokers = Vec::new();
        for (number, doors) in fixture.brokers.iter().enumerate() {
            let settings = fixture.broker_settings(doors, hub, &provider.issuer());
            let name = format!("broker-{number}");
            let process = serve(&fixture, "token-broker", &name, &settings, doors.ops).await?;
            let url = local(doors.kernel);
            brokers.push(Broker { process, url });
        }
        let settings = fixture.callback_settings()?;
        let name = "callback-server";
        let callback_server = serve(&fixture, name, name, &settings, fixture.callback_ops).await?;
        Ok(Self {
            brokers,
            _callback_server: callback_server,
            provider,
            redis,
            fixture,
        })
    }

    /// The first broker.
    pub(crate) fn broker(&self) -> anyhow::Result<&Broker> {
        self.brokers.first().context("no broker")
    }
}

/// Starts one of our programs and waits until it is ready.
async fn serve(
    fixture: &Fixture,
    program: &str,
    name: &str,
    settings: &str,
    ops: u16,
) -> anyhow::Result<Process> {
    let file = fixture.run.join(format!("{name}.toml"));
    std::fs::write(&file, settings)?;
    let mut process = Spec::new(name, fixture.programs.join(program))
        .arg("--config")
        .arg(&file)
        .start(&fixture.run)?;
    let (client, ready) = (loopback::client()?, format!("{}/readyz", local(ops)));
    process
        .ready(START, async || loopback::answers(&client, &ready).await)
        .await?;
    Ok(process)
}

pub(crate) fn local(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

#[cfg(test)]
mod tests {
    use super::{processor_time, resident};

    #[test]
    fn processor_time_is_that_of_user_and_system() {
        let stat = "4711 (a b) S 1 2 3 4 5 6 7 8 9 10 150 50 0 0 20 0 1";
        assert_eq!(processor_time(stat), Some(2.0));
    }

    #[test]
    fn memory_is_what_is_resident() {
        let status = "VmPeak:\t  90000 kB\nVmRSS:\t   10752 kB\nRssAnon:\t 1 kB\n";
        assert_eq!(resident(status), Some(10752.0));
    }
}
