//! A small HTTP client, which can also send what no browser would.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use crate::rig::{Pushbell, SOON, wait_for};

/// The parts of a page URL.
#[derive(Debug, Clone)]
pub(crate) struct Address {
    pub(crate) host: String,
    pub(crate) port: u16,
    /// The one-time path that grants access.
    pub(crate) path: String,
}

impl Address {
    /// The URL that `pushbell open` opens in the browser.
    #[track_caller]
    pub(crate) fn of(pushbell: &Pushbell, section: &str) -> Self {
        let before = pushbell.opened().len();
        assert_eq!(pushbell.ok(&["open", section]), "Your browser opens.\n");
        let address = wait_for("the browser opens", SOON, || pushbell.opened().get(before).cloned()).0;
        Self::parse(&address)
    }

    pub(crate) fn parse(address: &str) -> Self {
        let rest = address.strip_prefix("http://").unwrap();
        let (host, path) = rest.split_once('/').unwrap();
        let port = host.rsplit_once(':').unwrap().1.parse().unwrap();
        Self { host: host.to_owned(), port, path: format!("/{path}") }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}{}", self.host, self.path)
    }
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.filter(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value).next()
    }
}

/// Sends this verbatim, and reads until the end. `None`: no byte was received.
pub(crate) fn exchange(port: u16, request: &str) -> Option<Answer> {
    exchange_bytes(port, request.as_bytes())
}

fn exchange_bytes(port: u16, request: &[u8]) -> Option<Answer> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream.write_all(request).ok()?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some(Answer { status, head: head.to_owned(), body: body.to_owned() })
}

/// A client that has opened the page, indistinguishable from a browser.
pub(crate) struct Visit {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) cookie: String,
}

impl Visit {
    /// Opens the page at a new one-time URL.
    #[track_caller]
    pub(crate) fn begin(pushbell: &Pushbell, section: &str) -> Self {
        let Address { host, port, path } = Address::of(pushbell, section);
        let answer = exchange(port, &get(&host, &path, "")).unwrap();
        assert_eq!((answer.status, answer.header("location")), (303, Some(&*format!("/{section}"))), "{answer:?}");
        let cookie = answer.header("set-cookie").unwrap();
        assert!(cookie.contains("; HttpOnly") && cookie.contains("; SameSite=Strict"), "{cookie}");
        let cookie = cookie.split(';').next().unwrap().to_owned();
        Self { host, port, cookie }
    }

    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> Answer {
        exchange(self.port, &get(&self.host, path, &self.cookie)).unwrap()
    }

    /// The CSRF token that forms must contain.
    #[track_caller]
    pub(crate) fn token(&self) -> String {
        let page = self.get("/settings").body;
        let (_, rest) = page.split_once("name=\"token\" value=\"").expect("there is a form");
        rest.split('"').next().unwrap().to_owned()
    }

    /// Sends a form, and returns the resulting page.
    #[track_caller]
    pub(crate) fn post(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let token = self.token();
        let fields = [&[("token", token.as_str())], fields].concat();
        let origin = format!("http://{}", self.host);
        self.follow(exchange(self.port, &post(&self.host, path, &self.cookie, Some(&origin), &fields)).unwrap())
    }

    /// Sends a form with a file, and returns the resulting page.
    #[track_caller]
    pub(crate) fn post_file(&self, path: &str, called: &str, bytes: &[u8]) -> Answer {
        let (token, host, cookie) = (self.token(), &self.host, &self.cookie);
        let part = |rest: &str| format!("--boundary\r\nContent-Disposition: form-data; {rest}\r\n\r\n");
        let mut body = format!("{}{token}\r\n", part("name=\"token\"")).into_bytes();
        body.extend(part(&format!("name=\"file\"; filename=\"{called}\"")).bytes());
        body.extend(bytes);
        body.extend(b"\r\n--boundary--\r\n");
        let mut request = format!(
            "POST {path} HTTP/1.1\r\nHost: {host}\r\nCookie: {cookie}\r\nOrigin: http://{host}\r\nConnection: close\r\n\
             Content-Type: multipart/form-data; boundary=boundary\r\nContent-Length: {}\r\n\r\n",
            body.len()
        )
        .into_bytes();
        request.extend(body);
        self.follow(exchange_bytes(self.port, &request).unwrap())
    }

    #[track_caller]
    fn follow(&self, answer: Answer) -> Answer {
        if answer.status != 303 {
            return answer;
        }
        let location = answer.header("location").unwrap().split('#').next().unwrap().to_owned();
        assert!(location.starts_with('/') && !location.starts_with("//"), "{location}");
        self.get(&location)
    }
}

pub(crate) fn get(host: &str, path: &str, cookie: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nCookie: {cookie}\r\nConnection: close\r\n\r\n")
}

pub(crate) fn post(host: &str, path: &str, cookie: &str, origin: Option<&str>, fields: &[(&str, &str)]) -> String {
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    let origin = origin.map(|origin| format!("Origin: {origin}\r\n")).unwrap_or_default();
    format!(
        "POST {path} HTTP/1.1\r\nHost: {host}\r\nCookie: {cookie}\r\n{origin}Connection: close\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}
