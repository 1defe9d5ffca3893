//! Names of rooms and their members, requested from the homeserver and cached.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use hyper::StatusCode;
use tokio::time::Instant;

use crate::{
    homeserver::{HomeserverClient, HomeserverError},
    push::notify::Notification,
};

/// Maximum number of cached names: half a megabyte of the longest ones.
const CAPACITY: usize = 512;
/// Lifetime of a cached name.
const LIFE: Duration = Duration::from_secs(60 * 60);

/// A room, or a member of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Named {
    account: String,
    room: String,
    member: Option<String>,
}

/// A name; its absence is cached too.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Name {
    name: Option<String>,
    alias: Option<String>,
}

/// The cached names.
#[derive(Debug, Default)]
pub(super) struct Names(Mutex<HashMap<Named, (Instant, Name)>>);

impl Names {
    /// Requests names for these events of one account that are not cached, newest (last) first, until the time is over.
    ///
    /// # Errors
    /// When the access token is invalid.
    pub(super) async fn ask_within<'a>(
        &self,
        time: Duration,
        client: &HomeserverClient,
        account: &str,
        events: impl DoubleEndedIterator<Item = &'a Notification>,
    ) -> Result<(), HomeserverError> {
        let ask = async {
            for named in events.rev().flat_map(|event| named(account, event)) {
                if self.get(&named).is_some() {
                    continue;
                }
                match ask(client, &named).await {
                    Ok(name) => self.keep(named, name),
                    // Further requests would prolong that.
                    Err(HomeserverError::Refused(refusal)) if refusal.status == StatusCode::TOO_MANY_REQUESTS => break,
                    Err(error @ HomeserverError::Transport(_)) => {
                        tracing::debug!("names are not known: {error}");
                        break;
                    }
                    Err(error) if error.is_unknown_token() => return Err(error),
                    Err(error) => tracing::debug!("a name is not known: {error}"),
                }
            }
            Ok(())
        };
        tokio::time::timeout(time, ask).await.unwrap_or_else(|_| {
            tracing::info!("the homeserver takes too long to tell all names");
            Ok(())
        })
    }

    /// Fills in cached names. A user without a display name is called by the user ID, as in pushes.
    pub(super) fn fill_in<'a>(&self, account: &str, events: impl Iterator<Item = &'a mut Notification>) {
        for event in events {
            for named in named(account, event) {
                let known = self.get(&named).unwrap_or_default();
                if named.member.is_some() {
                    event.sender_display_name = known.name.or_else(|| event.sender.clone());
                } else {
                    (event.room_name, event.room_alias) = (known.name, known.alias);
                }
            }
        }
    }

    fn get(&self, named: &Named) -> Option<Name> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(named).filter(|(at, _)| at.elapsed() < LIFE).map(|(_, name)| name.clone())
    }

    fn keep(&self, named: Named, name: Name) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= CAPACITY
            && let Some(oldest) = known.iter().min_by_key(|(_, (at, _))| *at).map(|(named, _)| named.clone())
        {
            known.remove(&oldest);
        }
        known.insert(named, (Instant::now(), name));
    }
}

fn named(account: &str, event: &Notification) -> Vec<Named> {
    let Some(room) = &event.room_id else { return Vec::new() };
    let named = |member| Named { account: account.to_owned(), room: room.clone(), member };
    [Some(named(None)), event.sender.clone().map(|sender| named(Some(sender)))].into_iter().flatten().collect()
}

async fn ask(client: &HomeserverClient, named: &Named) -> Result<Name, HomeserverError> {
    if let Some(member) = &named.member {
        return Ok(Name { name: client.member_name(&named.room, member).await?, alias: None });
    }
    Ok(match client.room_name(&named.room).await? {
        Some(name) => Name { name: Some(name), alias: None },
        None => Name { name: None, alias: client.room_alias(&named.room).await? },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn names_are_cached_for_a_limited_time_and_number() {
        let names = Names::default();
        let room = |number: usize| Named { account: "home".into(), room: format!("!{number}"), member: None };
        let kitchen = Name { name: Some("Kitchen".into()), alias: None };
        names.keep(room(0), kitchen.clone());
        assert_eq!(names.get(&room(0)), Some(kitchen));
        for number in 1..=CAPACITY {
            tokio::time::advance(Duration::from_millis(1)).await;
            names.keep(room(number), Name::default());
        }
        assert_eq!(names.get(&room(0)), None, "the oldest made room");
        assert_eq!(names.get(&room(1)), Some(Name::default()));
        tokio::time::advance(LIFE).await;
        assert_eq!(names.get(&room(CAPACITY)), None);
    }
}
