//! User IDs: `@localpart:server_name` (Matrix specification, appendices, "User identifiers").

use std::fmt;

/// The specification's limit of a user ID, in bytes.
const MAX_BYTES: usize = 255;

/// A valid user ID.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct UserId(String);

/// Error for an invalid user ID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a user ID looks like @alice:example.org")]
pub struct InvalidUserId;

impl UserId {
    /// Parses a user ID. Historical local parts are accepted: printable characters without a colon.
    ///
    /// # Errors
    /// When it is invalid, or longer than 255 bytes.
    pub fn parse(text: &str) -> Result<Self, InvalidUserId> {
        let (localpart, server) = text.strip_prefix('@').and_then(|rest| rest.split_once(':')).ok_or(InvalidUserId)?;
        let printable = !text.chars().any(|c| c.is_control() || c.is_whitespace());
        let good = !localpart.is_empty() && is_server_name(server) && printable && text.len() <= MAX_BYTES;
        if good { Ok(Self(text.to_owned())) } else { Err(InvalidUserId) }
    }

    /// The user ID as text: `@alice:example.org`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part after the first colon: a host, and optionally a port.
    #[must_use]
    pub fn server_name(&self) -> &str {
        self.0.split_once(':').map_or("", |(_, server)| server)
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `host`, `host:port`, `[ipv6]` or `[ipv6]:port`.
fn is_server_name(name: &str) -> bool {
    let uri: Result<hyper::http::uri::Authority, _> = name.parse();
    uri.is_ok_and(|authority| !authority.host().is_empty() && !name.contains('@') && !name.ends_with(':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_ids_have_a_local_part_and_a_server() {
        fn check(text: &str, expected: Option<&str>) {
            let parsed = UserId::parse(text).ok();
            assert_eq!(parsed.as_ref().map(UserId::server_name), expected, "{text:?}");
        }
        check("@alice:example.org", Some("example.org"));
        check("@alice:example.org:8448", Some("example.org:8448"));
        check("@alice:[2001:db8::1]:8448", Some("[2001:db8::1]:8448"));
        check("@Alice Smith:example.org", None);
        check("@alice=/+:localhost", Some("localhost"));
        check("alice:example.org", None);
        check("@alice", None);
        check("@:example.org", None);
        check("@alice:", None);
        check("@alice:evil@example.org", None);
        check("@alice:exa mple.org", None);
        check("@alice:example.org/path", None);
        check(&format!("@{}:example.org", "a".repeat(255)), None);
    }
}
