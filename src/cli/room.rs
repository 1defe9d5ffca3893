//! `pushbell room`: notification settings of single rooms, by the account's push rules at the homeserver.

use std::io::Write;

use hyper::StatusCode;
use serde_json::{Value, json};

use super::{Context, Failure, account::signed_in, arguments, block_on, output, person::Person};
use crate::{
    accounts::{Account, SignIn},
    control::Request,
    encryption::not_read,
    homeserver::{
        HomeserverClient, HomeserverError,
        push_rules::{self, EveryEncrypted, PushRules, RoomNotify},
    },
    http_client::DEADLINE,
    inbox::{self, Seals},
    notice::Notice,
    secrets::Secrets,
    session::{SessionError, Sessions},
};

/// Rooms of the inbox that are listed or searched by name; the newest ones.
const MAX_ROOMS: usize = 500;

const WAKES: &str = "The room is encrypted: the homeserver does not see who is mentioned in it, and so it pushes nothing of this \
                     room. A rule of Pushbell's has it push every message; your other devices are woken too, and their \
                     numbers may count what is no mention.";

pub(super) fn run(context: &Context, command: arguments::Room, out: &mut dyn Write) -> Result<(), Failure> {
    let accounts = context.accounts()?;
    let person = Person::at_terminal();
    let secrets = context.secrets(person.as_ref());
    let rooms = inbox::rooms(&context.paths.database, &Seals::default(), MAX_ROOMS)?.into_iter();
    let newest = rooms.map(|room| room.newest).filter(|notice| notice.room_id.is_some() && !notice.sample);
    let known: Vec<_> = newest.collect();
    let of = |account| RoomsOf::new(account, &secrets, &known);
    let one = |named: &Option<String>| signed_in(&accounts, named.as_deref()).map(of);
    block_on(async {
        match command {
            arguments::Room::List { account: None, json } => {
                let all =
                    accounts.iter().filter_map(|account| Some(of((account, account.sign_in.as_ref()?)))).collect();
                list(all, json, out).await
            }
            arguments::Room::List { account, json } => list(vec![one(&account)?], json, out).await,
            arguments::Room::Show { which, json } => one(&which.account)?.show(&which.room, json, out).await,
            arguments::Room::Set(asked) => {
                one(&asked.which.account)?.set(&asked, person.as_ref(), out).await?;
                // The running program reloads the rules.
                context.tell(&Request::ReloadAccounts).map(drop).map_err(|error| {
                    Failure::Failed(format!(
                        "it is set, but the running Pushbell goes by the old rules for up to ten minutes: {error}"
                    ))
                })
            }
        }
    })
}

/// The rooms of an account.
struct RoomsOf<'a> {
    account: &'a Account,
    sign_in: &'a SignIn,
    secrets: &'a Secrets,
    /// The newest notice of each room in the inbox, newest first.
    known: Vec<&'a Notice>,
}

/// A line of the list.
struct Row {
    room_id: String,
    name: Option<String>,
    alias: Option<String>,
    notify: RoomNotify,
    every_encrypted: Option<EveryEncrypted>,
}

async fn list(all: Vec<RoomsOf<'_>>, json: bool, out: &mut dyn Write) -> Result<(), Failure> {
    if all.is_empty() {
        return Err(Failure::Failed("no account is signed in: `pushbell login` signs in".to_owned()));
    }
    let mut rows = Vec::new();
    for account in &all {
        let rules = account.ask(|client| async move { Ok(client.push_rules().await?) }).await?;
        let known = account.known.iter().filter_map(|notice| notice.room_id.as_deref());
        let others = rules.rooms_with_rules().into_iter().filter(|room| account.known(room).is_none());
        for room in known.chain(others) {
            let row = account.row(room.to_owned(), &rules);
            if json {
                writeln!(out, "{}", output::json(&row.json(account.account))?)?;
            } else {
                rows.push([
                    output::harmless(&account.account.name),
                    row.notify_words(),
                    row.name.as_ref().or(row.alias.as_ref()).map(|name| output::harmless(name)).unwrap_or_default(),
                    output::harmless(&row.room_id),
                ]);
            }
        }
    }
    if json {
        return Ok(());
    }
    if rows.is_empty() {
        return Ok(writeln!(out, "No messages have come yet, and no room has a rule of its own.")?);
    }
    Ok(output::table(out, ["ACCOUNT", "NOTIFIES OF", "NAME", "ROOM"], &rows, output::terminal_columns())?)
}

impl<'a> RoomsOf<'a> {
    fn new((account, sign_in): (&'a Account, &'a SignIn), secrets: &'a Secrets, known: &'a [Notice]) -> Self {
        let known = known.iter().filter(|notice| *notice.account == *account.name).collect();
        Self { account, sign_in, secrets, known }
    }

    fn known(&self, room_id: &str) -> Option<&'a Notice> {
        self.known.iter().copied().find(|notice| notice.room_id.as_deref() == Some(room_id))
    }

    async fn ask<T, F: Future<Output = Result<T, SessionError>>>(
        &self,
        question: impl Fn(HomeserverClient) -> F,
    ) -> Result<T, Failure> {
        let asked = Sessions::new(self.secrets.clone()).ask(self.sign_in, DEADLINE, question).await;
        asked.map_err(|error| Failure::Failed(format!("the rooms of {}: {error}", self.sign_in.user_id)))
    }

    /// The id of the room that is given as an id, an alias known to the inbox or the homeserver, or a name.
    async fn find(&self, room: &str) -> Result<String, Failure> {
        if room.starts_with('!') {
            return Ok(room.to_owned());
        }
        let is = |text: Option<&String>| text.is_some_and(|text| text.to_lowercase() == room.to_lowercase());
        let is_meant = |known: &&&Notice| is(name(known)) || is(known.room_alias.as_ref());
        let found = self.known.iter().filter(is_meant).filter_map(|known| known.room_id.as_deref());
        match found.collect::<Vec<_>>().as_slice() {
            [one] => Ok((*one).to_owned()),
            [] if room.starts_with('#') => {
                let of_alias = |client: HomeserverClient| async move { Ok(client.room_of_alias(room).await?) };
                let found = self.ask(of_alias).await?;
                found.ok_or_else(|| Failure::Failed(format!("the homeserver knows no room with the alias {room}")))
            }
            [] => Err(Failure::Failed(format!(
                "no message has come from a room named \"{room}\": `pushbell room list` lists the rooms; others go by their \
                 id or alias"
            ))),
            several => Err(Failure::Usage(format!(
                "several rooms are named \"{room}\": name one by its id, {}",
                several.join(" or ")
            ))),
        }
    }

    fn row(&self, room_id: String, rules: &PushRules) -> Row {
        let known = self.known(&room_id);
        Row {
            name: known.and_then(name).cloned(),
            alias: known.and_then(|known| known.room_alias.clone()),
            notify: rules.of_room(&room_id),
            every_encrypted: rules.pushes_encrypted(&room_id),
            room_id,
        }
    }

    async fn show(&self, room: &str, json: bool, out: &mut dyn Write) -> Result<(), Failure> {
        let room = &self.find(room).await?;
        let asked = |client: HomeserverClient| async move {
            let rules = client.push_rules().await?;
            Ok((rules, is_encrypted(&client, room).await?, client.room_name(room).await?))
        };
        let (rules, is_encrypted, name) = self.ask(asked).await?;
        let row = self.row(room.clone(), &rules);
        let row = Row { name: name.or(row.name), ..row };
        if json {
            let mut line = row.json(self.account);
            line["encrypted"] = is_encrypted.into();
            return Ok(writeln!(out, "{}", output::json(&line)?)?);
        }
        writeln!(out, "{}", row.called())?;
        writeln!(out, "Room        {}", output::harmless(&row.room_id))?;
        writeln!(out, "Notifies of {}", row.notify_words())?;
        writeln!(
            out,
            "Encrypted   {}",
            match is_encrypted {
                Some(true) => "yes",
                Some(false) => "no",
                None => "not known: the account is not in the room",
            }
        )?;
        if is_encrypted == Some(true) && row.notify == RoomNotify::Mentions && row.every_encrypted.is_none() {
            writeln!(
                out,
                "\nThe homeserver does not see who is mentioned in it, and so it pushes nothing of this room."
            )?;
        }
        Ok(())
    }

    /// Sets the notification level of the room.
    async fn set(
        &self,
        asked: &arguments::SetRoom,
        person: Option<&Person>,
        out: &mut dyn Write,
    ) -> Result<(), Failure> {
        let arguments::SetRoom { which, notify, with_override, no_override } = asked;
        if *with_override && *notify != RoomNotify::Mentions {
            return Err(Failure::Usage("--with-override belongs to \"mentions\"".to_owned()));
        }
        if *with_override && !self.sign_in.reads_encrypted() {
            return Err(Failure::Failed(not_read(self.sign_in)));
        }
        let room = &self.find(&which.room).await?;
        let asked = |client: HomeserverClient| async move {
            let is_encrypted = *notify == RoomNotify::Mentions && is_encrypted(&client, room).await? == Some(true);
            Ok((client.push_rules().await?, is_encrypted))
        };
        let (rules, is_encrypted) = self.ask(asked).await?;
        let pushed_by = rules.pushes_encrypted(room);
        // Asked before anything is changed.
        let wants_ours = match pushed_by {
            _ if !is_encrypted || *no_override || !self.sign_in.reads_encrypted() => false,
            Some(EveryEncrypted::Homeserver) => false,
            Some(EveryEncrypted::Ours) => true,
            None if *with_override => true,
            None => match person {
                Some(person) => {
                    writeln!(out, "{WAKES}")?;
                    person.confirm(out, "Set it?", false).await?
                }
                None => false,
            },
        };
        let mut changes = rules.changes(room, *notify, wants_ours);
        if wants_ours {
            let installation = self.secrets.installation_mark();
            changes.push(push_rules::ours(&installation, room));
        }
        let changes = &changes;
        self.ask(|client| async move { Ok(client.change_push_rules(changes).await?) }).await?;
        let name = self.row(room.clone(), &rules).called();
        writeln!(out, "{name} now notifies of {}.", words(*notify))?;
        match (is_encrypted, wants_ours, pushed_by) {
            (false, _, _) => {
                if *with_override {
                    writeln!(out, "It is not encrypted: the homeserver finds the mentions itself.")?;
                }
            }
            (true, true, _) => {
                writeln!(out, "It is encrypted: every message of it is pushed, and your other devices are woken too.")?;
            }
            (true, false, Some(EveryEncrypted::Homeserver)) => {}
            (true, false, _) => {
                writeln!(
                    out,
                    "It is encrypted: the homeserver sees no mentions in it, and pushes nothing of this room."
                )?;
                if self.sign_in.reads_encrypted() {
                    writeln!(
                        out,
                        "The same with --with-override has every message of it be pushed, so that the mentions are found \
                         here; your other devices are woken too."
                    )?;
                }
            }
        }
        Ok(())
    }
}

/// The room's name; that of a direct room is its sender's.
fn name(notice: &Notice) -> Option<&String> {
    notice.room_name.as_ref().or_else(|| notice.sender_display_name.as_ref().filter(|_| notice.room_alias.is_none()))
}

/// Whether the room is encrypted; `None` if the account has not joined it.
async fn is_encrypted(client: &HomeserverClient, room: &str) -> Result<Option<bool>, SessionError> {
    match client.is_encrypted(room).await {
        Err(HomeserverError::Refused(refusal)) if refusal.status == StatusCode::FORBIDDEN => Ok(None),
        answer => Ok(Some(answer?)),
    }
}

impl Row {
    fn json(&self, account: &Account) -> Value {
        json!({
            "account": &*account.name,
            "room_id": self.room_id,
            "name": self.name,
            "alias": self.alias,
            "notify": self.notify,
            "every_encrypted": self.every_encrypted.map(|by| match by {
                EveryEncrypted::Homeserver => "homeserver",
                EveryEncrypted::Ours => "pushbell",
            }),
        })
    }

    /// Its name, alias or id.
    fn called(&self) -> String {
        output::harmless(self.name.as_ref().or(self.alias.as_ref()).unwrap_or(&self.room_id))
    }

    fn notify_words(&self) -> String {
        let ours = if self.every_encrypted == Some(EveryEncrypted::Ours) { "; every message is pushed" } else { "" };
        format!("{}{ours}", words(self.notify))
    }
}

fn words(notify: RoomNotify) -> &'static str {
    match notify {
        RoomNotify::All => "every message, with a sound",
        RoomNotify::Mentions => "mentions and keywords",
        RoomNotify::Mute => "nothing",
        RoomNotify::Default => "what your general rules say",
    }
}
