//! Evaluates the account's push rules for decrypted events: the homeserver evaluated them only for the encrypted ones.
//!
//! The data of rooms that rules need are cached. Nothing notifies of their changes, but an event may indicate one: then
//! they are fetched again.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use ruma::{
    OwnedUserId, RoomId, UInt, UserId,
    events::room::power_levels::RoomPowerLevelsEventContent,
    push::{Action, PushCondition, PushConditionPowerLevelsCtx, PushConditionRoomCtx, Ruleset},
    room_version_rules::{AuthorizationRules, RoomPowerLevelsRules},
};
use serde::Deserialize;
use tokio::time::{Instant, timeout};

use super::{api::Api, error::EncryptionError, interest::Messages, machine::Plain};
use crate::{homeserver::push_rules, http_client::encode, inbox::Verdict, push::notify};

/// How long a popup waits for the rules.
const PATIENCE: Duration = Duration::from_millis(1500);
/// How long listening, which needs the rules, waits for them.
const LEARNING: Duration = Duration::from_secs(10);
const RULES: &str = "/_matrix/client/v3/pushrules/";
/// Lifetime of the cached rules.
const RULES_LIFE: Duration = Duration::from_secs(10 * 60);
/// Lifetime of a cached room.
const ROOM_LIFE: Duration = Duration::from_secs(60 * 60);
/// Lifetime of what an event indicates to be out of date.
const DOUBT_LIFE: Duration = Duration::from_secs(10);
/// Lifetime of rules that do not notify of an event, in a room whose encrypted events are all pushed.
const HIDING_LIFE: Duration = Duration::from_secs(60);
/// Retry delay.
const RETRY: Duration = Duration::from_secs(10);
/// Maximum number of cached rooms.
const CAPACITY: usize = 256;
/// Members of larger rooms are not cached: no default rule counts that many.
const MAX_MEMBERS: usize = 8;

/// The cached rules and rooms.
#[derive(Default)]
pub(super) struct Rules {
    ruleset: Option<Ruleset>,
    /// When the rules were fetched; `None`: they have to be fetched.
    ruleset_at: Option<Instant>,
    rooms: HashMap<String, Room>,
    /// No request before this, after a failure.
    ask_at: Option<Instant>,
}

struct Room {
    asked_at: Instant,
    facts: PushConditionRoomCtx,
    /// The members, in a small room.
    members: Option<BTreeSet<String>>,
}

#[derive(Deserialize)]
struct RulesAnswer {
    global: Ruleset,
}

#[derive(Deserialize)]
struct Members {
    joined: HashMap<String, Member>,
}

#[derive(Deserialize)]
struct Member {
    #[serde(default)]
    display_name: Option<String>,
}

/// `m.room.create`
#[derive(Deserialize)]
struct Creation {
    sender: OwnedUserId,
    content: CreationContent,
}

#[derive(Deserialize)]
struct CreationContent {
    #[serde(default)]
    additional_creators: Vec<OwnedUserId>,
}

impl Rules {
    /// The rules may have changed, or the homeserver may answer again.
    pub(super) fn ask_again(&mut self) {
        (self.ruleset_at, self.ask_at) = (None, None);
    }

    /// The result of the rules for the event.
    pub(super) async fn verdict(&mut self, api: &Api, user: &UserId, room: &str, plain: &Plain) -> Verdict {
        let life = if self.is_doubtful(room, plain) { DOUBT_LIFE } else { ROOM_LIFE };
        self.refresh(api, RULES_LIFE, Some((user, room, life))).await;
        let verdict = self.judge(room, plain).await;
        if verdict != Verdict::Silent {
            return verdict;
        }
        // It was pushed nevertheless, so the rules may have changed.
        let life = if self.hides_undecrypted(room) { HIDING_LIFE } else { DOUBT_LIFE };
        self.refresh(api, life, None).await;
        self.judge(room, plain).await
    }

    /// Whether undecryptable events of the room are hidden: all its encrypted events are pushed, whether or not they notify.
    /// False while the rules are unknown.
    pub(super) fn hides_undecrypted(&self, room: &str) -> bool {
        let mut overrides = self.ruleset.iter().flat_map(|rules| &rules.override_);
        overrides.any(|rule| rule.enabled && push_rules::every_encrypted(&rule.rule_id, room).is_some())
            || self.rooms().mentions_only.contains(room)
    }

    /// The rooms with rules of their own. None while the rules are unknown.
    pub(super) fn rooms(&self) -> Messages {
        let Some(rules) = &self.ruleset else { return Messages::default() };
        let notifies = |actions: &[Action]| actions.iter().any(|action| matches!(action, Action::Notify));
        let muted = rules.override_.iter().filter(|rule| rule.enabled && !notifies(&rule.actions));
        let muted = muted.filter_map(|rule| match rule.conditions.as_slice() {
            [PushCondition::EventMatch(data)] if data.key == "room_id" => Some(data.pattern.clone()),
            _ => None,
        });
        let few = rules.room.iter().filter(|rule| rule.enabled && !notifies(&rule.actions));
        let mentions_only = few.map(|rule| rule.rule_id.to_string()).collect();
        Messages { muted: muted.collect(), mentions_only, ..Messages::default() }
    }

    /// Fetches the rules unless they are known; while the account listens, syncs return their changes.
    pub(super) async fn learn(&mut self, api: &Api) -> Result<(), EncryptionError> {
        if self.ruleset_at.is_some() {
            return Ok(());
        }
        match self.fetch_ruleset(api, LEARNING).await {
            Err(error) if error.is_refused() => Ok(()),
            fetched => fetched,
        }
    }

    /// Fetches the rules if they are unknown or out of date.
    pub(super) async fn get_known(&mut self, api: &Api) {
        self.refresh(api, RULES_LIFE, None).await;
    }

    async fn fetch_ruleset(&mut self, api: &Api, deadline: Duration) -> Result<(), EncryptionError> {
        let answer: RulesAnswer = api.get(RULES, "pushrules", deadline).await?;
        (self.ruleset, self.ruleset_at) = (Some(answer.global), Some(Instant::now()));
        Ok(())
    }

    async fn judge(&self, room: &str, plain: &Plain) -> Verdict {
        // Outdated rules are better than none.
        let (Some(rules), Some(room)) = (&self.ruleset, self.rooms.get(room)) else {
            return Verdict::AsPushed;
        };
        let actions = serde_json::to_string(rules.get_actions(&plain.event, &room.facts).await).unwrap_or_default();
        notify::tweaks_of_rule(&actions).map_or(Verdict::Silent, Verdict::Notify)
    }

    /// Whether the event indicates that the cached room is out of date: it has an unknown sender, or mentions the room, which
    /// depends on power levels.
    fn is_doubtful(&self, room: &str, plain: &Plain) -> bool {
        #[derive(Deserialize)]
        struct Content {
            #[serde(default, rename = "m.mentions")]
            mentions: Mentions,
        }
        #[derive(Default, Deserialize)]
        struct Mentions {
            #[serde(default)]
            room: bool,
        }
        let Some(Room { members, .. }) = self.rooms.get(room) else { return false };
        let sender = plain.event.get_field::<String>("sender").ok().flatten().unwrap_or_default();
        members.as_ref().is_some_and(|members| !members.contains(&sender))
            || serde_json::from_str(plain.content.get()).is_ok_and(|content: Content| content.mentions.room)
    }

    /// Fetches the rules and the room unless they are cached and younger than this.
    async fn refresh(&mut self, api: &Api, rules_life: Duration, room: Option<(&UserId, &str, Duration)>) {
        if self.ask_at.is_some_and(|at| at > Instant::now()) {
            return;
        }
        let asked = timeout(PATIENCE, async {
            if self.ruleset_at.is_none_or(|at| at.elapsed() > rules_life) {
                self.fetch_ruleset(api, PATIENCE).await?;
            }
            if let Some((user, room, life)) = room
                && self.rooms.get(room).is_none_or(|known| known.asked_at.elapsed() > life)
            {
                let facts = Box::pin(Room::ask(api, user, room)).await?;
                self.keep(room, facts);
            }
            Ok::<_, EncryptionError>(())
        });
        let reason = match asked.await {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some("the homeserver takes too long".to_owned()),
        };
        self.ask_at = reason.as_ref().map(|_| Instant::now() + RETRY);
        if let Some(reason) = reason {
            tracing::info!("push rules are not available: {reason}");
        }
    }

    fn keep(&mut self, room: &str, known: Room) {
        if self.rooms.len() >= CAPACITY
            && let Some(oldest) =
                self.rooms.iter().min_by_key(|(_, known)| known.asked_at).map(|(room, _)| room.clone())
        {
            self.rooms.remove(&oldest);
        }
        self.rooms.insert(room.to_owned(), known);
    }
}

impl Room {
    async fn ask(api: &Api, user: &UserId, room: &str) -> Result<Self, EncryptionError> {
        let path = |of: &str| format!("/_matrix/client/v3/rooms/{}/{of}", encode(room));
        let (of_members, of_levels) = (path("joined_members"), path("state/m.room.power_levels/"));
        let (members, levels, creators) = tokio::join!(
            api.get::<Members>(&of_members, "joined_members", PATIENCE),
            api.get::<RoomPowerLevelsEventContent>(&of_levels, "power_levels", PATIENCE),
            creators(api, room),
        );
        let Members { joined } = members?;
        let own_name = joined.get(user.as_str()).and_then(|member| member.display_name.clone());
        let own_name = own_name.unwrap_or_else(|| user.localpart().to_owned());
        let count = UInt::try_from(joined.len()).unwrap_or(UInt::MAX);
        let room_id = RoomId::parse(room).map_err(|_| EncryptionError::Unexpected("joined_members"))?;
        let facts = PushConditionRoomCtx::new(room_id, count, user.to_owned(), own_name);
        let members = (joined.len() <= MAX_MEMBERS).then(|| joined.into_keys().collect());
        let known = |facts| Self { asked_at: Instant::now(), facts, members };
        // Without power levels nobody may mention the room.
        let levels = match levels {
            Err(error) if error.is_refused() => return Ok(known(facts)),
            levels => levels?,
        };
        let rules = match creators? {
            Some(creators) => RoomPowerLevelsRules::new(&AuthorizationRules::V12, creators),
            None => RoomPowerLevelsRules::new(&AuthorizationRules::V11, None),
        };
        let RoomPowerLevelsEventContent { users, users_default, notifications, .. } = levels;
        let levels = PushConditionPowerLevelsCtx::new(users, users_default, notifications, rules);
        Ok(known(facts.with_power_levels(levels)))
    }
}

/// The room's creators, if they have unlimited power: since room version 12, whose room ids have no server name.
async fn creators(api: &Api, room: &str) -> Result<Option<Vec<OwnedUserId>>, EncryptionError> {
    if room.contains(':') {
        return Ok(None);
    }
    let path = format!("/_matrix/client/v3/rooms/{}/state/m.room.create/?format=event", encode(room));
    let Creation { sender, content } = api.get(&path, "create", PATIENCE).await?;
    Ok(Some([vec![sender], content.additional_creators].concat()))
}
