//! The token of a server that runs, as its kernels have it.

use std::path::Path;

use anyhow::bail;
use hubkey_fakes::kernel_api::KernelApi;
use hubkey_starters::jupyterhub::JupyterHub;

use crate::stack::containers;

/// Asks the broker as a kernel of a running server: with the token in the environment of the server's process.
pub fn kernel_of_server(
    broker: &str,
    hub: &JupyterHub,
    user: &str,
    server: &str,
) -> anyhow::Result<KernelApi> {
    let token = match hub.project() {
        Some(project) => containers::server_variable(project, user, server, "JUPYTERHUB_API_TOKEN"),
        None => server_token(&hub.home(user), server),
    };
    KernelApi::new(broker, token?)
}

/// Finds the server's process by its folder and name.
fn server_token(home: &Path, server: &str) -> anyhow::Result<String> {
    for entry in std::fs::read_dir("/proc")?.flatten() {
        let process = entry.path();
        let here = std::fs::read_link(process.join("cwd")).is_ok_and(|folder| folder == home);
        let environment = std::fs::read(process.join("environ")).unwrap_or_default();
        if !here || variable(&environment, "JUPYTERHUB_SERVER_NAME").unwrap_or_default() != server {
            continue;
        }
        if let Some(token) = variable(&environment, "JUPYTERHUB_API_TOKEN") {
            return Ok(token);
        }
    }
    bail!("no process of the server {server:?} in {}", home.display())
}

fn variable(environment: &[u8], name: &str) -> Option<String> {
    let mut lines = environment.split(|byte| *byte == 0);
    lines.find_map(|line| {
        let (key, value) = str::from_utf8(line).ok()?.split_once('=')?;
        (key == name).then(|| value.to_owned())
    })
}
