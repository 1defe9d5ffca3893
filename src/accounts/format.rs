//! The text of `accounts.toml` (pure).
//!
//! It is read by hand rather than derived, since the messages of a deserializer quote the offending value, and here
//! that value may be a pushkey.

use std::ops::Range;

use jiff::Timestamp;
use serde::Serialize;
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{Account, Accounts, CountsScope, SignIn, SignInMethod};

const VERSION: &str = "1";
const HEADER: &str = "\
# Pushbell's accounts: the app_id and pushkey of each http pusher that this computer answers to.
# A pushkey is a secret. A pusher whose pushkey is missing here is deleted by its homeserver at the next push.
# `pushbell account` changes this file and keeps no comments in it.
# The last line says that the file is whole.
";
/// The line of the header that promises [`WHOLE`].
const PROMISE: &str = "# The last line says that the file is whole.";
/// The last line of what we write. A file that was cut off between two accounts, by a full disk or a backup that was
/// brought back half, would be good but for this, and the pushers of the accounts that it lost would be deleted.
const WHOLE: &str = "# This file is whole.";
const KEYS: [&str; 6] = ["name", "app_id", "pushkey", "counts", "created_at", "sign_in"];
const SIGN_IN_KEYS: [&str; 6] = ["user_id", "device_id", "homeserver", "method", "event_id_only", "server"];

/// What is wrong with the text, and in which line (from 1).
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Damage {
    pub(super) line: usize,
    pub(super) problem: String,
}

/// Where in the text, and what is wrong there.
type Problem = (Range<usize>, String);

/// Reads the text of `accounts.toml`.
pub(super) fn parse(text: &str) -> Result<Accounts, Damage> {
    let accounts = parse_spanned(text).map_err(|(place, problem)| {
        let before = text.as_bytes().iter().take(place.start);
        Damage { line: before.filter(|byte| **byte == b'\n').count() + 1, problem }
    })?;
    // People write files without a header, and write accounts below the last line.
    let has = |wanted: &str| text.lines().any(|line| line.trim_end() == wanted);
    if has(PROMISE) && !has(WHOLE) {
        let problem = format!("the file ends here, before its last line \"{WHOLE}\": bring it back from a backup");
        return Err(Damage { line: text.lines().count(), problem });
    }
    Ok(accounts)
}

/// Writes the text of `accounts.toml`.
pub(super) fn render(accounts: &Accounts) -> Result<String, toml::ser::Error> {
    #[derive(Serialize)]
    struct File<'a> {
        version: u8,
        account: Vec<Entry<'a>>,
    }
    #[derive(Serialize)]
    struct Entry<'a> {
        name: &'a str,
        app_id: &'a str,
        pushkey: &'a str,
        counts: CountsScope,
        created_at: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        sign_in: Option<&'a SignIn>,
    }
    let account = accounts.iter().map(|Account { name, app_id, pushkey, counts, created_at, sign_in }| Entry {
        name,
        app_id,
        pushkey,
        counts: *counts,
        created_at: created_at.to_string(),
        sign_in: sign_in.as_ref(),
    });
    let body = toml::to_string(&File { version: 1, account: account.collect() })?;
    Ok(format!("{HEADER}\n{body}\n{WHOLE}\n"))
}

fn parse_spanned(text: &str) -> Result<Accounts, Problem> {
    let document = DeTable::parse(text)
        .map_err(|error| (error.span().unwrap_or(0..0), format!("this is not TOML: {}", error.message())))?;
    let file = document.get_ref();
    for key in file.keys() {
        if !["version", "account"].contains(&&**key.get_ref()) {
            // The key is not quoted: it may be a pushkey in the wrong place.
            let problem = "unknown key: accounts are written as [[account]] tables, after version = 1";
            return Err((key.span(), problem.to_owned()));
        }
    }
    let version = file.get("version");
    if let Some(version) = version.filter(|version| !is_integer(version, VERSION)) {
        let problem = "version is not 1: this file was written by a newer Pushbell; install that one";
        return Err((version.span(), problem.to_owned()));
    }
    let tables = match file.get("account") {
        Some(list) => list.get_ref().as_array().ok_or_else(|| {
            (list.span(), "account is not a list of tables: each account begins with [[account]]".to_owned())
        })?,
        // An emptied file must not pass for "there are no accounts": every pusher would be deleted.
        None if version.is_none() => {
            let problem = "the file is empty: an accounts file without accounts says version = 1";
            return Err((0..0, problem.to_owned()));
        }
        None => return Ok(Accounts::empty()),
    };
    let accounts = tables.iter().map(read_account).collect::<Result<Vec<_>, _>>()?;
    Accounts::checked(accounts).map_err(|(position, fault)| {
        let table = tables.get(position);
        let value = table.and_then(|table| table.get_ref().get(fault.key));
        (value.or(table).map_or(0..0, Spanned::span), fault.problem)
    })
}

fn read_account(value: &Spanned<DeValue<'_>>) -> Result<Account, Problem> {
    let table = value
        .get_ref()
        .as_table()
        .ok_or_else(|| (value.span(), "this account is not a table: it begins with [[account]]".to_owned()))?;
    only(table, &KEYS)?;
    let string = |key, example| read_string(table, value, key, example);
    Ok(Account {
        name: string("name", "work")?.into(),
        app_id: string("app_id", crate::identity::APP_ID)?.to_owned(),
        pushkey: string("pushkey", "…")?.to_owned(),
        counts: read_counts(table)?,
        created_at: read_time(table, value)?,
        sign_in: table.get("sign_in").map(read_sign_in).transpose()?,
    })
}

fn read_sign_in(value: &Spanned<DeValue<'_>>) -> Result<SignIn, Problem> {
    let right = "sign_in is not a table: it is written by `pushbell login`";
    let table = value.get_ref().as_table().ok_or_else(|| (value.span(), right.to_owned()))?;
    only(table, &SIGN_IN_KEYS)?;
    let string = |key, example| read_string(table, value, key, example).map(ToOwned::to_owned);
    let method = string("method", "password")?;
    let method = SignInMethod::WORDS.into_iter().find(|(word, _)| *word == method).ok_or_else(|| {
        let problem = "method is none of \"password\", \"sso\", \"oauth\" and \"token\"".to_owned();
        (table.get("method").map_or(value.span(), Spanned::span), problem)
    })?;
    let event_id_only = table.get("event_id_only").map_or(Ok(false), |field| {
        let boolean = field.get_ref().as_bool();
        boolean.ok_or_else(|| (field.span(), "event_id_only is neither true nor false".to_owned()))
    })?;
    Ok(SignIn {
        user_id: string("user_id", "@alice:example.org")?,
        device_id: string("device_id", "")?,
        homeserver: string("homeserver", "https://matrix.example.org")?,
        method: method.1,
        event_id_only,
        server: string("server", "")?,
    })
}

/// Refuses keys that nobody knows.
fn only(table: &DeTable<'_>, known: &[&'static str]) -> Result<(), Problem> {
    for key in table.keys() {
        let name = &**key.get_ref();
        if !known.contains(&name) {
            let near = known.iter().max_by(|a, b| nearness(name, a).total_cmp(&nearness(name, b)));
            return Err((key.span(), format!("unknown key in an account: did you mean {}?", near.unwrap_or(&"name"))));
        }
    }
    Ok(())
}

fn read_string<'a>(
    table: &'a DeTable<'_>,
    account: &Spanned<DeValue<'_>>,
    key: &'static str,
    example: &str,
) -> Result<&'a str, Problem> {
    let field = table
        .get(key)
        .ok_or_else(|| (account.span(), format!("an account without {key}: add {key} = \"{example}\"")))?;
    let text = field.get_ref().as_str();
    text.ok_or_else(|| (field.span(), format!("{key} is not a string: write {key} = \"{example}\"")))
}

fn read_counts(table: &DeTable<'_>) -> Result<CountsScope, Problem> {
    let Some(field) = table.get("counts") else { return Ok(CountsScope::default()) };
    match field.get_ref().as_str() {
        Some("account") => Ok(CountsScope::Account),
        Some("room") => Ok(CountsScope::Room),
        Some(_) | None => Err((field.span(), "counts is neither \"account\" nor \"room\"".to_owned())),
    }
}

/// A time as we write it (a string) or as people may (TOML's own).
fn read_time(table: &DeTable<'_>, account: &Spanned<DeValue<'_>>) -> Result<Timestamp, Problem> {
    const RIGHT: &str = "created_at = \"2026-11-22T09:30:00Z\"";
    let field = table
        .get("created_at")
        .ok_or_else(|| (account.span(), format!("an account without created_at: add for example {RIGHT}")))?;
    let own = field.get_ref().as_datetime().map(ToString::to_string);
    let text = field.get_ref().as_str().or(own.as_deref());
    text.and_then(|text| text.parse().ok())
        .ok_or_else(|| (field.span(), format!("created_at is not a time with its offset: write for example {RIGHT}")))
}

fn is_integer(value: &Spanned<DeValue<'_>>, digits: &str) -> bool {
    value.get_ref().as_integer().is_some_and(|integer| integer.as_str() == digits)
}

fn nearness(written: &str, known: &str) -> f64 {
    strsim::jaro_winkler(written, known)
}
