//! The parts of a running stack.

use super::settings::Ports;
use crate::real::keycloak::Keycloak;
use crate::stack::containers::Compose;
use crate::stack::servers::Server;
use hubkey_starters::jupyterhub::JupyterHub;
use hubkey_starters::process::RunFolder;
use hubkey_starters::redis::Redis;

/// A running stack. What is started first is ended last.
#[derive(Debug)]
pub struct Stack {
    /// The hub, on 127.0.0.1.
    pub hub: JupyterHub,
    /// callback-server.
    pub callback_server: Server,
    /// token-broker.
    pub broker: Server,
    /// The API of [`LAB_API`](super::LAB_API).
    pub lab_api: Server,
    /// The API of [`DATA_API`](super::DATA_API).
    pub data_api: Server,
    /// Keycloak, on `localhost`.
    pub keycloak: Keycloak,
    /// Redis, unless the broker keeps its state itself.
    pub redis: Option<Redis>,
    /// Where everything listens.
    pub ports: Ports,
    /// The project, where the parts are containers.
    pub compose: Option<Compose>,
    /// The folder with all logs.
    pub run: RunFolder,
}
