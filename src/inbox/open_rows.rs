//! The rows of accounts and rooms that plain messages change: loaded once, changed many times, written once at the end
//! of a transaction, and still known in the next.
//!
//! Whatever else reads or changes these tables has them saved and forgotten before ([`OpenRows::close`]).

use std::collections::{HashMap, hash_map::Entry};

use rusqlite::Connection;

use super::{accounts::Account, rooms::Room};

/// More rooms than this are forgotten with the transaction that they are in.
const MAX_ROOMS: usize = 256;

/// What is open.
#[derive(Debug, Default)]
pub(super) struct OpenRows {
    accounts: Vec<OpenAccount>,
}

/// An account that is open, and its rooms that are.
#[derive(Debug)]
pub(super) struct OpenAccount {
    account: Account,
    rooms: HashMap<String, OpenRoom>,
    is_changed: bool,
}

#[derive(Debug)]
struct OpenRoom {
    room: Room,
    is_changed: bool,
}

impl OpenRows {
    /// The account of this name, new if it is not known.
    pub(super) fn account(&mut self, db: &Connection, name: &str) -> rusqlite::Result<&mut OpenAccount> {
        let known = self.accounts.iter().position(|open| open.account.name == name);
        let position = known.unwrap_or(self.accounts.len());
        if known.is_none() {
            let account = Account::named(db, name)?;
            self.accounts.push(OpenAccount { account, rooms: HashMap::new(), is_changed: false });
        }
        Ok(&mut self.accounts[position])
    }

    /// Writes what has changed.
    pub(super) fn save(&mut self, db: &Connection) -> rusqlite::Result<()> {
        for open in &mut self.accounts {
            if std::mem::take(&mut open.is_changed) {
                open.account.save(db)?;
            }
            for open in open.rooms.values_mut() {
                if std::mem::take(&mut open.is_changed) {
                    open.room.save(db)?;
                }
            }
            if open.rooms.len() > MAX_ROOMS {
                open.rooms = HashMap::new();
            }
        }
        Ok(())
    }

    /// Writes what has changed, and forgets all of it.
    pub(super) fn close(&mut self, db: &Connection) -> rusqlite::Result<()> {
        self.save(db)?;
        self.accounts.clear();
        Ok(())
    }
}

impl OpenAccount {
    /// The account as it is.
    pub(super) fn account(&self) -> &Account {
        &self.account
    }

    /// The account and its room of this name, new if it is not known: both to be changed.
    pub(super) fn with_room(&mut self, db: &Connection, room_id: &str) -> rusqlite::Result<(&mut Account, &mut Room)> {
        let open = match self.rooms.entry(room_id.to_owned()) {
            Entry::Occupied(open) => open.into_mut(),
            Entry::Vacant(place) => {
                let room = Room::named(db, self.account.id, room_id)?;
                place.insert(OpenRoom { room, is_changed: false })
            }
        };
        (self.is_changed, open.is_changed) = (true, true);
        Ok((&mut self.account, &mut open.room))
    }
}
