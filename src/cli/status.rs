//! `pushbell status`.

use std::io::{self, Write};

use serde_json::json;

use super::{Context, Failure, account::NO_ACCOUNTS, output};
use crate::{
    control::{self, AccountStatus, AskError, SignInStatus, Status, TlsStatus},
    push::{notify, text},
    sound,
};

pub(super) fn run(context: &Context, json: bool, out: &mut dyn Write) -> Result<(), Failure> {
    let mut status = match context.status() {
        Err(AskError::NotRunning) => {
            if json {
                writeln!(out, "{}", output::json(&json!({ "running": false }))?)?;
            } else {
                writeln!(out, "{}", AskError::NotRunning)?;
            }
            return Err(Failure::Reported(crate::failure::NOT_RUNNING));
        }
        asked => asked?,
    };
    // The running program reports a faulty file itself.
    if let Ok(config) = context.config() {
        status.warnings.extend(sound::faults(&config.sound, &context.paths.sounds, true));
    }
    if json {
        writeln!(out, "{}", output::json(&status)?)?;
    } else {
        describe(&status, out)?;
    }
    Ok(())
}

fn describe(status: &Status, out: &mut dyn Write) -> io::Result<()> {
    let Status { version, pid, since, inbox, .. } = status;
    writeln!(out, "Pushbell {version} has been running since {} (process {pid}).\n", control::local_time(*since))?;
    for problem in &status.problems {
        writeln!(out, "Problem     {}", output::harmless(problem))?;
    }
    for warning in &status.warnings {
        writeln!(out, "Warning     {}", output::harmless(warning))?;
    }
    writeln!(out, "Listening   {}", status.listen.join(", "))?;
    writeln!(out, "Pusher URL  {}{}", status.public_url, notify::PATH)?;
    if let Some(tls) = &status.tls {
        writeln!(out, "Certificate {}", certificate(tls))?;
    }
    writeln!(out, "Unread      {}", status.unread)?;
    writeln!(out, "Missed      {}", text::counted(status.missed_calls, "call"))?;
    if let Some(until) = status.paused_until {
        writeln!(out, "Paused      {}", control::until(until))?;
    }
    for room in &status.muted_rooms {
        let until = room.until.map_or_else(|| "`pushbell unmute`".to_owned(), control::local_time);
        writeln!(out, "Muted       {} until {until}", output::harmless(&room.name))?;
    }
    let wait = if inbox.unshown == 1 { "waits" } else { "wait" };
    let notices = text::counted(inbox.notices, "notice");
    writeln!(out, "Inbox       {notices}, {} {wait} to be shown", inbox.unshown)?;
    writeln!(out, "Popups      {}", control::service_state(&status.popup))?;
    writeln!(out, "Tray        {}", control::service_state(&status.tray))?;
    let muted = if status.muted { ", muted from the tray" } else { "" };
    writeln!(out, "Sound       {}{muted}", control::service_state(&status.sound))?;
    if status.accounts.is_empty() {
        return writeln!(out, "\n{NO_ACCOUNTS}");
    }
    writeln!(out)?;
    let rows: Vec<_> = status.accounts.iter().map(account).collect();
    output::table(out, ["ACCOUNT", "UNREAD", "MISSED CALLS", "LAST PUSH", "APP ID"], &rows, None)?;
    let sessions: Vec<_> = status.accounts.iter().filter_map(session).collect();
    if sessions.is_empty() {
        return Ok(());
    }
    writeln!(out)?;
    output::table(out, ["ACCOUNT", "SIGNED IN", "WAY", "CATCHING UP"], &sessions, None)?;
    for account in &status.accounts {
        let AccountStatus { name, encryption, .. } = account;
        let says = encryption.encryption.clone().into_iter();
        let says = says.chain(encryption.backup_note(name)).chain(encryption.file_note().map(str::to_owned));
        for says in says {
            writeln!(out, "\n{}: {}.", output::harmless(name), output::harmless_sentence(&says))?;
        }
    }
    Ok(())
}

/// The row of an account that is signed in, or whose pushes come through a relay.
fn session(account: &AccountStatus) -> Option<[String; 4]> {
    let SignInStatus { signed_in, way_now, listening: _, catching_up, caught_up_at } = &account.sign_in;
    let at = caught_up_at.map_or_else(String::new, |at| format!(" ({})", control::local_time(at)));
    let catching_up = catching_up.as_deref().map_or_else(String::new, |words| output::harmless(words) + at.as_str());
    let way = way_now.as_deref().map_or_else(String::new, |words| format!(": {}", output::harmless(words)));
    let way = format!("{}{way}", account.way.as_str());
    let signed_in = signed_in.as_deref().or_else(|| way_now.as_ref().map(|_| "no"))?;
    Some([output::harmless(&account.name), output::harmless(signed_in), way, catching_up])
}

fn certificate(tls: &TlsStatus) -> String {
    match tls.not_after {
        Some(not_after) => {
            format!("for {}, until {}", output::harmless(&tls.names.join(", ")), control::local_time(not_after))
        }
        None => "none: no connection is served".to_owned(),
    }
}

fn account(account: &AccountStatus) -> [String; 5] {
    [
        output::harmless(&account.name),
        account.unread.to_string(),
        account.missed_calls.to_string(),
        account.last_push.map_or_else(|| "never".to_owned(), control::local_time),
        output::harmless(&account.app_id),
    ]
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::{
        accounts::Way,
        control::{EncryptionStatus, InboxStatus, MutedRoomStatus},
        desktop::ServiceState,
    };

    fn status() -> Status {
        let service = |available, reason: &str| ServiceState { available, reason: Some(reason.to_owned()) };
        Status {
            version: "0.1.0".to_owned(),
            since: "2026-11-22T10:00:00Z".parse().unwrap(),
            listen: vec!["127.0.0.1:7874".to_owned(), "[::1]:7874".to_owned()],
            public_url: "http://127.0.0.1:7874".to_owned(),
            tls: Some(TlsStatus { names: vec!["a.example".to_owned(), "::1".to_owned()], not_after: None }),
            unread: 3,
            missed_calls: 1,
            paused_until: Some(Timestamp::MAX),
            muted: true,
            muted_rooms: vec![MutedRoomStatus {
                account: "home".to_owned(),
                name: "Kitchen\u{1b}[2J".to_owned(),
                until: None,
            }],
            inbox: InboxStatus { notices: 17, unshown: 1 },
            accounts: vec![AccountStatus {
                name: "home".to_owned(),
                app_id: "org.example".to_owned(),
                unread: 3,
                missed_calls: 1,
                way: Way::Auto,
                last_push: None,
                sign_in: SignInStatus {
                    signed_in: Some("@alice:example.org at https://matrix.example.org".to_owned()),
                    way_now: Some("listening".to_owned()),
                    listening: Some(true),
                    catching_up: Some("2 events were missed".to_owned()),
                    caught_up_at: None,
                },
                encryption: EncryptionStatus {
                    encryption: Some("encrypted messages are read".to_owned()),
                    verified: Some(true),
                    key_backup: Some(false),
                    key_in_file: true,
                },
            }],
            popup: service(true, "dunst 1.9.0"),
            tray: service(false, "no tray host"),
            sound: ServiceState { available: true, reason: None },
            problems: vec!["pushbell.toml:3:\u{1b}[2J bad".to_owned()],
            warnings: vec!["beware\u{1b}[2J".to_owned()],
            ..control::tests::status()
        }
    }

    #[test]
    fn people_read_it_in_aligned_lines() {
        let mut out = Vec::new();
        describe(&status(), &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        let (head, rest) = text.split_once("\n\n").unwrap();
        assert!(head.starts_with("Pushbell 0.1.0 has been running since 2026-11-22 "), "{head}");
        assert_eq!(
            rest,
            "Problem     pushbell.toml:3: bad\n\
             Warning     beware\n\
             Listening   127.0.0.1:7874, [::1]:7874\n\
             Pusher URL  http://127.0.0.1:7874/_matrix/push/v1/notify\n\
             Certificate none: no connection is served\n\
             Unread      3\n\
             Missed      1 call\n\
             Paused      until `pushbell resume`\n\
             Muted       Kitchen until `pushbell unmute`\n\
             Inbox       17 notices, 1 waits to be shown\n\
             Popups      dunst 1.9.0\n\
             Tray        not available: no tray host\n\
             Sound       available, muted from the tray\n\
             \n\
             ACCOUNT  UNREAD  MISSED CALLS  LAST PUSH  APP ID\n\
             home     3       1             never      org.example\n\
             \n\
             ACCOUNT  SIGNED IN                                         WAY              CATCHING UP\n\
             home     @alice:example.org at https://matrix.example.org  auto: listening  2 events were missed\n\
             \n\
             home: encrypted messages are read.\n\n\
             home: the account's key backup was deleted or replaced, and is not read: `pushbell verify home --with-backup` \
             takes the new one.\n\n\
             home: no keyring has taken the key to the encryption keys: it lies in a file, which protects against nobody who \
             can read the file.\n"
        );
    }

    #[test]
    fn a_certificate_is_told_with_its_names_and_its_end() {
        let tls = TlsStatus { names: vec!["a.example".to_owned(), "::1".to_owned()], not_after: Some(Timestamp::MIN) };
        let said = certificate(&tls);
        assert!(said.starts_with("for a.example, ::1, until "), "{said}");
    }

    #[test]
    fn scripts_find_every_promised_field() {
        let value: serde_json::Value = serde_json::from_str(&output::json(&status()).unwrap()).unwrap();
        for pointer in [
            "/running",
            "/version",
            "/pid",
            "/since",
            "/listen/0",
            "/tls/names/0",
            "/warnings/0",
            "/unread",
            "/missed_calls",
            "/paused_until",
            "/muted_rooms/0/name",
            "/inbox/notices",
            "/inbox/unshown",
            "/accounts/0/name",
            "/accounts/0/app_id",
            "/accounts/0/unread",
            "/accounts/0/missed_calls",
            "/accounts/0/way",
            "/accounts/0/last_push",
            "/popup/available",
            "/popup/reason",
            "/tray/available",
            "/sound/reason",
        ] {
            assert!(value.pointer(pointer).is_some(), "{pointer}");
        }
    }
}
