//! The page: set-up, inbox, settings and health in the person's browser.
//!
//! Served on a loopback port of its own that is open only while somebody looks ([`server`]). Whoever asks must be this user
//! and must have been invited ([`entrance`]). It is rendered here, works without its script as far as a page can, and asks
//! the program by the same requests as commands do. The script does one thing to all pages: when something has changed, it
//! fetches the page again and takes over the parts that are marked as live.
//!
//! `docs/page.md` says how to use it. One file is one page; words that more than one has are in [`words`].

mod answer;
mod conversation;
mod entrance;
mod events;
mod fields;
mod frame;
mod health;
mod inbox;
mod links;
mod routes;
mod server;
mod settings;
mod setup;
mod sounds;
mod way;
mod words;

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    sync::{broadcast, mpsc, oneshot},
    time::timeout,
};

pub(crate) use conversation::{Conversation, Kind, Step};
pub(crate) use setup::{Asked, Sessions};

use crate::{
    accounts::Accounts,
    app,
    control::{Command, Reply, Request},
    inbox::Inbox,
    paths::Paths,
};
use server::{Door, locked};

/// How long the program may take to do what is asked.
const BUSY: Duration = Duration::from_secs(10);
/// What forms have done, of so many; older ones are forgotten.
const MAX_NOTES: usize = 32;

/// Something that has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Topic {
    Inbox,
    Setup,
    Health,
}

/// What all connections share.
struct Page {
    paths: Paths,
    inbox: Inbox,
    commands: mpsc::Sender<Command>,
    changes: broadcast::Sender<Topic>,
    notes: Mutex<VecDeque<(u64, Note)>>,
    health: health::Health,
    setup: setup::Setup,
}

/// What a form has done.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Note {
    Done(String),
    Failed(String),
}

/// The page. `sessions` is what `pushbell login` and `pushbell logout` do.
pub(crate) fn serving(sessions: Sessions) -> app::Page {
    Box::new(move |parts| Box::pin(serve(parts, sessions)))
}

async fn serve(parts: app::PageParts, sessions: Sessions) {
    let app::PageParts { paths, inbox, commands, mut asked } = parts;
    let (changes, _) = broadcast::channel(16);
    let page = Arc::new(Page {
        health: health::Health::default(),
        setup: setup::Setup::new(sessions, changes.clone()),
        notes: Mutex::default(),
        paths,
        inbox,
        commands,
        changes,
    });
    while let Some(request) = asked.recv().await {
        let is_over = match Door::open() {
            Ok(door) => {
                door.invite(request);
                !door.serve(&page, &mut asked).await
            }
            Err(error) => {
                // Who has gone does not want to know.
                drop(request.1.send(Reply::Failed { reason: error.to_string() }));
                false
            }
        };
        page.setup.cancel();
        if is_over {
            return;
        }
    }
}

impl Page {
    /// Asks the program.
    async fn ask(&self, request: Request) -> Result<Reply, String> {
        let (sender, reply) = oneshot::channel();
        let asking = async {
            self.commands.send((request, sender)).await.ok()?;
            reply.await.ok()
        };
        match timeout(BUSY, asking).await {
            Ok(Some(Reply::Failed { reason })) => Err(reason),
            Ok(Some(reply)) => Ok(reply),
            Ok(None) => Err(words::ENDING.to_owned()),
            Err(_) => Err(words::BUSY.to_owned()),
        }
    }

    /// The accounts; none where they cannot be read, which Health says.
    fn accounts(&self) -> Accounts {
        Accounts::read(&self.paths.accounts).unwrap_or_else(|_| Accounts::empty())
    }

    /// Keeps what a form has done; where the next page finds it.
    fn note(&self, note: Note) -> u64 {
        let mut notes = locked(&self.notes);
        let number = notes.back().map_or(1, |(number, _)| number + 1);
        if notes.len() == MAX_NOTES {
            notes.pop_front();
        }
        notes.push_back((number, note));
        number
    }

    fn noted(&self, number: &str) -> Option<Note> {
        let number: u64 = number.parse().ok()?;
        locked(&self.notes).iter().find(|(known, _)| *known == number).map(|(_, note)| note.clone())
    }
}

impl Note {
    /// Of what could be done, or why not.
    fn of<T>(done: Result<T, String>, words: impl Into<String>) -> Self {
        match done {
            Ok(_) => Self::Done(words.into()),
            Err(reason) => Self::Failed(reason),
        }
    }
}
