//! Each row of the contract's table.

use pushbell::accounts::{Accounts, CountsScope};
use serde_json::json;

use crate::support::{Mode, PATH, Server, accounts, push, unreadable};

#[tokio::test]
async fn a_push_for_a_known_account_is_recorded_and_not_rejected() {
    let server = Server::start().await;

    let answer = server.push(&["alices-key"]).await;

    assert_eq!((answer.status, answer.json), (200, json!({"rejected": []})));
    let [delivery] = &server.recording.deliveries()[..] else { panic!("one delivery") };
    let [recipient] = &delivery.recipients[..] else { panic!("one recipient") };
    assert_eq!((&*recipient.account, recipient.counts), ("alice", CountsScope::Account));
    assert!(!delivery.replayed);
    assert_eq!(delivery.notification.event_id.as_deref(), Some("$event"));
}

#[tokio::test]
async fn only_unknown_pushkeys_are_rejected_and_not_recorded() {
    let server = Server::start().await;
    let check = async |pushkeys: &[&str], rejected: &[&str], recorded: usize| {
        let before = server.recording.count();
        let answer = server.push(pushkeys).await;
        assert_eq!((answer.status, answer.rejected()), (200, rejected.to_vec()), "{pushkeys:?}");
        assert_eq!(server.recording.count() - before, recorded, "{pushkeys:?}");
    };
    check(&["stranger"], &["stranger"], 0).await;
    check(&["alices-key "], &["alices-key "], 0).await;
    check(&["a", "alices-key", "b", "rooms-key", "a"], &["a", "b"], 1).await;
    check(&["a\"\\\u{7}é👍"], &["a\"\\\u{7}é👍"], 0).await;
    check(&["rooms-key", "alices-key", "rooms-key"], &[], 1).await;
    let last = server.recording.deliveries().pop().unwrap();
    let recipients: Vec<_> = last.recipients.iter().map(|recipient| (&*recipient.account, recipient.counts)).collect();
    assert_eq!(recipients, [("room", CountsScope::Room), ("alice", CountsScope::Account)]);
}

#[tokio::test]
async fn another_app_id_is_rejected() {
    let server = Server::start().await;
    let body = br#"{"notification":{"devices":[{"app_id":"another","pushkey":"alices-key"}]}}"#;
    assert_eq!(server.ask("POST", PATH, body).await.rejected(), ["alices-key"]);
}

#[tokio::test]
async fn accounts_count_from_the_moment_they_are_set() {
    let server = Server::start().await;
    server.intake.set_accounts(Accounts::empty());
    assert_eq!(server.push(&["alices-key"]).await.rejected(), ["alices-key"]);
    server.intake.set_accounts(accounts());
    assert!(server.push(&["alices-key"]).await.rejected().is_empty());
}

#[tokio::test]
async fn while_the_accounts_cannot_be_read_nobody_is_rejected() {
    let server = Server::start().await;
    server.intake.set_accounts(server.intake.accounts().keeping_known_after(&unreadable()));

    assert!(server.push(&["alices-key"]).await.rejected().is_empty(), "known accounts are served on");
    for pushkeys in [&["stranger"][..], &["alices-key", "stranger"]] {
        let answer = server.push(pushkeys).await;
        assert_eq!((answer.status, answer.errcode()), (503, "M_UNKNOWN"));
        assert_eq!(answer.json.get("rejected"), None);
    }
    assert_eq!(server.recording.count(), 1);
    let health = server.ask("GET", "/health", b"").await;
    assert_eq!((health.status, &health.json["status"]), (503, &json!("unavailable")));
}

#[tokio::test]
async fn what_cannot_be_recorded_gets_neither_200_nor_a_rejection() {
    let server = Server::start().await;
    server.recording.set(Mode::Fails);
    for pushkeys in [&["alices-key"][..], &["stranger", "alices-key"]] {
        let answer = server.push(pushkeys).await;
        assert_eq!((answer.status, answer.errcode()), (503, "M_UNKNOWN"));
        assert!(answer.json["error"].as_str().unwrap().contains("disk is full"));
        assert_eq!(answer.json.get("rejected"), None);
    }
    assert_eq!(server.push(&["stranger"]).await.rejected(), ["stranger"], "nothing needs to be written for that");
    let health = server.ask("GET", "/health", b"").await;
    assert_eq!(health.status, 503);
    assert!(health.json["reason"].as_str().unwrap().contains("disk is full"));

    server.recording.set(Mode::Works);
    assert_eq!(server.push(&["alices-key"]).await.status, 200);
    assert_eq!(server.ask("GET", "/health", b"").await.json, json!({"status": "ok"}));
}

#[tokio::test]
async fn what_is_no_push_is_refused_and_says_why() {
    let server = Server::start().await;
    let check = async |body: &[u8], errcode: &str| {
        let answer = server.ask("POST", PATH, body).await;
        let shown = String::from_utf8_lossy(body);
        assert_eq!((answer.status, answer.errcode()), (400, errcode), "{shown}");
        assert!(!answer.json["error"].as_str().unwrap().is_empty());
    };
    check(b"", "M_NOT_JSON").await;
    check(b"hello", "M_NOT_JSON").await;
    check(b"{\"notification\":", "M_NOT_JSON").await;
    check(b"\xff\xfe{}", "M_NOT_JSON").await;
    check(b"{}", "M_MISSING_PARAM").await;
    check(b"{\"notification\":[]}", "M_BAD_JSON").await;
    check(b"{\"notification\":{}}", "M_MISSING_PARAM").await;
    check(b"{\"notification\":{\"devices\":[]}}", "M_MISSING_PARAM").await;
}

#[tokio::test]
async fn each_path_has_its_method_and_other_paths_do_not_exist() {
    let server = Server::start().await;
    let body = push(&["alices-key"]);
    for path in [PATH, "/push"] {
        assert_eq!(server.ask("POST", path, &body).await.status, 200);
        assert_eq!(server.ask("POST", &format!("{path}?key=value"), &body).await.status, 200);
        assert_eq!(server.ask("POST", &format!("http://desktop:7874{path}"), &body).await.status, 200);
        for method in ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "BREW"] {
            let answer = server.ask(method, path, b"").await;
            assert_eq!((answer.status, answer.header("allow")), (405, Some("POST")), "{method}");
            assert!(method == "HEAD" || answer.errcode() == "M_UNRECOGNIZED");
        }
    }
    for method in ["POST", "PUT"] {
        let answer = server.ask(method, "/health", b"").await;
        assert_eq!((answer.status, answer.header("allow")), (405, Some("GET, HEAD")), "{method}");
    }
    for (method, path) in [("GET", "/"), ("POST", "/"), ("POST", "/push/"), ("OPTIONS", "*"), ("CONNECT", "desktop:80")]
    {
        let answer = server.ask(method, path, b"").await;
        assert_eq!((answer.status, answer.errcode()), (404, "M_UNRECOGNIZED"), "{method} {path}");
    }
}

#[tokio::test]
async fn a_head_request_for_health_is_answered_as_get_without_a_body() {
    let server = Server::start().await;
    for mode in [Mode::Works, Mode::Fails] {
        server.recording.set(mode);
        let mut client = server.connect().await;
        let head = client.ask("HEAD", "/health", b"").await;
        // A body would be read as the beginning of this answer.
        let get = client.ask("GET", "/health", b"").await;
        assert_eq!(head.status, get.status);
        assert_eq!(head.header("content-length"), get.header("content-length"));
    }
}

#[tokio::test]
async fn extra_paths_can_change_and_the_standard_one_stays() {
    let server = Server::start().await;
    let body = push(&["alices-key"]);
    server.http.set_extra_paths(&["/other".to_owned()]);

    assert_eq!(server.ask("POST", "/push", &body).await.status, 404);
    assert_eq!(server.ask("POST", "/other", &body).await.status, 200);
    assert_eq!(server.ask("POST", PATH, &body).await.status, 200);
}
