//! Who may see the page (pure). That the other end of a connection is this user is known before.
//!
//! An address in a browser's command line can be read by other users, and cookies are not kept apart by port: so the
//! address is good once and for a short time, and is exchanged for a cookie of a host name that no other port's page has.

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

/// How long an address can be entered by.
const INVITATION_TIME: Duration = Duration::from_secs(120);
/// Addresses that were given out and not used, and browsers that have entered, at most; older ones make way.
const MAX_KEPT: usize = 16;
/// The cookie's name.
const COOKIE_NAME: &str = "pushbell";
/// The path that an address leads to.
pub(super) const PATH: &str = "/enter";

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The door: who was invited, and who is in.
pub(super) struct Entrance {
    /// The host names by which the page is reached, with the port; the first is the one that is told.
    hosts: [String; 2],
    invitations: VecDeque<Invitation>,
    visitors: VecDeque<Visitor>,
}

struct Invitation {
    token: String,
    until: Instant,
}

/// A browser that has entered.
#[derive(Clone)]
pub(super) struct Visitor {
    cookie: String,
    /// What each form must hold: other pages can have a browser send a form, but do not know this.
    pub(super) form_token: String,
}

/// Why a request is not answered with what it asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// It is for another host: a name that somebody has made to lead here.
    Host,
    /// Another page has sent it.
    Origin,
    /// Whoever asks has not entered.
    Stranger,
}

impl Entrance {
    /// A door at this port. `uses_name`: browsers find `.localhost` names by themselves.
    pub(super) fn new(port: u16, uses_name: bool) -> Result<Self, getrandom::Error> {
        // Host names know no capitals, and a label has at most 63 characters.
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes)?;
        let label = format!("{:032x}", u128::from_ne_bytes(bytes));
        let (name, address) = (format!("{label}.localhost:{port}"), format!("127.0.0.1:{port}"));
        let hosts = if uses_name { [name, address] } else { [address, name] };
        Ok(Self { hosts, invitations: VecDeque::new(), visitors: VecDeque::new() })
    }

    /// An address that is good for one visit to this section.
    pub(super) fn invite(&mut self, section: Section, now: Instant) -> Result<String, getrandom::Error> {
        let token = random_id()?;
        let address = format!("http://{}{PATH}?to={}&token={token}", self.hosts[0], &section.path()[1..]);
        push(&mut self.invitations, Invitation { token, until: now + INVITATION_TIME });
        Ok(address)
    }

    /// Lets in whoever has this token, once: the value of the header that sets the cookie.
    pub(super) fn enter(&mut self, token: &str, now: Instant) -> Result<Option<String>, getrandom::Error> {
        self.invitations.retain(|invitation| now < invitation.until);
        let Some(at) = self.invitations.iter().position(|invitation| is_same(&invitation.token, token)) else {
            return Ok(None);
        };
        self.invitations.remove(at);
        let visitor = Visitor { cookie: random_id()?, form_token: random_id()? };
        let cookie = format!("{COOKIE_NAME}={}; Path=/; HttpOnly; SameSite=Strict", visitor.cookie);
        push(&mut self.visitors, visitor);
        Ok(Some(cookie))
    }

    /// Whether the request is for this page, and no other page has sent it.
    pub(super) fn check_host(&self, headers: &HeaderMap) -> Result<(), Refused> {
        let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        if headers.get_all(HOST).iter().count() == 1 && self.hosts.iter().any(|ours| ours == host) {
            return Ok(());
        }
        Err(Refused::Host)
    }

    /// Who asks.
    pub(super) fn visitor(&self, headers: &HeaderMap) -> Result<Visitor, Refused> {
        let cookies = headers.get_all(COOKIE).iter().filter_map(|cookies| cookies.to_str().ok());
        let mut given =
            cookies.flat_map(|cookies| cookies.split(';')).filter_map(|cookie| cookie.trim().split_once('='));
        let is_of = |visitor: &&Visitor, cookie: &str| is_same(&visitor.cookie, cookie);
        let found = given.find_map(|(name, cookie)| {
            self.visitors.iter().find(|visitor| name == COOKIE_NAME && is_of(visitor, cookie))
        });
        found.cloned().ok_or(Refused::Stranger)
    }

    /// Whether a page of ours has sent what changes something: by what the browser says, and by the form's token.
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

impl Visitor {
    /// Whether a form holds its token.
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
        let (mut entrance, now) = (Entrance::new(7, true).unwrap(), Instant::now());
        let address = entrance.invite(Section::Health, now).unwrap();
        assert!(address.starts_with("http://") && address.contains(".localhost:7/enter?to=health&token="), "{address}");
        let token = token_of(&address);
        assert_eq!(entrance.enter("", now).unwrap(), None);
        let cookie = entrance.enter(&token, now).unwrap().unwrap();
        assert!(cookie.ends_with("; HttpOnly; SameSite=Strict"), "{cookie}");
        assert_eq!(entrance.enter(&token, now).unwrap(), None, "it was used");
        let late = token_of(&entrance.invite(Section::Inbox, now).unwrap());
        assert_eq!(entrance.enter(&late, now + INVITATION_TIME).unwrap(), None);
        let cookie = cookie.split(';').next().unwrap();
        let visitor =
            entrance.visitor(&headers(&[(COOKIE, &format!("a=b; {cookie}"))])).unwrap_or_else(|_| panic!("known"));
        assert_eq!(visitor.check_form(Some(&visitor.form_token)), Ok(()));
        for wrong in [None, Some(""), Some("x")] {
            assert_eq!(visitor.check_form(wrong), Err(Refused::Origin));
        }
        for wrong in ["", "pushbell=", "pushbell=x", &cookie.replace("pushbell", "other")] {
            assert!(entrance.visitor(&headers(&[(COOKIE, wrong)])).is_err(), "{wrong}");
        }
    }

    #[test]
    fn other_hosts_and_other_pages_are_told_apart() {
        let entrance = Entrance::new(7, true).unwrap();
        let name = entrance.hosts[0].clone();
        let host = |host: &str| entrance.check_host(&headers(&[(HOST, host)]));
        assert_eq!((host(&name), host("127.0.0.1:7")), (Ok(()), Ok(())));
        for other in ["localhost:7", "127.0.0.1", "127.0.0.1:8", "evil.example:7", "", &name.replace(":7", "")] {
            assert_eq!(host(other), Err(Refused::Host), "{other}");
        }
        assert_eq!(entrance.check_host(&HeaderMap::new()), Err(Refused::Host));
        let origin = |pairs: &[(HeaderName, &str)]| {
            Entrance::check_origin(&headers(&[&[(HOST, name.as_str())], pairs].concat()))
        };
        let own = format!("http://{name}");
        assert_eq!(origin(&[(ORIGIN, &own)]), Ok(()));
        assert_eq!(origin(&[(ORIGIN, &own), (SEC_FETCH_SITE, "same-origin")]), Ok(()));
        assert_eq!(origin(&[(ORIGIN, &own), (SEC_FETCH_SITE, "cross-site")]), Err(Refused::Origin));
        for other in [&[][..], &[(ORIGIN, "null")], &[(ORIGIN, "http://127.0.0.1:8")], &[(ORIGIN, &name)]] {
            assert_eq!(origin(other), Err(Refused::Origin), "{other:?}");
        }
    }
}
