//! One reader for each account whose session is our own.

use std::{collections::BTreeMap, sync::Arc};

use tokio::sync::{mpsc, oneshot};

use super::{
    CallNews, ConnectionNews, NotSent, not_read,
    reader::{Command, Outgoing, Reader, ReaderContext, Report, RoomEvents, Wake},
    session_state::News,
};
use crate::{
    accounts::{Account, Accounts, SignIn, Way},
    control::EncryptionStatus,
    controller::Event,
    homeserver::OutgoingEvent,
    inbox::Inbox,
    paths::Paths,
    present::popup::OwnPopup,
    push::listed::RoomEvent,
    secrets::Secrets,
};

/// Maximum number of lines in a popup; each is one piece of news.
const MAX_LINES: usize = 3;

/// Handle to the task that starts and ends readers.
#[derive(Debug, Clone)]
pub(crate) struct Encryption {
    commands: mpsc::UnboundedSender<Change>,
}

enum Change {
    Accounts(Arc<Accounts>),
    /// The rooms of ringing calls, each with the name of its account.
    Ringing(Vec<(String, String)>),
    /// For all readers.
    Wake(Wake),
    /// For the reader of this account.
    Command(Arc<str>, Command),
}

impl Encryption {
    /// Starts readers for these accounts.
    pub(crate) fn start(
        inbox: Inbox,
        paths: &Paths,
        accounts: &Accounts,
        events: mpsc::UnboundedSender<Event>,
        (calls, held): (mpsc::UnboundedSender<CallNews>, mpsc::UnboundedSender<ConnectionNews>),
    ) -> Self {
        let (commands, changes) = mpsc::unbounded_channel();
        let (reports, reported) = mpsc::unbounded_channel();
        let context =
            Arc::new(ReaderContext { inbox, secrets: Secrets::new(paths), paths: paths.clone(), calls, held, reports });
        let tasks = Tasks { context, events, readers: BTreeMap::new(), unread: BTreeMap::new(), told: BTreeMap::new() };
        tokio::spawn(tasks.run(accounts.clone(), changes, reported));
        Self { commands }
    }

    /// The accounts have been reloaded.
    pub(crate) fn accounts(&self, accounts: Arc<Accounts>) {
        self.send(Change::Accounts(accounts));
    }

    /// Messages may be missing, for example because the computer slept.
    pub(crate) fn upkeep(&self) {
        self.send(Change::Wake(Wake::Upkeep));
    }

    /// Turns listening for new messages over a held sync on or off.
    pub(crate) fn listen(&self, account: Arc<str>, on: bool) {
        self.send(Change::Command(account, Command::Listen(on)));
    }

    /// The network has changed, or the computer slept.
    pub(crate) fn reconnect(&self) {
        self.send(Change::Wake(Wake::Reconnect));
    }

    /// The user is present, and may have requested something in another session.
    pub(crate) fn look(&self) {
        self.send(Change::Wake(Wake::Look));
    }

    /// Sets the rooms of ringing calls, each with the name of its account.
    pub(crate) fn ringing(&self, rooms: Vec<(String, String)>) {
        self.send(Change::Ringing(rooms));
    }

    /// Sends this event of the account, encrypted.
    ///
    /// # Errors
    /// When it was not, or may not have been, sent.
    pub(crate) async fn send_event(&self, account: &str, event: OutgoingEvent) -> Result<(), NotSent> {
        let (answer, answered) = oneshot::channel();
        self.send(Change::Command(account.into(), Command::Send(Outgoing { event, answer })));
        // Dropped if the account has no reader.
        answered.await.unwrap_or_else(|_| Err(NotSent::without_keys()))
    }

    /// Returns these events of a room, decrypted if their keys are available.
    pub(crate) async fn read_events(&self, account: &str, room_id: &str, events: Vec<RoomEvent>) -> Vec<RoomEvent> {
        if !events.iter().any(RoomEvent::is_encrypted) {
            return events;
        }
        let (answer, answered) = oneshot::channel();
        let asked = RoomEvents { room_id: room_id.to_owned(), events: events.clone(), answer };
        self.send(Change::Command(account.into(), Command::Decrypt(asked)));
        // Dropped if the account has no reader.
        answered.await.unwrap_or(events)
    }

    fn send(&self, change: Change) {
        // The task ends only with the program.
        drop(self.commands.send(change));
    }
}

/// The reader of an account.
struct RunningReader {
    sign_in: SignIn,
    commands: mpsc::UnboundedSender<Command>,
    task: tokio::task::AbortHandle,
    status: EncryptionStatus,
}

impl RunningReader {
    fn send(&self, command: Command) {
        // A reader ends early only by a panic, which is logged.
        drop(self.commands.send(command));
    }
}

impl Drop for RunningReader {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Tasks {
    context: Arc<ReaderContext>,
    events: mpsc::UnboundedSender<Event>,
    readers: BTreeMap<Arc<str>, RunningReader>,
    /// Accounts that are signed in and have no reader, and why.
    unread: BTreeMap<String, EncryptionStatus>,
    /// The lines of each popup in this run, with their accounts.
    told: BTreeMap<OwnPopup, Vec<(Arc<str>, String)>>,
}

impl Tasks {
    async fn run(
        mut self,
        accounts: Accounts,
        mut changes: mpsc::UnboundedReceiver<Change>,
        mut reported: mpsc::UnboundedReceiver<(Arc<str>, Report)>,
    ) {
        self.take_accounts(&accounts).await;
        loop {
            tokio::select! {
                change = changes.recv() => match change {
                    Some(Change::Accounts(accounts)) => self.take_accounts(&accounts).await,
                    Some(Change::Ringing(rooms)) => self.ringing(&rooms),
                    Some(Change::Wake(wake)) => self.wake(wake),
                    Some(Change::Command(account, command)) => if let Some(reader) = self.readers.get(&account) {
                        reader.send(command);
                    },
                    None => return,
                },
                () = self.context.inbox.decryption_is_wanted() => self.wake(Wake::Notices),
                Some((account, report)) = reported.recv() => match report {
                    Report::Status(status) => if let Some(reader) = self.readers.get_mut(&account) {
                        reader.status = status;
                        self.report();
                    }
                    Report::News(news) => self.announce(account, news),
                }
            }
        }
    }

    fn wake(&self, wake: Wake) {
        self.readers.values().for_each(|reader| reader.send(Command::Wake(wake)));
    }

    fn ringing(&self, rooms: &[(String, String)]) {
        for (name, reader) in &self.readers {
            let of_account = rooms.iter().filter(|(account, _)| *account == **name).map(|(_, room)| room.clone());
            reader.send(Command::Ringing(of_account.collect()));
        }
    }

    async fn take_accounts(&mut self, accounts: &Accounts) {
        let mut before = std::mem::take(&mut self.readers);
        let installation = self.context.secrets.installation_mark();
        self.unread.clear();
        for account in accounts.iter() {
            let Some(sign_in) = account.sign_in.clone() else { continue };
            if !sign_in.reads_encrypted() {
                let status = EncryptionStatus { encryption: Some(not_read(&sign_in)), ..EncryptionStatus::default() };
                self.unread.insert(account.name.to_string(), status);
                continue;
            }
            // The session belongs to another computer, from which these files were copied.
            if sign_in.is_anothers(&installation) {
                continue;
            }
            let same = before.remove(&account.name).filter(|reader| reader.sign_in == sign_in);
            let reader = same.inspect(|reader| reader.send(Command::Wake(Wake::Upkeep)));
            let reader = reader.unwrap_or_else(|| self.begin(account, sign_in));
            self.readers.insert(Arc::clone(&account.name), reader);
        }
        // While the accounts cannot be read, none counts as removed.
        if accounts.unreadable().is_none() {
            for gone in before.keys() {
                self.context.inbox.seals().remove(gone);
            }
            let kept = self.readers.keys().cloned().collect();
            if let Err(error) = self.context.inbox.retain_encrypted(kept).await {
                tracing::warn!("{error}");
            }
        } else {
            self.readers.append(&mut before);
        }
        self.report();
    }

    fn begin(&self, account: &Account, sign_in: SignIn) -> RunningReader {
        let (commands, received) = mpsc::unbounded_channel();
        // The first sync already reports what arrived meanwhile. If pushes arrive, listening is turned off later.
        let listens = matches!(account.way_in_force(), Way::Auto | Way::Listen);
        let reader = Reader::new(Arc::clone(&self.context), Arc::clone(&account.name), sign_in.clone(), listens);
        let task = tokio::spawn(reader.run(received)).abort_handle();
        RunningReader { sign_in, commands, task, status: EncryptionStatus::default() }
    }

    fn announce(&mut self, account: Arc<str>, News { popup, text }: News) {
        let told = self.told.entry(popup).or_default();
        told.push((account, text));
        told.retain(|(account, _)| {
            self.readers.get(account).is_some_and(|reader| reader.status.is_told_by(popup) != Some(false))
        });
        told.drain(..told.len().saturating_sub(MAX_LINES));
        let lines: Vec<_> = told.iter().map(|(_, line)| line.as_str()).collect();
        drop(self.events.send(Event::Announce(popup, lines.join("\n"))));
    }

    fn report(&self) {
        let status = self.readers.iter().map(|(name, reader)| (name.to_string(), reader.status.clone()));
        let status = status.chain(self.unread.clone());
        // A closed channel means that the program is ending.
        drop(self.events.send(Event::Encryption(status.collect())));
    }
}
