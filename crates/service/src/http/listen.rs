//! The socket of a listener.

use std::io;
use std::net::SocketAddr;

use anyhow::Context as _;
use tokio::net::{TcpListener, TcpSocket};

/// So many connections may be waiting until they are accepted, where `net.core.somaxconn` allows them. With the usual 128,
/// some of a thousand kernels that connect in one moment get through a second later, when their system tries again.
const BACKLOG: u32 = 4_096;

/// Listens on the address of a setting; within a Tokio runtime. The error names the setting.
pub fn listen(setting: &str, address: SocketAddr) -> anyhow::Result<TcpListener> {
    open(address)
        .with_context(|| format!("`{setting}`: cannot listen on {address}; choose another address"))
}

fn open(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // A server that starts anew takes its port back at once.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;
    use std::time::Duration;

    use super::listen;

    /// Nobody accepts anything meanwhile. One that finds no place is tried again by its system after a second.
    #[tokio::test]
    async fn hundreds_connect_in_one_moment() {
        let listener = listen("listen", ([127, 0, 0, 1], 0).into()).unwrap();
        let address = listener.local_addr().unwrap();
        let connect = || TcpStream::connect_timeout(&address, Duration::from_millis(500));
        let waiting: Result<Vec<_>, _> = (0..400).map(|_| connect()).collect();
        assert_eq!(waiting.unwrap().len(), 400);
    }
}
