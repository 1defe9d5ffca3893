//! Access control of the page (pure). The caller has checked that the connection is this user's.
//!
//! Other users can read an address on a browser's command line, and browsers send cookies to all ports of a host. So an
//! address holds a token that is valid once and for a short time. It is exchanged for a session cookie of a random host name,
//! which no page on another port has.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use hyper::{
    HeaderMap,
    header::{COOKIE, HOST, HeaderName, ORIGIN},
};
use subtle::ConstantTimeEq as _;

use crate::{control::Section, sample::random_id};

/// How long an unused token is valid.
const TOKEN_LIFETIME: Duration = Duration::from_secs(120);
/// Maximum number of unused tokens, and of sessions; the oldest are dropped.
const MAX_KEPT: usize = 16;
/// The cookie's name.
const COOKIE_NAME: &str = "pushbell";
/// The path that takes a token.
pub(super) const PATH: &str = "/enter";

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The valid tokens and sessions.
pub(super) struct Access {
    /// The hosts of the page, with the port; the first is used in addresses.
    hosts: [String; 2],
    tokens: VecDeque<OneTimeToken>,
    sessions: VecDeque<BrowserSession>,
}

struct OneTimeToken {
    token: String,
    until: Instant,
}

/// The session of a browser.
#[derive(Clone)]
pub(super) struct BrowserSession {
    cookie: String,
    /// The CSRF token: each form contains it, and other pages do not know it.
    pub(super) form_token: String,
}

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// It is for another host (DNS rebinding).
    Host,
    /// Another page has sent it (CSRF).
    Origin,
    /// It has no valid token or session cookie.
    NoSession,
}

impl Access {
    /// For a page on this port. `uses_name`: browsers resolve `.localhost` names themselves.
    pub(super) fn new(port: u16, uses_name: bool) -> Result<Self, getrandom::Error> {
        // Host names are case-insensitive, and a label has at most 63 characters.
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes)?;
        let label = format!("{:032x}", u128::from_ne_bytes(bytes));
        let (name, address) = (format!("{label}.localhost:{port}"), format!("127.0.0.1:{port}"));
        let hosts = if uses_name { [name, address] } else { [address, name] };
        Ok(Self { hosts, tokens: VecDeque::new(), sessions: VecDeque::new() })
    }

    /// An address of this section with a new token.
    pub(super) fn one_time_url(&mut self, section: Section, now: Instant) -> Result<String, getrandom::Error> {
        let token = random_id()?;
        let address = format!("http://{}{PATH}?to={}&token={token}", self.hosts[0], &section.path()[1..]);
        push(&mut self.tokens, OneTimeToken { token, until: now + TOKEN_LIFETIME });
        Ok(address)
    }

    /// Exchanges a token for a session. Returns the value of the `Set-Cookie` header; `None` if the token is not valid.
    pub(super) fn redeem(&mut self, token: &str, now: Instant) -> Result<Option<String>, getrandom::Error> {
        self.tokens.retain(|known| now < known.until);
        let Some(at) = self.tokens.iter().position(|known| is_same(&known.token, token)) else {
            return Ok(None);
        };
        self.tokens.remove(at);
        let session = BrowserSession { cookie: random_id()?, form_token: random_id()? };
        let cookie = format!("{COOKIE_NAME}={}; Path=/; HttpOnly; SameSite=Strict", session.cookie);
        push(&mut self.sessions, session);
        Ok(Some(cookie))
    }

    /// Whether the request is for a host of this page.
    pub(super) fn check_host(&self, headers: &HeaderMap) -> Result<(), Refused> {
        let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        if headers.get_all(HOST).iter().count() == 1 && self.hosts.iter().any(|ours| ours == host) {
            return Ok(());
        }
        Err(Refused::Host)
    }

    /// The session of a request, by its cookie.
    pub(super) fn session(&self, headers: &HeaderMap) -> Result<BrowserSession, Refused> {
        let cookies = headers.get_all(COOKIE).iter().filter_map(|cookies| cookies.to_str().ok());
        let mut given =
            cookies.flat_map(|cookies| cookies.split(';')).filter_map(|cookie| cookie.trim().split_once('='));
        let is_of = |session: &&BrowserSession, cookie: &str| is_same(&session.cookie, cookie);
        let found = given.find_map(|(name, cookie)| {
            self.sessions.iter().find(|session| name == COOKIE_NAME && is_of(session, cookie))
        });
        found.cloned().ok_or(Refused::NoSession)
    }

    /// Whether a form comes from this page, by the headers of the browser.
    pub(super) fn check_origin(headers: &HeaderMap) -> Result<(), Refused> {
        let text = |name| headers.get(name).and_then(|value: &hyper::header::HeaderValue| value.to_str().ok());
        let host = text(HOST).unwrap_or_default();
        let is_ours = text(ORIGIN).is_some_and(|origin| origin.strip_prefix("http://") == Some(host));
        if is_ours && text(SEC_FETCH_SITE).is_none_or(|site| site == "same-origin") {
            Ok(())
        } else {
            Err(Refused::Origin)
        }
    }
}

impl BrowserSession {
    /// Whether a form contains the session's CSRF token.
    pub(super) fn check_form(&self, token: Option<&str>) -> Result<(), Refused> {
        if token.is_some_and(|token| is_same(&self.form_token, token)) { Ok(()) } else { Err(Refused::Origin) }
    }
}

fn push<T>(queue: &mut VecDeque<T>, value: T) {
    if queue.len() == MAX_KEPT {
        queue.pop_front();
    }
    queue.push_back(value);
}

fn is_same(ours: &str, given: &str) -> bool {
    ours.as_bytes().ct_eq(given.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    fn token_of(address: &str) -> String {
        address.rsplit_once("token=").unwrap().1.to_owned()
    }

    fn headers(pairs: &[(HeaderName, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), HeaderValue::from_str(value).unwrap())).collect()
    }

    #[test]
    fn an_address_is_good_once_and_not_for_long() {
        let (mut access, now) = (Access::new(7, true).unwrap(), Instant::now());
        let address = access.one_time_url(Section::Health, now).unwrap();
        assert!(address.starts_with("http://") && address.contains(".localhost:7/enter?to=health&token="), "{address}");
        let token = token_of(&address);
        assert_eq!(access.redeem("", now).unwrap(), None);
        let cookie = access.redeem(&token, now).unwrap().unwrap();
        assert!(cookie.ends_with("; HttpOnly; SameSite=Strict"), "{cookie}");
        assert_eq!(access.redeem(&token, now).unwrap(), None, "it was used");
        let late = token_of(&access.one_time_url(Section::Inbox, now).unwrap());
        assert_eq!(access.redeem(&late, now + TOKEN_LIFETIME).unwrap(), None);
        let cookie = cookie.split(';').next().unwrap();
        let session =
            access.session(&headers(&[(COOKIE, &format!("a=b; {cookie}"))])).unwrap_or_else(|_| panic!("known"));
        assert_eq!(session.check_form(Some(&session.form_token)), Ok(()));
        for wrong in [None, Some(""), Some("x")] {
            assert_eq!(session.check_form(wrong), Err(Refused::Origin));
        }
        for wrong in ["", "pushbell=", "pushbell=x", &cookie.replace("pushbell", "other")] {
            assert!(access.session(&headers(&[(COOKIE, wrong)])).is_err(), "{wrong}");
        }
    }

    #[test]
    fn other_hosts_and_other_pages_are_told_apart() {
        let access = Access::new(7, true).unwrap();
        let name = access.hosts[0].clone();
        let host = |host: &str| access.check_host(&headers(&[(HOST, host)]));
        assert_eq!((host(&name), host("127.0.0.1:7")), (Ok(()), Ok(())));
        for other in ["localhost:7", "127.0.0.1", "127.0.0.1:8", "evil.example:7", "", &name.replace(":7", "")] {
            assert_eq!(host(other), Err(Refused::Host), "{other}");
        }
        assert_eq!(access.check_host(&HeaderMap::new()), Err(Refused::Host));
        let origin =
            |pairs: &[(HeaderName, &str)]| Access::check_origin(&headers(&[&[(HOST, name.as_str())], pairs].concat()));
        let own = format!("http://{name}");
        assert_eq!(origin(&[(ORIGIN, &own)]), Ok(()));
        assert_eq!(origin(&[(ORIGIN, &own), (SEC_FETCH_SITE, "same-origin")]), Ok(()));
        assert_eq!(origin(&[(ORIGIN, &own), (SEC_FETCH_SITE, "cross-site")]), Err(Refused::Origin));
        for other in [&[][..], &[(ORIGIN, "null")], &[(ORIGIN, "http://127.0.0.1:8")], &[(ORIGIN, &name)]] {
            assert_eq!(origin(other), Err(Refused::Origin), "{other:?}");
        }
    }
}
