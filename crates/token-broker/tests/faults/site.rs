//! Four brokers at one provider.

use hubkey_fakes::{hostile_provider::HostileProvider, kernel_api::KernelApi};

use crate::{
    brokers::Broker,
    fixture::{Connected, Fixture},
};

pub(crate) const BROKERS: usize = 4;
const PROVIDER: &str = "lab-api";

pub(crate) struct Site {
    pub(crate) provider: HostileProvider,
    pub(crate) brokers: Vec<Broker>,
    /// A kernel at each broker.
    pub(crate) kernels: Vec<KernelApi>,
    fixture: Fixture,
}

impl Site {
    pub(crate) async fn start(seed: u64, brokers: usize) -> Self {
        let fixture = Fixture::start().await;
        let provider = HostileProvider::start().await.unwrap();
        let providers = [(PROVIDER.to_owned(), provider.issuer())];
        let mut running = Vec::new();
        for number in 0..brokers {
            let name = format!("broker-{seed}-{number}");
            let settings = fixture.settings(&name, &fixture.redis.url(), &providers);
            running.push(Broker::start(fixture.run.path(), &name, &settings).await);
        }
        let kernels = running
            .iter()
            .map(|broker| fixture.somebody.at(&broker.url))
            .collect();
        Self {
            provider,
            brokers: running,
            kernels,
            fixture,
        }
    }

    /// A connection whose token is over.
    pub(crate) async fn connect(&self, seed: u64) -> Connected {
        self.fixture.connect(&self.provider, PROVIDER, seed).await
    }
}
