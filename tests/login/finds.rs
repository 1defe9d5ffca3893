//! Finding the homeserver from the user ID.

use std::{net::TcpListener, sync::Arc, thread};

use serde_json::json;
use tokio_rustls::rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    crypto::ring,
    pki_types::{PrivateKeyDer, pem::PemObject},
};

use crate::scene::Scene;

/// A web server for `https://localhost:PORT` with a certificate authority that only Alice's desktop trusts; every
/// request gets the same answer.
struct Website {
    port: u16,
    authority: String,
}

impl Website {
    fn start(answer: String) -> Self {
        let rcgen::CertifiedKey { cert, signing_key } =
            rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let key = PrivateKeyDer::from_pem_slice(signing_key.serialize_pem().as_bytes()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key)
            .unwrap();
        let config = Arc::new(config);
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
                // A client that does not trust the certificate disconnects.
                let _ = serve(StreamOwned::new(connection, stream), &answer);
            }
        });
        Self { port, authority: cert.pem() }
    }
}

fn serve(mut stream: impl std::io::Read + std::io::Write, answer: &str) -> std::io::Result<()> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        request.extend(byte);
    }
    stream.write_all(answer.as_bytes())?;
    stream.flush()
}

fn answer(status: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: text/plain\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    )
}

#[test]
fn an_address_without_a_scheme_may_be_unencrypted_nearby() {
    let scene = Scene::new();
    let password = scene.file("password");
    let check = |address: &str, words: &str| {
        let login =
            ["login", &scene.alice.id, "--push", "--homeserver", address, "--password-file", &password, "--wait", "0"];
        let begun = std::time::Instant::now();
        let login = scene.pushbell.command(&login);
        assert!(format!("{}{}", login.stdout, login.stderr).contains(words), "{words}: {login:#?}");
        assert!(begun.elapsed() < crate::rig::SOON / 2, "it takes {:?}", begun.elapsed());
        login.code
    };
    let address = scene.homeserver.strip_prefix("http://").unwrap();
    assert_eq!(check(address, &format!(" is {} (Synapse).", scene.homeserver)), 3);
    assert_eq!(check(&address.replace("127.0.0.1", "localhost"), " is http://localhost:"), 3);
    // An address with a scheme is used as given, and the wait for a server without TLS is short.
    assert_eq!(check(&format!("https://{address}"), "If it is not encrypted there, say so"), 1);
    let nobody = format!("127.0.0.1:{}", crate::rig::http::free_port());
    assert_eq!(check(&nobody, "no homeserver answers"), 1);
    let site = Website::start(answer("404 Not Found", "{}"));
    assert_eq!(check(&format!("localhost:{}", site.port), "SSL_CERT_FILE"), 1);
}

#[test]
fn well_known_is_followed_over_a_trusted_connection_only() {
    let mut scene = Scene::new();
    let password = scene.file("password");
    let check = |scene: &mut Scene, answer: String, trusted: bool, options: &[&str], words: &str| {
        let site = Website::start(answer);
        let authority = scene.file("authority.pem");
        std::fs::write(&authority, &site.authority).unwrap();
        scene
            .pushbell
            .set_env("SSL_CERT_FILE", if trusted { &authority } else { "/etc/ssl/certs/ca-certificates.crt" });
        let user = format!("@alice:localhost:{}", site.port);
        let login =
            scene.pushbell.command(&[&["login", &user, "--push", "--password-file", &password], options].concat());
        let printed = format!("{}{}", login.stdout, login.stderr);
        assert!(login.code == 1 && printed.contains(words), "{words}: {login:#?}");
    };
    let homeserver = scene.homeserver.clone();
    let word = json!({"m.homeserver": {"base_url": format!("{homeserver}/")}}).to_string();
    // Found, but Alice of localhost has no account there.
    check(&mut scene, answer("200 OK", &word), true, &["--anyway"], &format!(" is {homeserver} (Synapse)"));
    check(&mut scene, answer("200 OK", "{}"), true, &[], "--homeserver");
    check(&mut scene, answer("404 Not Found", "{}"), true, &[], "is no Matrix homeserver");
    check(&mut scene, answer("200 OK", "<html>"), true, &[], "is no Matrix homeserver");
    check(&mut scene, answer("200 OK", &word), false, &[], "SSL_CERT_FILE");

    // A downgrade to an unencrypted address needs explicit consent.
    check(&mut scene, answer("200 OK", &word), true, &[], "leads to an address that is not encrypted");
    let redirect = format!(
        "HTTP/1.1 302 Found\r\nlocation: {homeserver}/.well-known/matrix/client\r\ncontent-length: 0\r\n\
         connection: close\r\n\r\n"
    );
    check(&mut scene, redirect.clone(), true, &[], "leads to an address that is not encrypted");
    check(&mut scene, redirect, true, &["--anyway"], &format!(" is {homeserver} (Synapse)"));
}
