//! Pushes from many concurrent senders, each retried until it is accepted, as homeservers do.

use std::{
    collections::BTreeSet,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    thread::{self, JoinHandle},
};

use hyper::Method;
use rusqlite::{Connection, OpenFlags};
use serde_json::{Value, json};

use crate::rig::{
    http,
    pushbell::{Account, PATH, address},
};

/// A text message without counts.
pub(crate) fn message(event: &str, room: &str) -> Value {
    json!({
        "event_id": event, "room_id": format!("!{room}"), "room_name": room, "type": "m.room.message",
        "sender": "@bob:hs.test", "sender_display_name": "Bob", "prio": "high",
        "content": {"msgtype": "m.text", "body": format!("text {event}")},
    })
}

/// State shared by the senders.
#[derive(Default)]
struct Progress {
    accepted: Mutex<BTreeSet<String>>,
    next: AtomicU32,
    is_over: AtomicBool,
}

/// Senders that continue until they are stopped, even if the app dies.
pub(crate) struct Load {
    progress: Arc<Progress>,
    senders: Vec<JoinHandle<()>>,
}

impl Load {
    /// Starts senders of distinct messages in `rooms` rooms.
    pub(crate) fn start(senders: u32, port: u16, account: &Account, rooms: u32) -> Self {
        let progress = Arc::new(Progress::default());
        let senders = (0..senders)
            .map(|_| {
                let (progress, account) = (Arc::clone(&progress), account.clone());
                thread::spawn(move || send(&progress, port, &account, rooms))
            })
            .collect();
        Self { progress, senders }
    }

    /// The events answered with 200 so far.
    pub(crate) fn accepted(&self) -> BTreeSet<String> {
        self.progress.accepted.lock().expect("no holder panics").clone()
    }

    /// Stops after every sender's current push is answered with 200; returns all events.
    pub(crate) fn stop(self) -> BTreeSet<String> {
        self.progress.is_over.store(true, Ordering::SeqCst);
        for sender in self.senders {
            sender.join().expect("a sender does not fail");
        }
        let accepted = self.progress.accepted.lock().expect("no holder panics").clone();
        assert_eq!(accepted.len(), self.progress.next.load(Ordering::SeqCst) as usize);
        accepted
    }
}

fn send(progress: &Progress, port: u16, account: &Account, rooms: u32) {
    while !progress.is_over.load(Ordering::SeqCst) {
        let number = progress.next.fetch_add(1, Ordering::SeqCst);
        let event = format!("$event{number}");
        let body = address(account, message(&event, &format!("room {}", number % rooms))).to_string();
        loop {
            match http::request(port, &Method::POST, PATH, None, body.clone()) {
                Ok(answer) if answer.status == 200 => {
                    assert_eq!(answer.body, r#"{"rejected":[]}"#, "the pushkey is known");
                    break;
                }
                Ok(answer) => assert_eq!(answer.status, 503, "{answer:?}"),
                // The app is not running.
                Err(_) => thread::sleep(std::time::Duration::from_millis(5)),
            }
        }
        progress.accepted.lock().expect("no holder panics").insert(event);
    }
}

/// The events in the database, in order, as read by another process.
pub(crate) fn recorded(database: &Path) -> Vec<String> {
    let db = Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_ONLY).expect("the database is there");
    db.busy_timeout(crate::rig::SOON).expect("it is open");
    let mut query = db.prepare("SELECT event_id FROM notice ORDER BY id").expect("it is an inbox");
    query.query_map([], |row| row.get(0)).expect("it is readable").map(|event| event.expect("a text")).collect()
}

/// The result of SQLite's integrity check.
pub(crate) fn integrity(database: &Path) -> String {
    let db = Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_ONLY).expect("the database is there");
    db.query_row("PRAGMA integrity_check", [], |row| row.get(0)).expect("it is readable")
}
