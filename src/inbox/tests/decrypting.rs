//! Notices that are decrypted after they were recorded.

use serde_json::json;

use super::*;

const CIPHERTEXT: &str = r#"{"algorithm":"m.megolm.v1.aes-sha2","ciphertext":"AwgA","session_id":"s"}"#;

/// An encrypted message of Bob's, as it is pushed.
fn encrypted(event_id: &str) -> Push {
    let mut push = event(event_id, "!r", "m.room.encrypted", CIPHERTEXT).sound(SoundTweak::Named("pushed".to_owned()));
    push.recipients[0].decrypts = true;
    push
}

fn decrypted(event_type: &str, content: &serde_json::Value, message: &str, verdict: Verdict) -> Decrypted {
    Decrypted { event_type: event_type.to_owned(), content: content.to_string(), message: message.to_owned(), verdict }
}

fn says(body: &str, message: &str) -> Decrypted {
    let tweaks = Tweaks { sound: SoundTweak::Named("bing".to_owned()), highlight: true };
    decrypted("m.room.message", &json!({"body": body}), message, Verdict::Notify(tweaks))
}

fn desk() -> Desk {
    let desk = Desk::new();
    desk.inbox.seals().set("a", &[7; 32]);
    desk
}

async fn add(desk: &Desk, id: i64, decrypted: Decrypted) {
    desk.inbox.add_decrypted(NoticeId(id), decrypted, "@me:hs".to_owned()).await.unwrap();
}

async fn wanted(desk: &Desk, state: Decryption) -> Vec<String> {
    let wanted = desk.inbox.encrypted_notices("a".into(), state, NoticeId(0), 10).await.unwrap();
    wanted.into_iter().map(|notice| notice.event_id).collect()
}

#[tokio::test]
async fn only_ciphertext_of_a_session_of_our_own_is_wanted() {
    let mut desk = desk();
    desk.record(encrypted("$1")).await;
    desk.inbox.decryption_is_wanted().await;
    let mut of_another_client = encrypted("$2");
    of_another_client.recipients[0].decrypts = false;
    desk.record(of_another_client).await;
    let mut olm = event("$3", "!r", "m.room.encrypted", &CIPHERTEXT.replace("megolm", "olm"));
    olm.recipients[0].decrypts = true;
    desk.record(olm).await;
    desk.record(message("$4", "!r")).await;
    desk.restart();
    assert_eq!(wanted(&desk, Decryption::Wanted).await, ["$1"]);
    let notices = desk.inbox.encrypted_notices("a".into(), Decryption::Wanted, NoticeId(0), 10).await.unwrap();
    let EncryptedNotice { room_id, sender, content, .. } = &notices[0];
    assert_eq!((room_id.as_str(), sender.as_str(), content.as_str()), ("!r", "@bob:hs", CIPHERTEXT));
}

#[tokio::test]
async fn what_was_decrypted_replaces_its_ciphertext_and_is_sealed() {
    let desk = desk();
    desk.record(encrypted("$1")).await;
    let snapshot = desk.snapshot().await;
    assert_eq!(
        (snapshot.newest_sound, &*snapshot.undecided),
        (None, &[NoticeId(1)][..]),
        "what it asks for is not known"
    );
    assert_eq!(snapshot.wanting.len(), 1, "its popup waits");
    add(&desk, 1, says("sesame", "s 0")).await;
    assert!(desk.has_changed());
    let notice = desk.notice("$1");
    assert_eq!((notice.event_type.as_deref(), notice.highlight), (Some("m.room.message"), true));
    assert_eq!(notice.content.as_deref(), Some(r#"{"body":"sesame"}"#));
    let snapshot = desk.snapshot().await;
    assert_eq!(snapshot.newest_sound, Some((NoticeId(1), SoundTweak::Named("bing".to_owned()))));
    assert_eq!((snapshot.undecided.len(), snapshot.wanting.len()), (0, 0));
    desk.inbox.seals().remove("a");
    let closed = desk.notice("$1");
    assert_eq!((closed.event_type.as_deref(), closed.content), (Some("m.room.encrypted"), None));
    let file = desk.path();
    for file in [file.clone(), file.with_extension("db-wal")] {
        let bytes = std::fs::read(file).unwrap_or_default();
        assert!(!bytes.windows(6).any(|window| window == b"sesame"));
    }
}

#[tokio::test]
async fn a_message_that_was_another_event_before_is_nothing() {
    let desk = desk();
    desk.record(encrypted("$1")).await;
    add(&desk, 1, says("sesame", "s 0")).await;
    desk.record(encrypted("$2")).await;
    add(&desk, 2, says("sesame", "s 0")).await;
    desk.record(encrypted("$3")).await;
    add(&desk, 3, says("sesame", "s 1")).await;
    assert_eq!(desk.listed(), ["$1", "$3"]);
    let replay = desk.notice("$2");
    assert_eq!((replay.read, replay.content), (true, None));
    assert_eq!(desk.unread("a").await, 2);
}

#[tokio::test]
async fn what_no_rule_wants_to_be_told_is_read_and_silent() {
    let desk = desk();
    desk.record(encrypted("$1")).await;
    desk.show_all().await;
    add(&desk, 1, decrypted("m.reaction", &json!({}), "s 0", Verdict::Silent)).await;
    let call = json!({"call_id": "1"});
    desk.record(encrypted("$2")).await;
    add(&desk, 2, decrypted("m.call.invite", &call, "s 1", Verdict::Silent)).await;
    let snapshot = desk.snapshot().await;
    assert_eq!((snapshot.waiting_notices, snapshot.calls.len(), desk.unread("a").await), (0, 0, 0));
    assert_eq!(desk.digest(key("a", "!r")).await, None, "the placeholder goes");
}

#[tokio::test]
async fn without_rules_the_push_decides() {
    let desk = desk();
    desk.record(encrypted("$1")).await;
    add(&desk, 1, Decrypted { verdict: Verdict::AsPushed, ..says("hello", "s 0") }).await;
    let notice = desk.notice("$1");
    assert_eq!((notice.sound, notice.highlight), (SoundTweak::Named("pushed".to_owned()), false));
}

#[tokio::test]
async fn an_encrypted_edit_is_taken_up_and_one_in_clear_is_not() {
    let desk = desk();
    let edit = |body: &str| json!({"m.relates_to": {"rel_type": "m.replace", "event_id": "$1"}, "m.new_content": {"body": body}});
    desk.record(encrypted("$1").counting(unread(1))).await;
    add(&desk, 1, says("one", "s 0")).await;
    desk.record(encrypted("$2").counting(unread(2))).await;
    add(&desk, 2, decrypted("m.room.message", &edit("two"), "s 1", Verdict::Silent)).await;
    assert_eq!(desk.notice("$1").content.as_deref(), Some(r#"{"body":"two"}"#));
    assert_eq!(desk.listed(), ["$1"]);
    desk.record(event("$3", "!r", "m.room.message", &edit("made up").to_string())).await;
    assert_eq!(desk.notice("$1").content.as_deref(), Some(r#"{"body":"two"}"#));
    desk.record(encrypted("$2").counting(unread(2))).await;
    assert_eq!(desk.history().len(), 3, "its retry is known");
    desk.inbox.seals().remove("a");
    assert_eq!(desk.notice("$1").content, None, "the edit is sealed too");
}

#[tokio::test]
async fn an_encrypted_redaction_redacts_nothing() {
    let desk = desk();
    desk.record(message("$1", "!r")).await;
    desk.record(encrypted("$2")).await;
    add(&desk, 2, decrypted("m.room.redaction", &json!({"redacts": "$1"}), "s 0", Verdict::AsPushed)).await;
    assert!(!desk.notice("$1").redacted && desk.notice("$1").content.is_some());
    assert_eq!(desk.listed(), ["$1"]);
}

#[tokio::test]
async fn an_encrypted_call_rings_unless_its_push_was_held_back() {
    let call = json!({"call_id": "1"});
    for (is_held_back, expected) in [(false, CallState::Ringing), (true, CallState::Missed)] {
        let desk = desk();
        let push = encrypted("$1");
        desk.record(if is_held_back { push.replayed() } else { push }).await;
        let ring = Tweaks { sound: SoundTweak::Named("ring".to_owned()), highlight: false };
        add(&desk, 1, decrypted("m.call.invite", &call, "s 0", Verdict::Notify(ring))).await;
        assert_eq!(desk.snapshot().await.calls[0].state, expected);
    }
}

#[tokio::test]
async fn redaction_and_keeping_no_texts_take_away_what_was_decrypted() {
    let desk = desk();
    desk.record(encrypted("$1")).await;
    add(&desk, 1, says("one", "s 0")).await;
    desk.record(event("$2", "!r", "m.room.redaction", r#"{"redacts":"$1"}"#)).await;
    assert_eq!((desk.notice("$1").content, desk.notice("$1").redacted), (None, true));

    let desk = Desk::with(Settings { keep_bodies: false, ..SETTINGS });
    desk.inbox.seals().set("a", &[7; 32]);
    desk.record(encrypted("$1")).await;
    desk.record(encrypted("$2")).await;
    add(&desk, 1, says("one", "s 0")).await;
    assert!(desk.notice("$1").content.is_some(), "until it is read");
    desk.mark_read(Read::Everything).await;
    assert_eq!((desk.notice("$1").content, desk.notice("$2").content), (None, None));
    assert!(wanted(&desk, Decryption::Wanted).await.is_empty());
}

#[tokio::test]
async fn what_lacks_its_key_is_decrypted_when_it_comes() {
    let desk = desk();
    desk.record(encrypted("$1")).await;
    desk.inbox.set_decryption(vec![NoticeId(1)], Decryption::LacksKey).await.unwrap();
    let snapshot = desk.snapshot().await;
    assert_eq!(snapshot.newest_sound, Some((NoticeId(1), SoundTweak::Named("pushed".to_owned()))));
    assert!(snapshot.wanting.is_empty());
    assert_eq!(wanted(&desk, Decryption::LacksKey).await, ["$1"]);
    add(&desk, 1, says("late", "s 0")).await;
    assert_eq!(desk.notice("$1").content.as_deref(), Some(r#"{"body":"late"}"#));
    assert!(wanted(&desk, Decryption::LacksKey).await.is_empty());
}

#[tokio::test]
async fn an_account_that_is_gone_leaves_neither_texts_nor_ciphertext() {
    let desk = desk();
    desk.record(encrypted("$1")).await;
    add(&desk, 1, says("one", "s 0")).await;
    desk.record(encrypted("$2")).await;
    desk.record(message("$3", "!r")).await;
    desk.inbox.retain_encrypted(vec!["a".into()]).await.unwrap();
    assert!(desk.notice("$1").content.is_some() && desk.notice("$2").content.is_some());
    desk.inbox.retain_encrypted(Vec::new()).await.unwrap();
    let content = |event_id: &str| desk.notice(event_id).content;
    assert_eq!((content("$1"), content("$2")), (None, None));
    assert!(content("$3").is_some(), "it was never encrypted");
}

#[tokio::test]
async fn what_is_hidden_is_shown_once_it_is_decrypted() {
    let desk = desk();
    for (number, event) in (1..).zip(["$1", "$2", "$3"]) {
        desk.record(encrypted(event)).await;
        desk.inbox.set_decryption(vec![NoticeId(number)], Decryption::Hidden).await.unwrap();
    }
    let snapshot = desk.snapshot().await;
    assert_eq!((snapshot.waiting_notices, snapshot.newest.len(), snapshot.wanting.len()), (0, 0, 0));
    assert_eq!(snapshot.undecided.len(), 3, "what they ask for is not known yet");
    assert_eq!(desk.listed(), ["$1", "$2", "$3"], "the history names them");
    assert_eq!(wanted(&desk, Decryption::LacksKey).await, ["$1", "$2", "$3"]);
    assert_eq!(wanted(&desk, Decryption::Wanted).await, [] as [&str; 0]);
    add(&desk, 1, says("sesame", "s 0")).await;
    add(&desk, 2, decrypted("m.room.message", &json!({"body": "chatter"}), "s 1", Verdict::Silent)).await;
    let snapshot = desk.snapshot().await;
    assert_eq!((snapshot.waiting_notices, snapshot.waiting_up_to), (1, NoticeId(1)));
    assert_eq!(snapshot.newest_sound, Some((NoticeId(1), SoundTweak::Named("bing".to_owned()))));
    desk.inbox.mark_read(Read::Everything).await.unwrap();
    add(&desk, 3, says("read elsewhere", "s 2")).await;
    assert_eq!(desk.snapshot().await.waiting_notices, 0);
}

#[tokio::test]
async fn what_is_decrypted_in_a_muted_room_stays_muted() {
    let desk = desk();
    desk.record(encrypted("$0")).await;
    let muted = MutedRoom { room: key("a", "!r"), name: "room".to_owned(), until: None };
    desk.inbox.mute(muted, at(0)).await.unwrap();
    desk.record(encrypted("$1")).await;
    desk.inbox.set_decryption(vec![NoticeId(2)], Decryption::Hidden).await.unwrap();
    for (id, message) in [(1, "s 0"), (2, "s 1")] {
        add(&desk, id, says("sesame", message)).await;
    }
    let snapshot = desk.snapshot().await;
    assert_eq!((snapshot.waiting_notices, snapshot.newest_sound, desk.unread("a").await), (0, None, 2));
}

#[tokio::test]
async fn a_search_opens_the_newest_sealed_texts_alone() {
    let mut desk = desk();
    desk.record(encrypted("$1")).await;
    add(&desk, 1, says("sesame", "s 0")).await;
    let db = rusqlite::Connection::open(desk.path()).unwrap();
    let copy = |from: u32, to: u32| {
        let columns: String = db
            .query_row(
                "SELECT group_concat(name) FROM pragma_table_info('notice') WHERE name NOT IN ('id', 'event_id')",
                [],
                |row| row.get(0),
            )
            .unwrap();
        let insert = format!(
            "WITH RECURSIVE number(n) AS (SELECT {from} UNION ALL SELECT n + 1 FROM number WHERE n < {to})
            INSERT INTO notice (event_id, {columns}) SELECT 'copy ' || n, {columns} FROM notice, number WHERE id = 1"
        );
        db.execute(&insert, []).unwrap();
    };
    let find = |desk: &Desk, listed: &Listed| {
        let has = |notice: &Notice| notice.content.as_ref().is_some_and(|content| content.contains("sesame"));
        let page = list(&desk.path(), desk.inbox.seals(), listed, None, 50, has).unwrap();
        (page.notices.len(), page.leaves_out_sealed)
    };
    copy(1, 4_999);
    for listed in [Listed::All, Listed::Unread] {
        assert_eq!(find(&desk, &listed), (1, false), "{listed:?}");
    }
    copy(5_000, 5_000);
    for listed in [Listed::All, Listed::Unread] {
        assert_eq!(find(&desk, &listed), (0, true), "{listed:?}");
    }
    // Whatever the order in which they are read.
    desk.restart();
    desk.inbox.seals().set("a", &[7; 32]);
    desk.record(encrypted("$2")).await;
    let id = db.query_row("SELECT max(id) FROM notice", [], |row| row.get(0)).unwrap();
    add(&desk, id, says("sesame", "s 1")).await;
    for listed in [Listed::All, Listed::Unread] {
        assert_eq!(find(&desk, &listed), (1, true), "{listed:?}");
    }
}
