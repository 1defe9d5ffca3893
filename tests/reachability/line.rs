//! A keep-alive connection as homeservers use it, in plain HTTP or over TLS.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    sync::Arc,
};

use serde_json::{Value, json};
use tokio_rustls::rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    crypto::ring,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};

use crate::rig::{SOON, pushbell::PATH};

pub(crate) struct KeepAliveConnection {
    stream: Stream,
    host: String,
    read: Vec<u8>,
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

/// Status and body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

impl KeepAliveConnection {
    pub(crate) fn plain(address: SocketAddr) -> io::Result<Self> {
        let stream = Stream::Plain(connect(address)?);
        Ok(Self { stream, host: address.to_string(), read: Vec::new() })
    }

    /// Connects to this host at that address, trusting this authority (PEM).
    pub(crate) fn tls(address: SocketAddr, host: &str, authority: &str) -> io::Result<Self> {
        let mut roots = RootCertStore::empty();
        let authority = CertificateDer::from_pem_slice(authority.as_bytes()).expect("it is PEM");
        roots.add(authority).expect("it is an authority");
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("TLS is there")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from(host.to_owned()).expect("it is a name");
        let mut connection = ClientConnection::new(Arc::new(config), name).expect("TLS is there");
        let mut stream = connect(address)?;
        while connection.is_handshaking() {
            connection.complete_io(&mut stream)?;
        }
        let stream = Stream::Tls(Box::new(StreamOwned::new(connection, stream)));
        Ok(Self { stream, host: host.to_owned(), read: Vec::new() })
    }

    /// The server's own certificate, in DER.
    pub(crate) fn certificate(&self) -> Vec<u8> {
        match &self.stream {
            Stream::Plain(_) => Vec::new(),
            Stream::Tls(stream) => stream.conn.peer_certificates().expect("there was a handshake")[0].to_vec(),
        }
    }

    pub(crate) fn ask(&mut self, method: &str, path: &str, body: &[u8]) -> io::Result<Answer> {
        let length = if method == "POST" { format!("Content-Length: {}\r\n", body.len()) } else { String::new() };
        let host = &self.host;
        let head =
            format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n{length}\r\n");
        let sent = self.stream.write_all(&[head.as_bytes(), body].concat()).and_then(|()| self.stream.flush());
        // A server that rejects a body may answer before it has received all of it.
        self.answer().or_else(|error| sent.and(Err(error)))
    }

    /// Posts to the standard path.
    pub(crate) fn post(&mut self, body: &[u8]) -> io::Result<Answer> {
        self.ask("POST", PATH, body)
    }

    /// Sends a push, which must be accepted.
    #[track_caller]
    pub(crate) fn push(&mut self, push: &Value) {
        let answer = self.post(push.to_string().as_bytes()).expect("the connection is kept");
        let body: Value = serde_json::from_str(&answer.body).expect("it is JSON");
        assert_eq!((answer.status, body), (200, json!({"rejected": []})));
    }

    fn answer(&mut self) -> io::Result<Answer> {
        let ended = || io::Error::from(io::ErrorKind::UnexpectedEof);
        let mut buffer = vec![0; 16 * 1024];
        let mut more = |stream: &mut Stream, read: &mut Vec<u8>| match stream.read(&mut buffer)? {
            0 => Err(ended()),
            length => {
                read.extend_from_slice(&buffer[..length]);
                Ok(())
            }
        };
        let head = loop {
            if let Some(end) = self.read.windows(4).position(|window| window == b"\r\n\r\n") {
                let head: Vec<u8> = self.read.drain(..end + 4).collect();
                break String::from_utf8_lossy(&head).to_lowercase();
            }
            more(&mut self.stream, &mut self.read)?;
        };
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("it is HTTP");
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).expect("there is a length");
        let length: usize = length.trim().parse().expect("it is a number");
        while self.read.len() < length {
            more(&mut self.stream, &mut self.read)?;
        }
        let body: Vec<u8> = self.read.drain(..length).collect();
        Ok(Answer { status, body: String::from_utf8_lossy(&body).into_owned() })
    }
}

fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, SOON)?;
    stream.set_read_timeout(Some(SOON))?;
    stream.set_write_timeout(Some(SOON))?;
    Ok(stream)
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.write(buffer),
            Self::Tls(stream) => stream.write(buffer),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.flush(),
            Self::Tls(stream) => stream.flush(),
        }
    }
}
