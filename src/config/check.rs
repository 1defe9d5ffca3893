//! The valid values of each setting, and the messages for invalid ones.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use directories::BaseDirs;
use hyper::Uri;

use super::{Fault, OpenWith, Timeout, TlsFiles, document::Value};
use crate::{
    present::popup::{MAX_BUTTONS, RoomButton},
    push::notify,
};

/// Maximum of `popup.timeout`, in seconds.
const LONGEST_TIMEOUT: f64 = 86_400.0;
/// Maximum of `history.keep_days`: about a hundred years.
const MOST_DAYS: u32 = 36_500;
/// The buttons of `popup.actions`.
const ACTIONS: [(&str, RoomButton); 4] = [
    ("reply", RoomButton::Reply),
    ("read", RoomButton::Read),
    ("mute_hour", RoomButton::MuteHour),
    ("mute", RoomButton::Mute),
];
/// Placeholders in `popup.open` for room, event and user.
const PLACEHOLDERS: [&str; 3] = ["{room}", "{event}", "{user}"];

pub(super) fn boolean(value: &Value<'_, '_>) -> Result<bool, Fault> {
    value.get().as_bool().ok_or_else(|| value.wrong("expected true or false"))
}

/// One of a fixed set of words.
pub(super) fn word<T: Copy>(value: &Value<'_, '_>, words: &[(&str, T)]) -> Result<T, Fault> {
    let found = value.get().as_str().and_then(|written| words.iter().find(|(word, _)| *word == written));
    found.map(|(_, meaning)| *meaning).ok_or_else(|| {
        let words: Vec<String> = words.iter().map(|(word, _)| format!("{word:?}")).collect();
        value.wrong(format!("expected {}", either(&words)))
    })
}

/// `server.listen`
pub(super) fn addresses(value: &Value<'_, '_>) -> Result<Vec<SocketAddr>, Fault> {
    const EXPECTED: &str = "expected a list of at least one address, such as [\"127.0.0.1:7874\"]";
    let members = value.members().filter(|list| !list.is_empty()).ok_or_else(|| value.wrong(EXPECTED))?;
    let mut addresses = Vec::new();
    for member in members {
        let address: Option<SocketAddr> = member.get().as_str().and_then(|written| written.parse().ok());
        let address = address.ok_or_else(|| {
            member.wrong("expected an IP address and a port, such as \"127.0.0.1:7874\" or \"[::1]:7874\"")
        })?;
        if addresses.contains(&address) && address.port() != 0 {
            return Err(member.wrong("expected each address once"));
        }
        addresses.push(address);
    }
    Ok(addresses)
}

/// `server.public_url`; empty means none.
pub(super) fn base_url(value: &Value<'_, '_>) -> Result<Option<String>, Fault> {
    const EXPECTED: &str = "expected the beginning of an address, such as \"https://push.example.org\"";
    let written = value.get().as_str().ok_or_else(|| value.wrong(EXPECTED))?;
    if written.is_empty() {
        return Ok(None);
    }
    let uri: Uri = written.parse().map_err(|_| value.wrong(EXPECTED))?;
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    if !matches!(uri.scheme_str(), Some("http" | "https")) || uri.host().is_none_or(str::is_empty) {
        return Err(value.wrong(EXPECTED));
    }
    if authority.contains('@') {
        return Err(value.wrong(format!("{EXPECTED}, without user and password: homeservers do not deliver to those")));
    }
    if written.contains(['?', '#']) {
        return Err(value.wrong(format!("{EXPECTED}, without ? and #: some homeservers break those")));
    }
    let base = written.trim_end_matches('/');
    if uri.path().bytes().any(|byte| byte != b'/') {
        return Err(value.wrong(format!("{EXPECTED}, without a path: homeservers push to {} alone", notify::PATH)));
    }
    Ok(Some(base.to_owned()))
}

/// `server.extra_paths`
pub(super) fn paths(value: &Value<'_, '_>) -> Result<Vec<String>, Fault> {
    const EXPECTED: &str = "expected a path that begins with \"/\", without ?, # and spaces, and not \"/health\"";
    let members = value.members().ok_or_else(|| value.wrong("expected a list of paths, such as [\"/push\"]"))?;
    let path = |member: &Value<'_, '_>| {
        let written = member.get().as_str()?;
        let served = written.starts_with('/') && written != "/health";
        let plain = written.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'?' && byte != b'#');
        (served && plain).then(|| written.to_owned())
    };
    members.iter().map(|member| path(member).ok_or_else(|| member.wrong(EXPECTED))).collect()
}

/// `server.tls`
pub(super) fn tls(value: &Value<'_, '_>) -> Result<Option<TlsFiles>, Fault> {
    const EXPECTED: &str =
        "expected both files, such as { certificate = \"/path/fullchain.pem\", key = \"/path/privkey.pem\" }";
    let (mut certificate, mut key) = (None, None);
    for (name, entry) in value.entries().ok_or_else(|| value.wrong(EXPECTED))? {
        let place = match name {
            "certificate" => &mut certificate,
            "key" => &mut key,
            _ => return Err(entry.wrong("unknown key, the known ones are server.tls.certificate and server.tls.key")),
        };
        let wrong = || entry.wrong("expected the whole path of a file, beginning with the root or \"~/\"");
        *place = Some(path(&entry).ok_or_else(wrong)?);
    }
    match (certificate, key) {
        (Some(certificate), Some(key)) => Ok(Some(TlsFiles { certificate, key })),
        (Some(_) | None, Some(_) | None) => Err(value.wrong(EXPECTED)),
    }
}

/// `popup.timeout`
pub(super) fn timeout(value: &Value<'_, '_>) -> Result<Timeout, Fault> {
    match value.get().as_str() {
        Some("default") => return Ok(Timeout::Default),
        Some("never") => return Ok(Timeout::Never),
        Some(_) | None => {}
    }
    let seconds = number(value).filter(|seconds| *seconds > 0.0 && *seconds <= LONGEST_TIMEOUT);
    let seconds = seconds
        .ok_or_else(|| value.wrong("expected \"default\", \"never\" or a number of seconds above 0 and up to 86400"))?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 1 and 86 400 000")]
    let milliseconds = (seconds * 1000.0).ceil() as u32;
    Ok(Timeout::Milliseconds(milliseconds))
}

/// `popup.lines`
pub(super) fn lines(value: &Value<'_, '_>) -> Result<usize, Fault> {
    let lines = whole(value).and_then(|lines| usize::try_from(lines).ok());
    lines.filter(|lines| (1..=10).contains(lines)).ok_or_else(|| value.wrong("expected a whole number from 1 to 10"))
}

/// `popup.open`
pub(super) fn open(value: &Value<'_, '_>) -> Result<OpenWith, Fault> {
    const EXPECTED: &str = "expected \"matrix\", an address such as \"https://app.element.io/#/room/{room}\", \
                            or a command as a list such as [\"element-desktop\", \"{room}\"]";
    if let Some(members) = value.members() {
        let words: Option<Vec<String>> = members.iter().map(|m| m.get().as_str().map(str::to_owned)).collect();
        let mut words = words.ok_or_else(|| value.wrong(EXPECTED))?;
        match words.first() {
            Some(program) if !program.is_empty() && !PLACEHOLDERS.iter().any(|p| program.contains(p)) => {}
            Some(_) | None => return Err(value.wrong(EXPECTED)),
        }
        for (word, member) in words.iter().zip(&members) {
            known_placeholders(word, member)?;
        }
        if let (Some(program), Some(path)) = (words.first_mut(), members.first().and_then(path)) {
            path.to_str().ok_or_else(|| value.wrong(EXPECTED))?.clone_into(program);
        }
        return Ok(OpenWith::Command(words));
    }
    let written = value.get().as_str().ok_or_else(|| value.wrong(EXPECTED))?;
    if written == "matrix" {
        return Ok(OpenWith::Matrix);
    }
    let scheme = written.split_once(':').map_or("", |(scheme, _)| scheme);
    let letters = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.');
    if !scheme.starts_with(|c: char| c.is_ascii_alphabetic()) || !scheme.bytes().all(letters) {
        return Err(value.wrong(EXPECTED));
    }
    known_placeholders(written, value)?;
    Ok(OpenWith::Address(written.to_owned()))
}

fn known_placeholders(written: &str, value: &Value<'_, '_>) -> Result<(), Fault> {
    for piece in written.split('{').skip(1) {
        let name = piece.split_once('}').map_or("", |(name, _)| name);
        let is_name = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if is_name && !PLACEHOLDERS.contains(&format!("{{{name}}}").as_str()) {
            return Err(value.wrong(format!("unknown placeholder {{{name}}}, expected {}", either(&PLACEHOLDERS))));
        }
    }
    Ok(())
}

/// `popup.actions`
pub(super) fn actions(value: &Value<'_, '_>) -> Result<Vec<RoomButton>, Fault> {
    let words: Vec<String> = ACTIONS.iter().map(|(word, _)| format!("{word:?}")).collect();
    let members = value.members().filter(|list| list.len() <= MAX_BUTTONS);
    let members = members
        .ok_or_else(|| value.wrong(format!("expected a list of at most {MAX_BUTTONS} of {}", words.join(", "))))?;
    let mut actions = Vec::new();
    for member in members {
        let action = word(&member, &ACTIONS)?;
        if actions.contains(&action) {
            return Err(member.wrong("expected each button once"));
        }
        actions.push(action);
    }
    Ok(actions)
}

/// `sound.volume`
pub(super) fn volume(value: &Value<'_, '_>) -> Result<f32, Fault> {
    let volume = number(value).filter(|volume| (0.0..=1.0).contains(volume));
    #[expect(clippy::cast_possible_truncation, reason = "between 0 and 1")]
    volume.map(|volume| volume as f32).ok_or_else(|| value.wrong("expected a number from 0 to 1"))
}

/// `sound.directory`; empty means none.
pub(super) fn directory(value: &Value<'_, '_>) -> Result<Option<PathBuf>, Fault> {
    if value.get().as_str() == Some("") {
        return Ok(None);
    }
    let wrong = || value.wrong("expected the whole path of a directory, beginning with the root or \"~/\", or \"\"");
    path(value).map(Some).ok_or_else(wrong)
}

/// `sound.tweaks`
pub(super) fn sounds(value: &Value<'_, '_>) -> Result<BTreeMap<String, String>, Fault> {
    const EXPECTED: &str = "expected the name of a sound, such as \"bing\", or the whole path of a file";
    let entries = value.entries().ok_or_else(|| value.wrong("expected a section, [sound.tweaks]"))?;
    let sound = |entry: &Value<'_, '_>| {
        if let Some(path) = path(entry) {
            return path.to_str().map(str::to_owned);
        }
        let written = entry.get().as_str().filter(|written| !written.is_empty())?;
        (Path::new(written).components().count() == 1).then(|| written.to_owned())
    };
    entries
        .iter()
        .map(|(tweak, entry)| match sound(entry) {
            Some(sound) => Ok(((*tweak).to_owned(), sound)),
            None => Err(entry.wrong(EXPECTED)),
        })
        .collect()
}

/// `history.keep_days`
pub(super) fn days(value: &Value<'_, '_>) -> Result<u32, Fault> {
    let days = whole(value).and_then(|days| u32::try_from(days).ok());
    days.filter(|days| (1..=MOST_DAYS).contains(days))
        .ok_or_else(|| value.wrong("expected a whole number of days from 1 to 36500"))
}

/// An absolute path; a leading "~/" is the home directory.
fn path(value: &Value<'_, '_>) -> Option<PathBuf> {
    let written = value.get().as_str()?;
    let in_home = written.strip_prefix("~/").zip(BaseDirs::new());
    let path = in_home.map_or_else(|| PathBuf::from(written), |(rest, base)| base.home_dir().join(rest));
    path.is_absolute().then_some(path)
}

fn whole(value: &Value<'_, '_>) -> Option<i32> {
    value.get().as_integer().and_then(|integer| i32::from_str_radix(integer.as_str(), integer.radix()).ok())
}

fn number(value: &Value<'_, '_>) -> Option<f64> {
    whole(value).map(f64::from).or_else(|| value.get().as_float()?.as_str().parse().ok())
}

/// "a, b or c"
fn either<S: AsRef<str>>(words: &[S]) -> String {
    let words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
    match words.as_slice() {
        [most @ .., last] if !most.is_empty() => format!("{} or {last}", most.join(", ")),
        few => few.concat(),
    }
}
