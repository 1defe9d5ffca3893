//! The push rules of single rooms, read and written as Element does (Matrix specification, client-server API, "Push
//! rules API").
//!
//! | a room notifies of | because of |
//! |---|---|
//! | everything, with a sound | a room rule that notifies |
//! | mentions and keywords | a room rule without actions |
//! | nothing | an override rule for the room alone, without actions |
//! | what the account's general rules say | no rule of its own |
//!
//! The homeserver cannot find mentions in encrypted events, so in a room that notifies of mentions alone it would push
//! none. An override rule of ours makes it push every encrypted event of the room; it does not match decrypted events.

use std::collections::BTreeSet;

use clap::ValueEnum;
use hyper::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    HomeserverClient, HomeserverError,
    client::{AnswerKind, Lenient, from_json},
};
use crate::http_client::encode;

const PATH: &str = "/_matrix/client/v3/pushrules/";

/// The homeserver's own rule that pushes every encrypted event (MSC4028).
const EVERY_ENCRYPTED: &str = ".org.matrix.msc4028.encrypted_event";
/// Prefix of the ids of our rules, before the installation's mark, a full stop and the room id.
const OURS: &str = "org.pushbell.encrypted.";

/// What a room notifies of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum RoomNotify {
    /// Every message, with a sound
    All,
    /// Mentions and keywords
    Mentions,
    /// Nothing
    Mute,
    /// What the account's general rules say
    Default,
}

/// The rule that makes the homeserver push every encrypted event of a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EveryEncrypted {
    /// The homeserver's own, for all rooms (MSC4028).
    Homeserver,
    /// One that Pushbell has set.
    Ours,
}

/// The account's rules for single rooms or encrypted events.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct PushRules {
    r#override: Lenient<Vec<Lenient<PushRule>>>,
    room: Lenient<Vec<Lenient<PushRule>>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RulesAnswer {
    global: Lenient<PushRules>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct PushRule {
    rule_id: Lenient<String>,
    enabled: Lenient<bool>,
    actions: Lenient<Vec<Value>>,
    conditions: Lenient<Vec<Value>>,
}

/// A change of the rules.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum RuleChange {
    /// Creates or replaces the rule.
    Set {
        /// `override` or `room`
        kind: &'static str,
        /// `rule_id`
        id: String,
        /// `actions`, and `conditions` of an override rule.
        rule: Value,
    },
    /// Enables a disabled rule.
    Enable {
        /// `override` or `room`
        kind: &'static str,
        /// `rule_id`
        id: String,
    },
    /// Removes it.
    Remove {
        /// `override` or `room`
        kind: &'static str,
        /// `rule_id`
        id: String,
    },
}

impl PushRule {
    fn id(&self) -> &str {
        self.rule_id.0.as_deref().unwrap_or_default()
    }

    fn is_enabled(&self) -> bool {
        self.enabled.0 != Some(false)
    }

    fn notifies(&self) -> bool {
        let actions = self.actions.0.as_deref().unwrap_or_default();
        actions.iter().any(|action| matches!(action.as_str(), Some("notify" | "coalesce")))
    }

    /// The room that an override rule mutes.
    fn muted_room(&self) -> Option<&str> {
        let [condition] = self.conditions.0.as_deref()? else { return None };
        let is = |key: &str, value: &str| condition.get(key).is_some_and(|found| found == value);
        let is_about_room = is("kind", "event_match") && is("key", "room_id");
        let room = condition.get("pattern").or_else(|| condition.get("value"))?.as_str()?;
        (is_about_room && !self.notifies()).then_some(room)
    }
}

impl PushRules {
    fn overrides(&self) -> impl Iterator<Item = &PushRule> {
        self.r#override.0.iter().flatten().filter_map(|rule| rule.0.as_ref())
    }

    fn rooms(&self) -> impl Iterator<Item = &PushRule> {
        self.room.0.iter().flatten().filter_map(|rule| rule.0.as_ref())
    }

    /// What the room notifies of.
    pub(crate) fn of_room(&self, room_id: &str) -> RoomNotify {
        if self.overrides().any(|rule| rule.is_enabled() && rule.muted_room() == Some(room_id)) {
            return RoomNotify::Mute;
        }
        match self.rooms().find(|rule| rule.id() == room_id && rule.is_enabled()) {
            Some(rule) if rule.notifies() => RoomNotify::All,
            Some(_) => RoomNotify::Mentions,
            None => RoomNotify::Default,
        }
    }

    /// The rule because of which every encrypted event of the room is pushed, if any.
    pub(crate) fn pushes_encrypted(&self, room_id: &str) -> Option<EveryEncrypted> {
        let mut found = self.overrides().filter(|rule| rule.is_enabled() && rule.notifies());
        found.find_map(|rule| every_encrypted(rule.id(), room_id))
    }

    /// The rooms that have a rule of their own.
    pub(crate) fn rooms_with_rules(&self) -> BTreeSet<&str> {
        let muted = self.overrides().filter_map(PushRule::muted_room);
        muted.chain(self.rooms().map(PushRule::id)).chain(self.rooms_of_ours()).collect()
    }

    /// The rooms that have a rule of ours, of any installation.
    pub(crate) fn rooms_of_ours(&self) -> impl Iterator<Item = &str> {
        self.overrides().filter_map(|rule| Some(split_ours(rule.id())?.1))
    }

    /// The changes that make the room notify of this. They remove our own rule for the room, unless `keeps_ours` is set and
    /// the room is to notify of mentions.
    pub(crate) fn changes(&self, room_id: &str, to: RoomNotify, keeps_ours: bool) -> Vec<RuleChange> {
        let room_rule = |actions: Value| Some(("room", json!({ "actions": actions })));
        let wanted = match to {
            RoomNotify::All => room_rule(json!(["notify", {"set_tweak": "sound", "value": "default"}])),
            RoomNotify::Mentions => room_rule(json!([])),
            RoomNotify::Mute => {
                let condition = json!({"kind": "event_match", "key": "room_id", "pattern": room_id});
                Some(("override", json!({"conditions": [condition], "actions": []})))
            }
            RoomNotify::Default => None,
        };
        let mut changes = Vec::new();
        if let Some((kind, rule)) = wanted {
            let id = room_id.to_owned();
            changes.push(RuleChange::Set { kind, id: id.clone(), rule });
            let is_off = |rule: &PushRule| rule.id() == room_id && !rule.is_enabled();
            let is_off = if kind == "room" { self.rooms().any(is_off) } else { self.overrides().any(is_off) };
            if is_off {
                changes.push(RuleChange::Enable { kind, id });
            }
        }
        let mutes = self.overrides().filter(|rule| to != RoomNotify::Mute && rule.muted_room() == Some(room_id));
        let ours = self.overrides().filter(|rule| {
            !(keeps_ours && to == RoomNotify::Mentions)
                && split_ours(rule.id()).is_some_and(|(_, of_room)| of_room == room_id)
        });
        let rooms =
            self.rooms().filter(|rule| matches!(to, RoomNotify::Mute | RoomNotify::Default) && rule.id() == room_id);
        let of_kind = |kind| move |rule: &PushRule| RuleChange::Remove { kind, id: rule.id().to_owned() };
        changes.extend(mutes.chain(ours).map(of_kind("override")).chain(rooms.map(of_kind("room"))));
        changes
    }

    /// The removal of the rules that this installation has set.
    pub(crate) fn removal_of_ours(&self, installation: &str) -> Vec<RuleChange> {
        let ids = self.overrides().map(PushRule::id);
        let ours = ids.filter(|id| split_ours(id).is_some_and(|(mark, _)| mark == installation));
        ours.map(|id| RuleChange::Remove { kind: "override", id: id.to_owned() }).collect()
    }
}

/// Sets our rule that makes the homeserver push every encrypted event of the room.
pub(crate) fn ours(installation: &str, room_id: &str) -> RuleChange {
    let matches = |key: &str, pattern: &str| json!({"kind": "event_match", "key": key, "pattern": pattern});
    RuleChange::Set {
        kind: "override",
        id: format!("{OURS}{installation}.{room_id}"),
        rule: json!({
            "conditions": [matches("type", "m.room.encrypted"), matches("room_id", room_id)],
            "actions": ["notify"],
        }),
    }
}

/// Whether the rule with this id makes the homeserver push every encrypted event of the room.
pub(crate) fn every_encrypted(rule_id: &str, room_id: &str) -> Option<EveryEncrypted> {
    if rule_id == EVERY_ENCRYPTED {
        return Some(EveryEncrypted::Homeserver);
    }
    split_ours(rule_id).filter(|(_, room)| *room == room_id).map(|_| EveryEncrypted::Ours)
}

/// Installation and room of a rule of ours. The mark of an installation has no full stop.
fn split_ours(rule_id: &str) -> Option<(&str, &str)> {
    rule_id.strip_prefix(OURS)?.split_once('.')
}

impl HomeserverClient {
    /// The account's push rules.
    ///
    /// # Errors
    /// When the request fails, or the answer has no rules.
    pub(crate) async fn push_rules(&self) -> Result<PushRules, HomeserverError> {
        let read = |body: &[u8]| from_json::<RulesAnswer>(body)?.global.0;
        let rules = self.get_with(PATH, AnswerKind::Page, read).await?;
        rules.ok_or_else(|| HomeserverError::Unexpected { path: PATH.to_owned(), missing: "global" })
    }

    /// Makes these changes in order. Removing a rule that does not exist succeeds.
    ///
    /// # Errors
    /// When a request fails; earlier changes are made.
    pub(crate) async fn change_push_rules(&self, changes: &[RuleChange]) -> Result<(), HomeserverError> {
        let path = |kind: &str, id: &str| format!("{PATH}global/{kind}/{}", encode(id));
        for change in changes {
            match change {
                RuleChange::Set { kind, id, rule } => self.put(&path(kind, id), rule).await?,
                RuleChange::Enable { kind, id } => {
                    self.put(&format!("{}/enabled", path(kind, id)), &json!({"enabled": true})).await?;
                }
                RuleChange::Remove { kind, id } => {
                    match self.send(Method::DELETE, &path(kind, id), None, AnswerKind::Small).await {
                        Err(HomeserverError::Refused(refusal)) if refusal.status == StatusCode::NOT_FOUND => {}
                        removed => drop(removed?),
                    }
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(json: Value) -> PushRules {
        serde_json::from_value(json).unwrap()
    }

    fn mute(id: &str, room: &str) -> Value {
        let condition = json!({"kind": "event_match", "key": "room_id", "pattern": room});
        json!({"rule_id": id, "enabled": true, "default": false, "conditions": [condition], "actions": []})
    }

    #[test]
    fn rules_of_a_room_are_read_as_clients_write_them() {
        fn check(overrides: &Value, rooms: &Value, expected: RoomNotify) {
            assert_eq!(rules(json!({"override": overrides, "room": rooms})).of_room("!r:hs"), expected);
        }
        let none = json!([]);
        let room = |actions: Value| json!([{"rule_id": "!r:hs", "enabled": true, "actions": actions}]);
        check(&none, &none, RoomNotify::Default);
        check(&none, &room(json!(["notify", {"set_tweak": "sound", "value": "default"}])), RoomNotify::All);
        check(&none, &room(json!([])), RoomNotify::Mentions);
        check(&none, &room(json!(["dont_notify"])), RoomNotify::Mentions);
        check(&json!([mute("!r:hs", "!r:hs")]), &room(json!(["notify"])), RoomNotify::Mute);
        check(&json!([mute("any", "!r:hs")]), &none, RoomNotify::Mute);
        check(&json!([mute("!r:hs", "!other:hs")]), &none, RoomNotify::Default);
        let mut off = mute("!r:hs", "!r:hs");
        off["enabled"] = false.into();
        check(&json!([off]), &none, RoomNotify::Default);
        check(&json!([7, {"rule_id": 7}, {"conditions": {}}]), &json!({}), RoomNotify::Default);
    }

    #[test]
    fn setting_a_room_removes_its_other_rules() {
        #[track_caller]
        fn check(rules: &PushRules, to: RoomNotify, keeps_ours: bool, expected: &[&str]) {
            let changes = rules.changes("!r:hs", to, keeps_ours);
            let said = changes.iter().map(|change| match change {
                RuleChange::Set { kind, id, .. } => format!("set {kind} {id}"),
                RuleChange::Enable { kind, id } => format!("enable {kind} {id}"),
                RuleChange::Remove { kind, id } => format!("remove {kind} {id}"),
            });
            assert_eq!(said.collect::<Vec<_>>(), expected);
        }
        let others = [mute("!other:hs", "!other:hs"), json!({"rule_id": "org.pushbell.encrypted.A.!other:hs"})];
        let none = rules(json!({"override": others}));
        check(&none, RoomNotify::All, false, &["set room !r:hs"]);
        check(&none, RoomNotify::Mute, false, &["set override !r:hs"]);
        check(&none, RoomNotify::Default, false, &[]);
        let all = rules(json!({
            "override": [mute("another", "!r:hs"), {"rule_id": "org.pushbell.encrypted.A.!r:hs", "actions": ["notify"]}],
            "room": [{"rule_id": "!r:hs", "enabled": false, "actions": []}],
        }));
        let ours = "remove override org.pushbell.encrypted.A.!r:hs";
        check(&all, RoomNotify::All, true, &["set room !r:hs", "enable room !r:hs", "remove override another", ours]);
        check(&all, RoomNotify::Mentions, true, &["set room !r:hs", "enable room !r:hs", "remove override another"]);
        check(&all, RoomNotify::Mute, true, &["set override !r:hs", ours, "remove room !r:hs"]);
        check(&all, RoomNotify::Default, false, &["remove override another", ours, "remove room !r:hs"]);
    }

    #[test]
    fn rules_of_ours_are_known_by_their_ids() {
        let RuleChange::Set { id, rule, .. } = ours("Mark_1", "!r.x:hs") else { panic!("it is set") };
        let mut ours = rule;
        ours["rule_id"] = id.clone().into();
        let server = json!({"rule_id": EVERY_ENCRYPTED, "enabled": true, "actions": ["notify"]});
        let ours = rules(json!({"override": [ours, mute("!m:hs", "!m:hs")]}));
        assert_eq!(ours.pushes_encrypted("!r.x:hs"), Some(EveryEncrypted::Ours));
        assert_eq!(ours.pushes_encrypted("!m:hs"), None);
        assert_eq!(ours.rooms_with_rules(), BTreeSet::from(["!m:hs", "!r.x:hs"]));
        assert_eq!(ours.removal_of_ours("Mark_1"), [RuleChange::Remove { kind: "override", id }]);
        assert_eq!(ours.removal_of_ours("Another"), []);
        assert_eq!(rules(json!({"override": [server]})).pushes_encrypted("!any:hs"), Some(EveryEncrypted::Homeserver));
    }
}
