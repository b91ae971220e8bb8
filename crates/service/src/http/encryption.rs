//! TLS in front of a listener's HTTP.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use hubkey_protocol::ErrorCode;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::failure::Failure;
use crate::tls::ServingCertificate;

/// The first byte of each TLS connection: a record of the type `handshake`.
const HANDSHAKE: u8 = 22;

/// Makes TLS of connections.
pub(super) struct Encryption {
    acceptor: TlsAcceptor,
    handshake_timeout: Duration,
}

impl std::fmt::Debug for Encryption {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Encryption")
    }
}

/// Why a connection did not come to speak TLS.
#[derive(Debug, thiserror::Error)]
pub(super) enum HandshakeError {
    #[error("the client took too long for the handshake")]
    Timeout,
    #[error("the client speaks no TLS")]
    Plain,
    #[error("the handshake failed")]
    Failed(#[from] io::Error),
}

impl HandshakeError {
    /// The word for it in measurements.
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Self::Timeout => "handshake_timeout",
            Self::Plain => "plain_http",
            Self::Failed(_) => "handshake",
        }
    }
}

impl Encryption {
    pub(super) fn new(
        certificate: Arc<ServingCertificate>,
        handshake_timeout: Duration,
    ) -> Result<Self, rustls::Error> {
        Ok(Self {
            acceptor: TlsAcceptor::from(Arc::new(certificate.server_config()?)),
            handshake_timeout,
        })
    }

    /// Does the handshake, within its time.
    pub(super) async fn accept(
        &self,
        stream: TcpStream,
    ) -> Result<TlsStream<TcpStream>, HandshakeError> {
        let handshake = async {
            let mut first = [HANDSHAKE];
            stream.peek(&mut first).await?;
            if first != [HANDSHAKE] {
                refuse_plain(&stream);
                return Err(HandshakeError::Plain);
            }
            Ok(self.acceptor.accept(stream).await?)
        };
        timeout(self.handshake_timeout, handshake)
            .await
            .unwrap_or(Err(HandshakeError::Timeout))
    }
}

/// Says what is wrong to whoever wrote `http://`. What was sent is taken first: closing with unread bytes would make the
/// kernel discard the answer.
fn refuse_plain(stream: &TcpStream) {
    let _ = stream.try_read(&mut [0; 16 * 1024]);
    let failure = Failure::new(
        ErrorCode::BadRequest,
        "This address speaks TLS.",
        "Use https; what was just sent went over the network in clear.",
    );
    let _ = stream.try_write(&failure.raw_response());
}
