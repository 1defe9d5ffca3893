//! Replies that wait, and rooms that are known to be encrypted.

use super::*;

fn reply(number: usize) -> Reply {
    Reply {
        account: "a".into(),
        device_id: "D".to_owned(),
        room_id: "!r".to_owned(),
        transaction: format!("t{number}"),
        content: Some(format!("{{\"body\":\"secret {number}\"}}")),
        written_at: at(0),
    }
}

#[tokio::test]
async fn a_reply_waits_over_a_restart_until_it_is_forgotten() {
    let mut desk = Desk::new();
    assert!(desk.inbox.keep_reply(reply(1)).await.unwrap() && desk.inbox.keep_reply(reply(2)).await.unwrap());
    desk.restart();
    assert_eq!(desk.inbox.replies().await.unwrap(), [reply(1), reply(2)]);
    desk.inbox.forget_reply("t1".to_owned()).await.unwrap();
    assert_eq!(desk.inbox.replies().await.unwrap(), [reply(2)]);
}

#[tokio::test]
async fn a_reply_is_sealed_where_there_is_a_key() {
    let desk = Desk::new();
    desk.inbox.seals().set("a", &[7; 32]);
    desk.inbox.keep_reply(reply(1)).await.unwrap();
    assert_eq!(desk.inbox.replies().await.unwrap(), [reply(1)]);
    let files = ["data/pushbell.db", "data/pushbell.db-wal"].map(|name| desk.directory.path().join(name));
    let is_there = |text: &[u8]| {
        let mut bytes = files.iter().filter_map(|file| std::fs::read(file).ok()).flatten().collect::<Vec<_>>();
        bytes.push(0);
        bytes.windows(text.len()).any(|window| window == text)
    };
    assert!(is_there(b"!r") && !is_there(b"secret"));
    desk.inbox.seals().remove("a");
    assert_eq!(desk.inbox.replies().await.unwrap(), [Reply { content: None, ..reply(1) }], "it waits for its key");
}

#[tokio::test]
async fn replies_are_bounded_and_end_with_the_session() {
    let desk = Desk::new();
    for number in 0..64 {
        assert!(desk.inbox.keep_reply(reply(number)).await.unwrap());
    }
    assert!(!desk.inbox.keep_reply(reply(64)).await.unwrap());
    let other = Reply { account: "b".into(), ..reply(64) };
    desk.mark_read(Read::Everything).await;
    assert_eq!(desk.inbox.replies().await.unwrap().len(), 64);
    desk.mark_read(Read::Account("a".to_owned())).await;
    assert_eq!(desk.inbox.replies().await.unwrap(), []);
    assert!(desk.inbox.keep_reply(other).await.unwrap());
}

#[tokio::test]
async fn a_room_that_was_ever_encrypted_stays_known_as_such() {
    let mut desk = Desk::new();
    let was_encrypted = async |desk: &Desk, room: &str| desk.inbox.was_encrypted(key("a", room)).await.unwrap();
    desk.record(message("$1", "!plain")).await;
    desk.record(event("$2", "!pushed", "m.room.encrypted", r#"{"algorithm":"m.odd"}"#)).await;
    desk.inbox.note_encrypted(key("a", "!asked")).await.unwrap();
    desk.restart();
    desk.mark_read(Read::Everything).await;
    assert!(was_encrypted(&desk, "!pushed").await && was_encrypted(&desk, "!asked").await);
    assert!(!was_encrypted(&desk, "!plain").await);
    assert!(!desk.inbox.was_encrypted(key("b", "!asked")).await.unwrap());
}
