//! The client against servers that prove to be the broker, or do not.

#![cfg(test)]

use std::{net::SocketAddr, sync::Arc, time::Duration};

use hubkey_broker_client::{BrokerClient, ClientError, Destination, Distrust};
use hubkey_fakes::certificates::{Authority, Pair};
use hubkey_protocol::secret::ServerToken;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::Instant,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::aws_lc_rs,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    },
};

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 16\r\n\r\n{\"providers\":[]}";

/// A server with this certificate, which has no providers.
async fn serve(pair: &Pair) -> SocketAddr {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let certificate = CertificateDer::from_pem_slice(pair.certificate.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(acceptor.clone(), stream));
        }
    });
    address
}

async fn answer(acceptor: TlsAcceptor, stream: TcpStream) {
    let Ok(mut stream) = acceptor.accept(stream).await else {
        return;
    };
    let _ = stream.read(&mut [0; 4096]).await;
    let _ = stream.write_all(ANSWER).await;
    let _ = stream.shutdown().await;
}

async fn ask(url: String, authority: Option<&Authority>) -> Result<(), ClientError> {
    let destination = Destination {
        url: url.parse().unwrap(),
        ca_pem: authority.map(|authority| authority.pem().into_bytes()),
    };
    let client = BrokerClient::new(&destination, ServerToken::new("canary-token"))?;
    let begun = Instant::now();
    let answer = client.providers(begun + Duration::from_secs(20)).await;
    assert!(
        begun.elapsed() < Duration::from_secs(10),
        "distrust is not waited out"
    );
    answer.map(|_| ())
}

#[tokio::test]
async fn security_x2_the_wrong_authority_is_refused() {
    let (right, wrong) = (Authority::new("a").unwrap(), Authority::new("b").unwrap());
    let address = serve(&right.issue(&["127.0.0.1"]).unwrap()).await;
    let url = format!("https://{address}");
    ask(url.clone(), Some(&right)).await.unwrap();
    for stranger in [Some(&wrong), None] {
        let told = ask(url.clone(), stranger).await;
        let Err(ClientError::Untrusted(Distrust::UnknownAuthority)) = told else {
            unreachable!("{told:?}");
        };
    }
}

#[tokio::test]
async fn security_x2_a_certificate_of_another_name_or_time_is_refused() {
    let authority = Authority::new("a").unwrap();
    let distrust = async |url: String| match ask(url, Some(&authority)).await {
        Err(ClientError::Untrusted(distrust)) => distrust,
        other => unreachable!("{other:?}"),
    };
    let address = serve(&authority.issue(&["localhost"]).unwrap()).await;
    assert_eq!(
        distrust(format!("https://{address}")).await,
        Distrust::OtherName
    );
    let address = serve(&authority.issue_until(&["127.0.0.1"], 2020).unwrap()).await;
    assert_eq!(
        distrust(format!("https://{address}")).await,
        Distrust::OutOfTime
    );
}

#[tokio::test]
async fn what_speaks_no_tls_is_told() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = stream.read(&mut [0; 4096]).await;
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    });
    let told = ask(format!("https://{address}"), None).await;
    assert!(
        matches!(told, Err(ClientError::Untrusted(Distrust::NoTls))),
        "{told:?}"
    );
}
