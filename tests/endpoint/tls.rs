//! The endpoint over TLS.

use std::{
    fs, io,
    net::SocketAddr,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use pushbell::{
    http::{
        Limits,
        tls::{self, Tls},
    },
    http_client::post_to_own_endpoint,
};
use rcgen::{CertificateParams, CertifiedIssuer, KeyPair};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        ClientConfig, ProtocolVersion, RootCertStore, SupportedProtocolVersion,
        crypto::ring,
        pki_types::ServerName,
        version::{TLS12, TLS13},
    },
};

use crate::support::{Client, Mode, PATH, PATIENCE, Server, push, request, serve, soon};

const SHORT: Duration = Duration::from_millis(150);
const KNOWN: &[&str] = &["alices-key"];
const HOST: &str = "push.example.org";

/// A certificate authority.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// Installs a new certificate for this host.
    fn certify(&self, tls: &Tls, host: &str) {
        let params = CertificateParams::new([host.to_owned()]).unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        let place = tempfile::tempdir().unwrap();
        let [chain, secret] = ["chain.pem", "key.pem"].map(|name| place.path().join(name));
        fs::write(&chain, certificate.pem()).unwrap();
        fs::write(&secret, key.serialize_pem()).unwrap();
        tls.set(&inspect(&chain, &secret));
    }

    fn connector(&self, versions: &[&'static SupportedProtocolVersion], alpn: &[&str]) -> TlsConnector {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = alpn.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        Arc::new(config).into()
    }

    async fn connect(&self, address: SocketAddr, host: &str) -> io::Result<TlsStream<TcpStream>> {
        let stream = TcpStream::connect(address).await?;
        self.connector(&[&TLS12, &TLS13], &[]).connect(name(host), stream).await
    }
}

fn inspect(chain: &Path, key: &Path) -> tls::TlsPair {
    tls::inspect(chain, key).unwrap()
}

fn name(host: &str) -> ServerName<'static> {
    ServerName::try_from(host.to_owned()).unwrap()
}

/// A TLS server with a certificate for [`HOST`].
async fn secure(limits: Limits) -> (Server, Tls, Authority) {
    let (server, tls, authority) = (Server::with(limits).await, Tls::new().unwrap(), Authority::new());
    authority.certify(&tls, HOST);
    server.http.set_tls(Some(tls.clone()));
    (server, tls, authority)
}

/// Sends a push over the connection; returns whether it was accepted.
async fn pushes(stream: &mut TlsStream<TcpStream>) -> bool {
    let asked = async {
        stream.write_all(&request("POST", PATH, &push(KNOWN))).await?;
        let mut answer = Vec::new();
        while !answer.ends_with(b"}") && stream.read_buf(&mut answer).await? > 0 {}
        io::Result::Ok(answer.starts_with(b"HTTP/1.1 200 OK\r\n") && answer.ends_with(br#"{"rejected":[]}"#))
    };
    soon(asked).await.unwrap_or(false)
}

/// The answer to a client that sends these bytes without TLS.
async fn answer_without_tls(server: &Server, bytes: &[u8]) -> String {
    let mut client = server.connect().await;
    client.send(bytes).await;
    String::from_utf8_lossy(&client.end().await).into_owned()
}

#[tokio::test]
async fn clients_of_tls_1_2_and_1_3_push_over_kept_connections() {
    let (server, _, authority) = secure(Limits::default()).await;
    for (version, expected) in [(&TLS12, ProtocolVersion::TLSv1_2), (&TLS13, ProtocolVersion::TLSv1_3)] {
        for alpn in [&[][..], &["http/1.1"], &["h2", "http/1.1"]] {
            let stream = TcpStream::connect(server.address).await.unwrap();
            let mut stream = authority.connector(&[version], alpn).connect(name(HOST), stream).await.unwrap();
            for _ in 0..3 {
                assert!(pushes(&mut stream).await, "{expected:?} {alpn:?}");
            }
            assert_eq!(stream.get_ref().1.protocol_version(), Some(expected));
            let protocol: Option<&[u8]> = if alpn.is_empty() { None } else { Some(b"http/1.1") };
            assert_eq!(stream.get_ref().1.alpn_protocol(), protocol);
        }
    }
    assert_eq!(server.recording.count(), 18);
    let stream = TcpStream::connect(server.address).await.unwrap();
    let refused = authority.connector(&[&TLS13], &["h2"]).connect(name(HOST), stream).await;
    assert!(refused.is_err(), "there is no HTTP/2");
}

#[tokio::test]
async fn bodies_of_all_allowed_sizes_and_refusals_come_through_tls() {
    let (server, _, authority) = secure(Limits::default()).await;
    for (size, expected) in [(512 * 1024, "200"), (512 * 1024 + 1, "413"), (4 * 1024 * 1024, "413")] {
        let mut body = push(KNOWN);
        body.resize(size, b' ');
        let mut stream = authority.connect(server.address, HOST).await.unwrap();
        soon(stream.write_all(&request("POST", PATH, &body))).await.unwrap();
        let mut answer = vec![0; 12];
        soon(stream.read_exact(&mut answer)).await.unwrap();
        assert_eq!(String::from_utf8_lossy(&answer), format!("HTTP/1.1 {expected}"), "{size}");
    }
}

#[tokio::test]
async fn a_renewed_certificate_is_used_for_new_connections_only() {
    let (server, tls, authority) = secure(Limits::default()).await;
    let mut kept = authority.connect(server.address, HOST).await.unwrap();
    assert!(pushes(&mut kept).await);

    authority.certify(&tls, "other.example.org");
    assert!(authority.connect(server.address, HOST).await.is_err());
    let mut new = authority.connect(server.address, "other.example.org").await.unwrap();
    assert!(pushes(&mut new).await && pushes(&mut kept).await);
}

#[tokio::test]
async fn without_a_certificate_nobody_is_served() {
    let server = Server::start().await;
    server.http.set_tls(Some(Tls::new().unwrap()));
    assert!(Authority::new().connect(server.address, HOST).await.is_err());
    assert!(answer_without_tls(&server, &request("POST", PATH, &push(KNOWN))).await.starts_with("HTTP/1.1 400 "));
    assert_eq!(server.recording.count(), 0);
}

#[tokio::test]
async fn plain_http_is_told_what_is_spoken_here() {
    let (server, ..) = secure(Limits::default()).await;
    for method in ["GET", "POST"] {
        let mut client = server.connect().await;
        let answer = client.ask(method, PATH, &push(KNOWN)).await;
        assert_eq!((answer.status, answer.errcode()), (400, "M_UNRECOGNIZED"));
        assert!(answer.json["error"].as_str().unwrap().contains("https://"), "{answer:?}");
        assert_eq!(client.end().await, b"");
    }
    let large = request("POST", PATH, &vec![b' '; 2 * 1024 * 1024]);
    assert!(answer_without_tls(&server, &large).await.starts_with("HTTP/1.1 400 "), "though it sends on");
    assert_eq!(server.recording.count(), 0);
}

#[tokio::test]
async fn what_is_no_handshake_ends_the_connection() {
    let (server, _, authority) = secure(Limits::default()).await;
    answer_without_tls(&server, b"\x16\x03\x01\x00\x05hello and more").await;
    answer_without_tls(&server, &[&b"\x16\x03\x01\xff\xff"[..], &vec![1; 70_000]].concat()).await;
    // A ClientHello of 16 MiB split over records, as TLS allows: it would be buffered in memory.
    let record =
        |content: &[u8]| [&[0x16, 3, 3], &u16::try_from(content.len()).unwrap().to_be_bytes()[..], content].concat();
    let mut endless = record(&[&[1, 0xff, 0xff, 0xff][..], &[0; 4000]].concat());
    for _ in 0..6 {
        endless.extend(record(&[0; 4000]));
    }
    let start = Instant::now();
    answer_without_tls(&server, &endless).await;
    assert!(start.elapsed() < Limits::default().handshake_time, "it is not waited for");
    assert!(pushes(&mut authority.connect(server.address, HOST).await.unwrap()).await);
}

#[tokio::test]
async fn a_handshake_that_does_not_end_is_cut_off() {
    let limits = Limits { handshake_time: SHORT, ..Limits::default() };
    let (server, _, authority) = secure(limits).await;
    for begun in [&b""[..], b"\x16", b"\x16\x03\x01\x01\x00\x01"] {
        let mut client = server.connect().await;
        let start = Instant::now();
        client.send(begun).await;
        client.end().await;
        assert!((SHORT..PATIENCE / 2).contains(&start.elapsed()), "{begun:?}: {:?}", start.elapsed());
    }
    let mut kept = authority.connect(server.address, HOST).await.unwrap();
    assert!(pushes(&mut kept).await);
    tokio::time::sleep(2 * SHORT).await;
    assert!(pushes(&mut kept).await, "its time is over with the handshake");
}

#[tokio::test]
async fn half_open_handshakes_beyond_the_limit_make_room_for_a_push() {
    let (server, _, authority) = secure(Limits { connections: 64, ..Limits::default() }).await;
    let mut homeserver = authority.connect(server.address, HOST).await.unwrap();
    assert!(pushes(&mut homeserver).await);
    let mut strangers = Vec::new();
    for number in 0..300 {
        let mut stranger = server.connect().await;
        stranger.send(&b"\x16\x03\x01\x01\x00\x01"[..number % 7]).await;
        strangers.push(stranger);
    }
    assert!(pushes(&mut authority.connect(server.address, HOST).await.unwrap()).await, "a newcomer is served");
    assert!(pushes(&mut homeserver).await, "who sent a push before is kept");
    strangers[0].end().await;
}

#[tokio::test]
async fn a_server_that_ends_does_not_wait_for_handshakes() {
    let (server, _, authority) = secure(Limits::default()).await;
    let mut begun = server.connect().await;
    begun.send(b"\x16\x03\x01").await;
    let mut idle = authority.connect(server.address, HOST).await.unwrap();
    let mut in_progress = authority.connect(server.address, HOST).await.unwrap();
    server.recording.set(Mode::Hangs);
    in_progress.write_all(&request("POST", PATH, &push(KNOWN))).await.unwrap();
    server.recording.has_begun(1).await;

    let start = Instant::now();
    let recording = server.recording.clone();
    let task = server.stop().await;
    begun.end().await;
    assert_eq!(soon(idle.read(&mut [0; 8])).await.unwrap(), 0, "and is told properly");
    recording.set(Mode::Works);
    let mut answer = Vec::new();
    soon(in_progress.read_to_end(&mut answer)).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200 "), "a push in progress is answered");
    soon(task).await.unwrap();
    assert!(start.elapsed() < Limits::default().handshake_time);
}

#[tokio::test]
async fn tls_can_be_turned_on_and_off_while_serving() {
    let server = Server::start().await;
    let mut plain = server.connect().await;
    assert_eq!(plain.ask("POST", PATH, &push(KNOWN)).await.status, 200);

    let (tls, authority) = (Tls::new().unwrap(), Authority::new());
    authority.certify(&tls, HOST);
    server.http.set_tls(Some(tls.clone()));
    assert_eq!(plain.end().await, b"", "nothing is served in the clear any more");
    let mut secure = authority.connect(server.address, HOST).await.unwrap();
    assert!(pushes(&mut secure).await);
    server.http.set_tls(Some(tls));
    assert!(pushes(&mut secure).await, "nothing has changed");

    server.http.set_tls(None);
    assert_eq!(soon(secure.read(&mut [0; 8])).await.unwrap(), 0);
    assert_eq!(server.push(KNOWN).await.status, 200);
}

#[tokio::test]
async fn all_addresses_share_the_bounds_and_each_closes_alone() {
    let server = Server::with(Limits { connections: 8, ..Limits::default() }).await;
    let (address, serving) = serve(&server.http).await;
    let mut homeserver = server.connect().await;
    assert_eq!(homeserver.ask("POST", PATH, &push(KNOWN)).await.status, 200);
    let mut strangers = Vec::new();
    for _ in 0..20 {
        strangers.push(Client::connect(address).await);
    }
    assert_eq!(strangers[19].ask("GET", "/health", b"").await.status, 200);
    assert_eq!(strangers[0].end().await, b"", "the stalest is closed, whichever address it came by");
    assert_eq!(homeserver.ask("POST", PATH, &push(KNOWN)).await.status, 200);

    soon(soon(serving.stop()).await).await.unwrap();
    assert_eq!(strangers[19].end().await, b"");
    assert!(TcpStream::connect(address).await.is_err());
    assert_eq!(homeserver.ask("POST", PATH, &push(KNOWN)).await.status, 200, "the other address goes on");
}

#[tokio::test]
async fn our_own_client_reaches_it_whatever_its_certificate_says() {
    let (server, ..) = secure(Limits::default()).await;
    let sent = |scheme| post_to_own_endpoint(scheme, server.address, PATH, push(KNOWN), PATIENCE);
    assert_eq!(sent("https").await.unwrap(), (200, br#"{"rejected":[]}"#.to_vec()));
    assert_eq!(sent("http").await.unwrap().0, 400);
    server.http.set_tls(None);
    assert!(sent("https").await.is_err());
}
