//! The text of `accounts.toml` (pure): TOML, and a checksum in the last line.

use std::{fmt::Write as _, sync::Arc};

use jiff::Timestamp;
use ring::digest::{SHA256, digest};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use toml::{
    Spanned, Value,
    de::{DeTable, Error},
};

use super::{Account, Accounts};

const HEADER: &str = "\
# Pushbell's accounts: the app_id and pushkey of each http pusher that this computer answers to.
# A pushkey is a secret. A pusher whose pushkey is missing here is deleted by its homeserver at the next push.
# `pushbell account` changes this file and keeps no comments in it. If you change it yourself, run
# `pushbell account list --accept` afterwards.
";
/// Follows the number of accounts in a line of the header. It tells a file that was cut off before its checksum from
/// one whose checksum a person has removed.
const NUMBER: &str = " accounts, and a checksum in the last line.";
/// The beginning of the last line.
const CHECKSUM: &str = "# sha256: ";

/// What is wrong with the text, and in which line (from 1).
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Damage {
    pub(super) line: usize,
    pub(super) problem: String,
}

/// Whether the accounts are those that were last written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Integrity {
    /// They are, or a person has written the file.
    Intact,
    /// The checksum does not match, or was cut off with accounts before it.
    Mismatch,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File<A> {
    version: Option<u8>,
    account: Option<Vec<A>>,
}

/// Reads the text of `accounts.toml`.
pub(super) fn parse(text: &str) -> Result<(Accounts, Integrity), Damage> {
    let damage = |offset: usize, problem: String| {
        let line = 1 + text.bytes().take(offset).filter(|byte| *byte == b'\n').count();
        Damage { line, problem }
    };
    let start = |error: &Error| error.span().map_or(0, |span| span.start);
    DeTable::parse(text).map_err(|error| damage(start(&error), format!("this is not TOML: {}", error.message())))?;
    let file: File<Spanned<Account>> =
        toml::from_str(text).map_err(|error| damage(start(&error), without_values(error.message())))?;
    if file.version.is_some_and(|version| version != 1) {
        return Err(damage(
            0,
            "version is not 1: this file was written by a newer Pushbell; install that one".to_owned(),
        ));
    }
    // An emptied file must not pass for "there are no accounts": every pusher would be deleted.
    if file.version.is_none() && file.account.is_none() {
        return Err(damage(0, "the file is empty: an accounts file without accounts says version = 1".to_owned()));
    }
    let mut accounts = Vec::new();
    for entry in file.account.unwrap_or_default() {
        let offset = entry.span().start;
        let account = entry.into_inner();
        super::check(&account, &accounts).map_err(|error| damage(offset, error.to_string()))?;
        accounts.push(account);
    }
    let integrity = integrity(text, accounts.len());
    Ok((Accounts::of(accounts), integrity))
}

/// Writes the text of `accounts.toml`.
pub(super) fn render(accounts: &[Account]) -> Result<String, toml::ser::Error> {
    let body = toml::to_string(&File { version: Some(1), account: Some(accounts.iter().collect()) })?;
    let text = format!("{HEADER}# {}{NUMBER}\n\n{body}\n", accounts.len());
    let checksum = checksum(text.lines());
    Ok(format!("{text}{CHECKSUM}{checksum}\n"))
}

/// Below the checksum people may add accounts: none is lost by that.
fn integrity(text: &str, accounts: usize) -> Integrity {
    let lines: Vec<&str> = text.lines().collect();
    let mut noted = lines.iter().enumerate().filter_map(|(line, text)| Some((line, text.strip_prefix(CHECKSUM)?)));
    let is_intact = if let Some((last, noted)) = noted.next_back() {
        noted.trim_end() == checksum(lines[..last].iter().copied())
    } else {
        let number = lines.iter().find_map(|line| line.trim_end().strip_prefix("# ")?.strip_suffix(NUMBER));
        number.is_none_or(|number| number.parse().is_ok_and(|number: usize| number <= accounts))
    };
    if is_intact { Integrity::Intact } else { Integrity::Mismatch }
}

/// Of the lines, whatever ends them.
fn checksum<'a>(lines: impl Iterator<Item = &'a str>) -> String {
    let text: String = lines.flat_map(|line| [line, "\n"]).collect();
    digest(&SHA256, text.as_bytes()).as_ref().iter().fold(String::new(), |mut hex, byte| {
        // Writing to a string cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// A deserializer's message without what it quotes of the text: that may be a pushkey. What it expected is ours.
fn without_values(message: &str) -> String {
    if let Some((_, expected)) = message.rsplit_once(", expected ") {
        let is_key = message.starts_with("unknown field");
        return format!("{}, expected {expected}", if is_key { "unknown key" } else { "this is not right" });
    }
    if message.starts_with("missing field") { message.to_owned() } else { "this is not right".to_owned() }
}

pub(super) fn write_name<S: Serializer>(name: &Arc<str>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(name)
}

pub(super) fn read_name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<str>, D::Error> {
    String::deserialize(deserializer).map(Arc::from)
}

/// A time as we write it (a string) or as people may (TOML's own).
pub(super) fn read_time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    let text = match Value::deserialize(deserializer)? {
        Value::String(text) => text,
        Value::Datetime(time) => time.to_string(),
        Value::Integer(_) | Value::Float(_) | Value::Boolean(_) | Value::Array(_) | Value::Table(_) => String::new(),
    };
    text.parse().map_err(|_| D::Error::custom("no time, expected one with its offset, as in \"2026-11-22T09:30:00Z\""))
}
