//! Four brokers at one provider.

use hubkey_fakes::{hostile_provider::HostileProvider, kernel_api::KernelApi};

use crate::{
    brokers::Broker,
    ground::{Connected, Ground},
};

pub(crate) const BROKERS: usize = 4;
const PROVIDER: &str = "lab-api";

pub(crate) struct Site {
    pub(crate) provider: HostileProvider,
    pub(crate) brokers: Vec<Broker>,
    /// A kernel at each broker.
    pub(crate) kernels: Vec<KernelApi>,
    ground: Ground,
}

impl Site {
    pub(crate) async fn start(seed: u64, brokers: usize) -> Self {
        let ground = Ground::start().await;
        let provider = HostileProvider::start().await.unwrap();
        let providers = [(PROVIDER.to_owned(), provider.issuer())];
        let mut running = Vec::new();
        for number in 0..brokers {
            let name = format!("broker-{seed}-{number}");
            let settings = ground.settings(&name, &ground.redis.url(), &providers);
            running.push(Broker::start(ground.run.path(), &name, &settings).await);
        }
        let kernels = running
            .iter()
            .map(|broker| ground.somebody.at(&broker.url))
            .collect();
        Self {
            provider,
            brokers: running,
            kernels,
            ground,
        }
    }

    /// A connection whose token is over.
    pub(crate) async fn connect(&self, seed: u64) -> Connected {
        self.ground.connect(&self.provider, PROVIDER, seed).await
    }
}
