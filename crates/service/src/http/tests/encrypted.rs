//! Listeners that speak TLS.

use std::sync::Arc;

use hubkey_fakes::certificates::{Authority, Pair};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::*;
use crate::tls::{CertificateFiles, ServingCertificate};

const ALERT: u8 = 21;
const SERVER_HELLO: u8 = 22;
const PROTOCOL_VERSION: u8 = 70;

struct Encrypted {
    running: Running,
    authority: Authority,
    certificate: Arc<ServingCertificate>,
    folder: tempfile::TempDir,
}

async fn start_encrypted(limits: Limits) -> Encrypted {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new("test").unwrap();
    write(&authority.issue(&["localhost"]).unwrap(), &folder);
    let certificate = Arc::new(ServingCertificate::open(files(&folder)).unwrap());
    let served = Arc::clone(&certificate);
    let running = start_with(limits, sample(), |server| server.encrypted(served).unwrap()).await;
    Encrypted {
        running,
        authority,
        certificate,
        folder,
    }
}

fn files(folder: &tempfile::TempDir) -> CertificateFiles {
    CertificateFiles {
        certificate: folder.path().join("tls.crt"),
        key: folder.path().join("tls.key"),
    }
}

fn write(pair: &Pair, folder: &tempfile::TempDir) {
    pair.write(folder.path()).unwrap();
}

impl Encrypted {
    async fn connect(&self, protocols: &[&str]) -> std::io::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        let pem = self.authority.pem();
        roots
            .add(CertificateDer::from_pem_slice(pem.as_bytes()).unwrap())
            .unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = protocols
            .iter()
            .map(|name| name.as_bytes().to_vec())
            .collect();
        let name = ServerName::try_from("localhost").unwrap();
        let stream = self.running.connect().await;
        TlsConnector::from(Arc::new(config))
            .connect(name, stream)
            .await
    }

    fn metrics(&self) -> String {
        self.running.metrics.render()
    }

    async fn until_measured(&self, line: &str) {
        let begun = tokio::time::Instant::now();
        while !self.metrics().contains(line) {
            assert!(begun.elapsed() < LONG, "{line}: {}", self.metrics());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

fn refused(reason: &str) -> String {
    format!(
        r#"hubkey_http_server_rejected_connections_total{{listener="test",reason="{reason}"}} 1"#
    )
}

fn leaf(connection: &ClientConnection) -> CertificateDer<'static> {
    connection.peer_certificates().unwrap()[0]
        .clone()
        .into_owned()
}

async fn get_hello(stream: &mut TlsStream<TcpStream>) {
    stream
        .write_all(b"GET /hello HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"hello") {
        let mut buffer = [0; 1024];
        let read = tokio::time::timeout(LONG, stream.read(&mut buffer)).await;
        let read = read.unwrap().unwrap();
        assert_ne!(read, 0, "closed after {}", String::from_utf8_lossy(&answer));
        answer.extend_from_slice(&buffer[..read]);
    }
}

/// A `ClientHello` of the days before TLS 1.3, which says in one place only what the client speaks at most.
fn client_hello(version: [u8; 2]) -> Vec<u8> {
    let suites = [0xc0, 0x2b, 0xc0, 0x2f, 0xc0, 0x09, 0xc0, 0x13, 0x00, 0x2f];
    let extensions = [
        &[0, 0x0a, 0, 4, 0, 2, 0, 0x17][..], // supported_groups: secp256r1
        &[0, 0x0b, 0, 2, 1, 0],              // ec_point_formats: uncompressed
        &[0, 0x0d, 0, 6, 0, 4, 4, 3, 8, 4],  // signature_algorithms: ECDSA and RSA-PSS with SHA-256
        &[0, 0x17, 0, 0],                    // extended_master_secret
    ]
    .concat();
    let part = |bytes: &[u8]| [&u16::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat();
    let body = [
        &version[..],
        &[7; 32],
        &[0],
        &part(&suites),
        &[1, 0],
        &part(&extensions),
    ]
    .concat();
    let handshake = [&[1, 0][..], &part(&body)].concat();
    [&[22, 3, 1][..], &part(&handshake)].concat()
}

#[tokio::test]
async fn security_x2_tls_below_1_2_is_refused() {
    let encrypted = start_encrypted(quick()).await;
    let first = async |hello: Vec<u8>| {
        let mut stream = encrypted.running.connect().await;
        stream.write_all(&hello).await.unwrap();
        let mut answer = [0; 7];
        tokio::time::timeout(LONG, stream.read_exact(&mut answer))
            .await
            .unwrap()
            .unwrap();
        answer
    };
    assert_eq!(first(client_hello([3, 3])).await[0], SERVER_HELLO);
    for old in [[3, 2], [3, 1], [3, 0]] {
        let answer = first(client_hello(old)).await;
        assert_eq!((answer[0], answer[6]), (ALERT, PROTOCOL_VERSION), "{old:?}");
    }
    let counted =
        r#"hubkey_http_server_rejected_connections_total{listener="test",reason="handshake"}"#;
    encrypted.until_measured(counted).await;
}

#[tokio::test]
async fn security_q6_tls_is_for_http_1_1_and_nothing_else() {
    let encrypted = start_encrypted(quick()).await;
    for protocols in [&["http/1.1"][..], &["h2", "http/1.1"], &[]] {
        let mut stream = encrypted.connect(protocols).await.unwrap();
        assert_ne!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        get_hello(&mut stream).await;
    }
    assert!(encrypted.connect(&["h2"]).await.is_err());
    // Who says nothing in the handshake, or something else, gets no further with HTTP/2.
    for protocols in [&[][..], &["http/1.1"]] {
        let stream = encrypted.connect(protocols).await.unwrap();
        hubkey_fakes::attacks::rapid_reset::refuses(stream)
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn plain_http_is_told_to_use_tls() {
    let encrypted = start_encrypted(quick()).await;
    let answer = encrypted.running.get("/hello").await;
    assert_eq!(
        (status(&answer), problem_code(&answer).as_str()),
        (400, "bad_request")
    );
    assert!(answer.contains("Use https"), "{answer}");
    encrypted.until_measured(&refused("plain_http")).await;
}

#[tokio::test]
async fn handshake_that_takes_too_long_is_cut_off() {
    let limits = Limits {
        handshake_timeout: SHORT,
        ..quick()
    };
    let encrypted = start_encrypted(limits).await;
    for beginning in [&b""[..], &client_hello([3, 3])[..20]] {
        let mut stream = encrypted.running.connect().await;
        stream.write_all(beginning).await.unwrap();
        assert_eq!(read_all(&mut stream).await, "");
    }
    let counted = refused("handshake_timeout").replace("} 1", "} 2");
    encrypted.until_measured(&counted).await;
}

#[tokio::test]
async fn connections_are_counted_before_the_handshake() {
    let limits = Limits {
        connections: 1,
        handshake_timeout: LONG,
        ..quick()
    };
    let encrypted = start_encrypted(limits).await;
    let silent = encrypted.running.connect().await;
    encrypted
        .until_measured(r#"hubkey_http_server_connections{listener="test"} 1"#)
        .await;
    assert!(encrypted.connect(&[]).await.is_err());
    encrypted.until_measured(&refused("max_connections")).await;
    drop(silent);
    encrypted
        .until_measured(r#"hubkey_http_server_connections{listener="test"} 0"#)
        .await;
    get_hello(&mut encrypted.connect(&[]).await.unwrap()).await;
}

#[tokio::test]
async fn security_x2_new_connections_get_the_new_certificate_and_old_ones_stay() {
    let encrypted = start_encrypted(quick()).await;
    let mut old = encrypted.connect(&[]).await.unwrap();
    get_hello(&mut old).await;
    let pair = encrypted.authority.issue(&["localhost"]).unwrap();
    write(&pair, &encrypted.folder);
    assert!(encrypted.certificate.reload().unwrap());
    let mut new = encrypted.connect(&[]).await.unwrap();
    get_hello(&mut new).await;
    get_hello(&mut old).await;
    let served = CertificateDer::from_pem_slice(pair.certificate.as_bytes()).unwrap();
    assert_eq!(leaf(new.get_ref().1), served);
    assert_ne!(leaf(old.get_ref().1), served);
}

#[tokio::test]
async fn listener_that_leaves_waits_for_no_handshake() {
    let encrypted = start_encrypted(Limits {
        handshake_timeout: LONG,
        ..quick()
    })
    .await;
    let mut stream = encrypted.running.connect().await;
    encrypted
        .until_measured(r#"hubkey_http_server_connections{listener="test"} 1"#)
        .await;
    encrypted.running.shutdown.cancel();
    let soon = Duration::from_secs(5);
    let left = tokio::time::timeout(soon, read_all(&mut stream)).await;
    assert_eq!(left.unwrap(), "");
    let left = tokio::time::timeout(soon, encrypted.running.stop()).await;
    left.unwrap();
}
