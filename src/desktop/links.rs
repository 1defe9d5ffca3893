//! Turns the target of a click into an address or a command (pure). Ids are untrusted: only valid ones are used.
//!
//! Links follow the Matrix specification, appendices "Matrix URI scheme" and "matrix.to navigation".

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::OpenTarget;
use crate::config::OpenWith;

/// Maximum length of an id, in bytes.
const MAX_ID: usize = 255;

const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// `matrix:` links keep the colons of ids, and matrix.to links the sigil of a room id.
const MATRIX: &AsciiSet = &UNRESERVED.remove(b':');
const MATRIX_TO: &AsciiSet = &UNRESERVED.remove(b'!');

/// What to open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opening {
    /// A room: in the program that handles `matrix:` links, or else on the web.
    Matrix {
        /// The `matrix:` link.
        link: String,
        /// The same on matrix.to.
        web: String,
    },
    /// An address.
    Address(String),
    /// A program and its arguments.
    Command(String, Vec<String>),
    /// A file.
    File(std::path::PathBuf),
}

/// Works out what to open.
///
/// # Errors
/// A sentence if there is nothing valid to open.
pub fn opening(target: &OpenTarget, with: &OpenWith) -> Result<Opening, String> {
    let ids = match target {
        OpenTarget::File(path) => return Ok(Opening::File(path.clone())),
        OpenTarget::Page(address) => return Ok(Opening::Address(address.clone())),
        OpenTarget::Room { room_id, event_id, user } => Ids {
            room: Some(room_id.as_str()).filter(|id| is_id(id, '!')),
            event: event_id.as_deref().filter(|id| is_id(id, '$')),
            user: user.as_deref().filter(|id| is_id(id, '@') && server_name(id).is_some()),
        },
    };
    match with {
        OpenWith::Matrix => {
            let room = ids.room.ok_or(NO_ROOM)?;
            Ok(Opening::Matrix { link: matrix_link(room, &ids), web: matrix_to(room, &ids) })
        }
        OpenWith::Address(address) => {
            let encode = |id: &str| utf8_percent_encode(id, UNRESERVED).to_string();
            fill_in(address, &ids, &encode).map(Opening::Address)
        }
        OpenWith::Command(command) => {
            let (program, arguments) = command.split_first().ok_or("popup.open is an empty command: name a program")?;
            let arguments = arguments.iter().map(|argument| fill_in(argument, &ids, &str::to_owned));
            Ok(Opening::Command(program.clone(), arguments.collect::<Result<_, _>>()?))
        }
    }
}

const NO_ROOM: &str = "the notification names no valid room, so there is nothing to open";

/// The valid ids of a target.
struct Ids<'a> {
    room: Option<&'a str>,
    event: Option<&'a str>,
    user: Option<&'a str>,
}

impl Ids<'_> {
    /// A server that knows the room: the one in its id, or else (room version 12) the sender's.
    fn via(&self, set: &'static AsciiSet) -> String {
        let server = self.room.and_then(server_name).or(self.user.and_then(server_name));
        server.map(|server| format!("?via={}", utf8_percent_encode(server, set))).unwrap_or_default()
    }
}

fn matrix_link(room: &str, ids: &Ids<'_>) -> String {
    let room = utf8_percent_encode(&room[1..], MATRIX);
    let event = ids.event.map(|event| format!("/e/{}", utf8_percent_encode(&event[1..], MATRIX)));
    format!("matrix:roomid/{room}{}{}", event.unwrap_or_default(), ids.via(MATRIX))
}

fn matrix_to(room: &str, ids: &Ids<'_>) -> String {
    let room = utf8_percent_encode(room, MATRIX_TO);
    let event = ids.event.map(|event| format!("/{}", utf8_percent_encode(event, MATRIX_TO)));
    format!("https://matrix.to/#/{room}{}{}", event.unwrap_or_default(), ids.via(MATRIX_TO))
}

/// Replaces `{room}`, `{event}` and `{user}` in one pass: replaced text is not scanned again.
fn fill_in(template: &str, ids: &Ids<'_>, encode: &dyn Fn(&str) -> String) -> Result<String, String> {
    let mut filled = String::with_capacity(template.len());
    let mut rest = template;
    while let Some(brace) = rest.find('{') {
        let (before, after) = rest.split_at(brace);
        filled += before;
        let placeholders = [("{room}", ids.room), ("{event}", ids.event), ("{user}", ids.user)];
        let found =
            placeholders.into_iter().find_map(|(name, id)| after.strip_prefix(name).map(|rest| (name, id, rest)));
        rest = match found {
            Some(("{room}", None, _)) => return Err(NO_ROOM.into()),
            Some((_, id, rest)) => {
                filled.push_str(&id.map(encode).unwrap_or_default());
                rest
            }
            None => {
                filled.push('{');
                &after[1..]
            }
        };
    }
    Ok(filled + rest)
}

fn is_id(id: &str, sigil: char) -> bool {
    let harmless = |c: char| !c.is_control() && !c.is_whitespace();
    id.len() <= MAX_ID && id.strip_prefix(sigil).is_some_and(|rest| !rest.is_empty() && rest.chars().all(harmless))
}

/// The part after the first colon, if it is a valid server name.
fn server_name(id: &str) -> Option<&str> {
    let (_, server) = id.split_once(':')?;
    let valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '[' | ']');
    Some(server).filter(|server| !server.is_empty() && server.chars().all(valid))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn room(room: &str, event: Option<&str>, user: Option<&str>) -> OpenTarget {
        OpenTarget::Room { room_id: room.to_owned(), event_id: event.map(str::to_owned), user: user.map(str::to_owned) }
    }

    #[test]
    fn a_room_becomes_a_matrix_link_and_one_of_matrix_to() {
        let check = |target, link: &str, web: &str| {
            let expected = Opening::Matrix { link: link.to_owned(), web: web.to_owned() };
            assert_eq!(opening(&target, &OpenWith::Matrix), Ok(expected));
        };
        check(
            room("!r:example.org", Some("$e/+="), None),
            "matrix:roomid/r:example.org/e/e%2F%2B%3D?via=example.org",
            "https://matrix.to/#/!r%3Aexample.org/%24e%2F%2B%3D?via=example.org",
        );
        check(
            room("!hash", Some("$e"), Some("@bob:b.example:8448")),
            "matrix:roomid/hash/e/e?via=b.example:8448",
            "https://matrix.to/#/!hash/%24e?via=b.example%3A8448",
        );
        check(room("!hash", None, None), "matrix:roomid/hash", "https://matrix.to/#/!hash");
        check(room("!a?b#c:x", Some("no event"), None), "matrix:roomid/a%3Fb%23c:x?via=x", {
            "https://matrix.to/#/!a%3Fb%23c%3Ax?via=x"
        });
        check(room("!r:bad/server", None, None), "matrix:roomid/r:bad%2Fserver", {
            "https://matrix.to/#/!r%3Abad%2Fserver"
        });
    }

    #[test]
    fn nothing_is_opened_for_what_is_no_room() {
        for id in ["", "!", "#alias:x", "r:x", "!a b:x", "!a\n:x", "!a\u{a0}:x", &format!("!{}", "a".repeat(255))] {
            assert_eq!(opening(&room(id, None, None), &OpenWith::Matrix), Err(NO_ROOM.to_owned()), "{id}");
            assert!(opening(&room(id, None, None), &OpenWith::Address("x:{room}".into())).is_err(), "{id}");
        }
    }

    #[test]
    fn placeholders_of_an_address_are_encoded_and_filled_in_once() {
        let check = |template: &str, expected: &str| {
            let target = room("!{user}:x", Some("$a&b"), None);
            let opened = opening(&target, &OpenWith::Address(template.to_owned()));
            assert_eq!(opened, Ok(Opening::Address(expected.to_owned())));
        };
        check("https://c/#/room/{room}/{event}", "https://c/#/room/%21%7Buser%7D%3Ax/%24a%26b");
        check("a:{user}:{event}", "a::%24a%26b");
        check("a:{other}{", "a:{other}{");
    }

    #[test]
    fn a_placeholder_stays_inside_its_argument() {
        let command = ["client", "--room={room}", "{event}", "{user}"].map(str::to_owned).to_vec();
        let opened = opening(&room("!{event};rm:x", Some("$`id`"), None), &OpenWith::Command(command));
        let arguments = ["--room=!{event};rm:x", "$`id`", ""].map(str::to_owned).to_vec();
        assert_eq!(opened, Ok(Opening::Command("client".into(), arguments)));
        assert!(opening(&room("!r:x", None, None), &OpenWith::Command(Vec::new())).is_err());
    }

    #[test]
    fn a_command_without_the_room_needs_none() {
        let opened = opening(&room("", None, None), &OpenWith::Command(vec!["client".into()]));
        assert_eq!(opened, Ok(Opening::Command("client".into(), Vec::new())));
    }

    proptest! {
        #[test]
        fn links_are_plain_ascii_whatever_the_ids(room_id in "!\\PC{0,80}", event in "\\PC{0,80}", user in "@\\PC{0,40}") {
            let target = room(&room_id, Some(&event), Some(&user));
            if let Ok(Opening::Matrix { link, web }) = opening(&target, &OpenWith::Matrix) {
                for address in [link, web] {
                    prop_assert!(address.chars().all(|c| c.is_ascii_alphanumeric() || "!%-._~:/#?=".contains(c)), "{}", address);
                    prop_assert!(address.matches('?').count() <= 1);
                }
            }
        }
    }
}
