//! The names of rooms and of those in them, asked of the homeserver and remembered for a while.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use hyper::StatusCode;
use tokio::{task::JoinSet, time::Instant};

use crate::{
    homeserver::{HomeserverClient, HomeserverError},
    push::notify::Notification,
};

/// So many names are remembered: half a megabyte of the longest that there are.
const MOST: usize = 512;
/// A name may have changed after so long.
const LIFE: Duration = Duration::from_secs(60 * 60);
/// So many requests are under way at once.
const AT_ONCE: usize = 4;

/// What has a name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Named {
    /// A member of a room: account, `room_id`, user ID.
    Member(Arc<str>, String, String),
    /// A room: account, `room_id`.
    Room(Arc<str>, String),
}

/// A name; that there is none is remembered too.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Name {
    name: Option<String>,
    alias: Option<String>,
}

/// What becomes of the names that are still to be asked for.
enum Asked {
    GoOn,
    TooMany,
}

/// The names that are known. The same for all who share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Names(Arc<Mutex<HashMap<Named, (Instant, Name)>>>);

impl Names {
    /// Asks for the names of these events of one account that are not known, the newest (last) first, for so long. What
    /// was learned by then is remembered.
    pub(super) async fn ask_within<'a>(
        &self,
        time: Duration,
        client: &HomeserverClient,
        account: &Arc<str>,
        events: impl DoubleEndedIterator<Item = &'a Notification>,
    ) {
        let mut wanted: Vec<Named> = events.rev().flat_map(|event| named(account, event)).collect();
        let mut seen = HashSet::new();
        wanted.retain(|named| seen.insert(named.clone()) && self.get(named).is_none());
        if tokio::time::timeout(time, self.ask(client, wanted)).await.is_err() {
            tracing::info!("the homeserver takes too long to tell all names");
        }
    }

    /// Fills in the names that are known. Who has no display name is called by the user ID, as homeservers do.
    pub(super) fn fill_in<'a>(&self, account: &Arc<str>, events: impl Iterator<Item = &'a mut Notification>) {
        for event in events {
            for named in named(account, event) {
                let known = self.get(&named).unwrap_or_default();
                match named {
                    Named::Member(..) => event.sender_display_name = known.name.or_else(|| event.sender.clone()),
                    Named::Room(..) => (event.room_name, event.room_alias) = (known.name, known.alias),
                }
            }
        }
    }

    /// Asks for names, a few at once. They are remembered as they come, so that it may be dropped.
    async fn ask(&self, client: &HomeserverClient, wanted: Vec<Named>) {
        let mut asking = JoinSet::new();
        for named in wanted {
            // Once it has had too many requests, more of them would only keep it so.
            if asking.len() >= AT_ONCE && matches!(asking.join_next().await, Some(Ok(Asked::TooMany))) {
                return;
            }
            let (names, client) = (self.clone(), client.clone());
            asking.spawn(async move {
                match ask(&client, &named).await {
                    Ok(name) => names.keep(named, name),
                    Err(HomeserverError::Refused(refusal)) if refusal.status == StatusCode::TOO_MANY_REQUESTS => {
                        return Asked::TooMany;
                    }
                    Err(error) => tracing::debug!("a name is not known: {error}"),
                }
                Asked::GoOn
            });
        }
        while asking.join_next().await.is_some() {}
    }

    fn get(&self, named: &Named) -> Option<Name> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(named).filter(|(at, _)| at.elapsed() < LIFE).map(|(_, name)| name.clone())
    }

    fn keep(&self, named: Named, name: Name) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST
            && let Some(oldest) = known.iter().min_by_key(|(_, (at, _))| *at).map(|(named, _)| named.clone())
        {
            known.remove(&oldest);
        }
        known.insert(named, (Instant::now(), name));
    }
}

fn named(account: &Arc<str>, event: &Notification) -> Vec<Named> {
    let Some(room) = &event.room_id else { return Vec::new() };
    let member = event.sender.as_ref().map(|user| Named::Member(Arc::clone(account), room.clone(), user.clone()));
    [Some(Named::Room(Arc::clone(account), room.clone())), member].into_iter().flatten().collect()
}

async fn ask(client: &HomeserverClient, named: &Named) -> Result<Name, HomeserverError> {
    Ok(match named {
        Named::Member(_, room, user) => Name { name: client.member_name(room, user).await?, alias: None },
        Named::Room(_, room) => match client.room_name(room).await? {
            Some(name) => Name { name: Some(name), alias: None },
            None => Name { name: None, alias: client.room_alias(room).await? },
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn names_are_remembered_for_a_while_and_no_more_than_fit() {
        let (names, account) = (Names::default(), Arc::from("home"));
        let room = |number: usize| Named::Room(Arc::clone(&account), format!("!{number}"));
        let kitchen = Name { name: Some("Kitchen".into()), alias: None };
        names.keep(room(0), kitchen.clone());
        assert_eq!(names.get(&room(0)), Some(kitchen));
        for number in 1..=MOST {
            tokio::time::advance(Duration::from_millis(1)).await;
            names.keep(room(number), Name::default());
        }
        assert_eq!(names.get(&room(0)), None, "the oldest made room");
        assert_eq!(names.get(&room(1)), Some(Name::default()));
        tokio::time::advance(LIFE).await;
        assert_eq!(names.get(&room(MOST)), None);
    }
}
