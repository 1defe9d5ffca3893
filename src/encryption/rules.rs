//! The account's push rules, asked anew about an event that was decrypted: the homeserver saw no more than that something
//! encrypted came.
//!
//! What the rules need of a room is asked once and kept for a while; nothing tells when it changes.

use std::{collections::HashMap, time::Duration};

use ruma::{
    RoomId, UInt, UserId,
    events::room::power_levels::RoomPowerLevelsEventContent,
    push::{PushConditionPowerLevelsCtx, PushConditionRoomCtx, Ruleset},
    room_version_rules::{AuthorizationRules, RoomPowerLevelsRules},
};
use serde::Deserialize;
use tokio::time::{Instant, timeout};

use super::{api::Api, error::EncryptionError, machine::Plain};
use crate::{http_client::encode, inbox::Verdict, push::notify};

/// A popup does not wait longer for the rules.
const PATIENCE: Duration = Duration::from_millis(1500);
/// The rules may have changed after so long.
const RULES_LIFE: Duration = Duration::from_secs(10 * 60);
/// A room may have changed after so long.
const ROOM_LIFE: Duration = Duration::from_secs(60 * 60);
/// A homeserver that did not answer is asked again after so long.
const RETRY: Duration = Duration::from_secs(10);
/// So many rooms are kept.
const CAPACITY: usize = 256;

/// The rules and rooms that are known.
#[derive(Default)]
pub(super) struct Rules {
    ruleset: Option<(Instant, Ruleset)>,
    rooms: HashMap<String, (Instant, PushConditionRoomCtx)>,
    /// The homeserver is not asked before this, after it did not answer.
    ask_at: Option<Instant>,
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

impl Rules {
    /// What the rules want of the event.
    pub(super) async fn verdict(&mut self, api: &Api, user: &UserId, room: &str, plain: &Plain) -> Verdict {
        if self.ask_at.is_none_or(|at| at <= Instant::now()) {
            let reason = match timeout(PATIENCE, self.ask(api, user, room)).await {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(error.to_string()),
                Err(_) => Some("the homeserver takes too long".to_owned()),
            };
            self.ask_at = reason.as_ref().map(|_| Instant::now() + RETRY);
            if let Some(reason) = reason {
                tracing::info!("push rules are not asked: {reason}");
            }
        }
        // Those that are old are better than none.
        let (Some((_, rules)), Some((_, context))) = (&self.ruleset, self.rooms.get(room)) else {
            return Verdict::AsPushed;
        };
        let actions = serde_json::to_string(rules.get_actions(&plain.event, context).await).unwrap_or_default();
        notify::tweaks_of_rule(&actions).map_or(Verdict::Silent, Verdict::Notify)
    }

    /// Asks for what is not known, or may have changed.
    async fn ask(&mut self, api: &Api, user: &UserId, room: &str) -> Result<(), EncryptionError> {
        if self.ruleset.as_ref().is_none_or(|(at, _)| at.elapsed() > RULES_LIFE) {
            let answer: RulesAnswer = api.get("/_matrix/client/v3/pushrules/", "pushrules", PATIENCE).await?;
            self.ruleset = Some((Instant::now(), answer.global));
        }
        if self.rooms.get(room).is_none_or(|(at, _)| at.elapsed() > ROOM_LIFE) {
            let context = room_context(api, user, room).await?;
            if self.rooms.len() >= CAPACITY
                && let Some(oldest) = self.rooms.iter().min_by_key(|(_, (at, _))| *at).map(|(room, _)| room.clone())
            {
                self.rooms.remove(&oldest);
            }
            self.rooms.insert(room.to_owned(), (Instant::now(), context));
        }
        Ok(())
    }
}

async fn room_context(api: &Api, user: &UserId, room: &str) -> Result<PushConditionRoomCtx, EncryptionError> {
    let path = |of: &str| format!("/_matrix/client/v3/rooms/{}/{of}", encode(room));
    let members: Members = api.get(&path("joined_members"), "joined_members", PATIENCE).await?;
    let own_name = members.joined.get(user.as_str()).and_then(|member| member.display_name.clone());
    let own_name = own_name.unwrap_or_else(|| user.localpart().to_owned());
    let count = UInt::try_from(members.joined.len()).unwrap_or(UInt::MAX);
    let room_id = RoomId::parse(room).map_err(|_| EncryptionError::Unexpected("joined_members"))?;
    let context = PushConditionRoomCtx::new(room_id, count, user.to_owned(), own_name);
    // Without them nobody may mention the room.
    let levels: RoomPowerLevelsEventContent =
        match api.get(&path("state/m.room.power_levels/"), "power_levels", PATIENCE).await {
            Err(error) if error.is_refused() => return Ok(context),
            levels => levels?,
        };
    let rules = PushConditionPowerLevelsCtx::new(
        levels.users,
        levels.users_default,
        levels.notifications,
        RoomPowerLevelsRules::new(&AuthorizationRules::V11, None),
    );
    Ok(context.with_power_levels(rules))
}
