//! The page: set-up, inbox, settings and health in the person's browser.
//!
//! It is served on a loopback port that is open only while the page is in use ([`server`]), to this user alone, by a one-time
//! address ([`access`]). HTML is rendered here; the page asks the program by the same requests as commands do, and works
//! without its script except for live updates. The script fetches a page again when something has changed, and replaces the
//! parts that are marked with `data-live`.
//!
//! `docs/page.md` is the manual. Each page has a file; sentences, and words that several pages share, are in [`words`].

mod access;
mod answer;
mod conversation;
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
pub(crate) use setup::{AccountCommands, SignInForm};

use crate::{
    accounts::Accounts,
    app,
    control::{Command, Reply, Request},
    inbox::Inbox,
    paths::Paths,
};
use server::{PageServer, locked};

/// Time limit for the program's answer to a request.
const BUSY: Duration = Duration::from_secs(10);
/// Maximum number of notes; the oldest are dropped.
const MAX_NOTES: usize = 32;

/// What has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Topic {
    Inbox,
    Setup,
    Health,
}

/// Shared state of all connections.
struct Page {
    paths: Paths,
    inbox: Inbox,
    commands: mpsc::Sender<Command>,
    changes: broadcast::Sender<Topic>,
    notes: Mutex<VecDeque<(u64, Note)>>,
    health: health::Health,
    setup: setup::Setup,
}

/// The result of a form, shown on the next page.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Note {
    Done(String),
    Failed(String),
}

/// The page. `commands`: what `pushbell login`, `logout` and `verify` do.
pub(crate) fn serving(commands: AccountCommands) -> app::Page {
    Box::new(move |parts| Box::pin(serve(parts, commands)))
}

async fn serve(parts: app::PageParts, account_commands: AccountCommands) {
    let app::PageParts { paths, inbox, commands, mut asked } = parts;
    let (changes, _) = broadcast::channel(16);
    let page = Arc::new(Page {
        health: health::Health::default(),
        setup: setup::Setup::new(account_commands, changes.clone()),
        notes: Mutex::default(),
        paths,
        inbox,
        commands,
        changes,
    });
    while let Some(request) = asked.recv().await {
        let is_over = match PageServer::open() {
            Ok(server) => {
                server.send_url(request);
                !server.serve(&page, &mut asked).await
            }
            Err(error) => {
                // The command may have ended.
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
    /// Sends a request to the program.
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

    /// The accounts; none if they cannot be read, which Health shows.
    fn accounts(&self) -> Accounts {
        Accounts::read(&self.paths.accounts).unwrap_or_else(|_| Accounts::empty())
    }

    /// Keeps a note for the next page. Returns its number.
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
    /// `words` on success, else the reason.
    fn of<T>(done: Result<T, String>, words: impl Into<String>) -> Self {
        match done {
            Ok(_) => Self::Done(words.into()),
            Err(reason) => Self::Failed(reason),
        }
    }
}
