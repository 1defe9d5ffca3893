//! The words in English.

use jiff::Zoned;

use super::{Membership, Mention};
use crate::{
    notice::CallState,
    present::popup::{Action, OwnPopup, ProblemKind},
    push::text::counted,
};

// Messages.

/// A message of which nothing else is known.
pub(crate) fn new_message() -> &'static str {
    "New message"
}
pub(crate) fn encrypted_message() -> &'static str {
    "Encrypted message"
}
pub(crate) fn deleted_message() -> &'static str {
    "Message deleted"
}
pub(crate) fn photo() -> &'static str {
    "Photo"
}
pub(crate) fn file() -> &'static str {
    "File"
}
pub(crate) fn voice_message() -> &'static str {
    "Voice message"
}
pub(crate) fn audio() -> &'static str {
    "Audio"
}
pub(crate) fn video() -> &'static str {
    "Video"
}
pub(crate) fn location() -> &'static str {
    "Location"
}
pub(crate) fn sticker() -> &'static str {
    "Sticker"
}
pub(crate) fn poll() -> &'static str {
    "Poll"
}

/// A sender of whom nothing is known.
pub(crate) fn somebody() -> &'static str {
    "Somebody"
}

/// A reaction; `key` is usually an emoji.
pub(crate) fn reacted(who: &str, key: Option<&str>) -> String {
    match key {
        Some(key) => format!("{who} reacted {key}"),
        None => format!("{who} reacted"),
    }
}

pub(crate) fn asks_for_verification(who: &str) -> String {
    format!("{who} asks for verification")
}

/// What `who` did, for events of which the type says nearly everything. `event_type` is the stable one; `value` is the
/// new value of what was changed, if it has one.
pub(crate) fn event(event_type: &str, value: Option<&str>, who: &str) -> Option<String> {
    let did = match (event_type, value) {
        ("m.room.tombstone", Some(reason)) => return Some(format!("The room was upgraded: {reason}")),
        ("m.room.tombstone", None) => return Some("The room was upgraded".to_owned()),
        ("m.room.name", Some(name)) => return Some(format!("{who} renamed the room to {name}")),
        ("m.room.name", None) => "removed the room's name",
        ("m.room.topic", Some(topic)) => return Some(format!("{who} changed the topic to {topic}")),
        ("m.room.topic", None) => "removed the topic",
        ("m.room.canonical_alias", Some(alias)) => {
            return Some(format!("{who} changed the room's address to {alias}"));
        }
        ("m.room.canonical_alias", None) => "removed the room's address",
        ("m.room.avatar", _) => "changed the room's picture",
        ("m.room.create", _) => "created the room",
        ("m.room.encryption", _) => "turned on encryption",
        ("m.room.guest_access", _) => "changed whether guests may join",
        ("m.room.history_visibility", _) => "changed who may read the history",
        ("m.room.join_rules", _) => "changed who may join",
        ("m.room.pinned_events", _) => "changed the pinned messages",
        ("m.room.power_levels", _) => "changed the permissions",
        ("m.room.server_acl", _) => "changed which servers may take part",
        ("m.room.third_party_invite", _) => "invited somebody by email",
        ("m.policy.rule.room" | "m.policy.rule.server" | "m.policy.rule.user", _) => "changed a ban list",
        ("m.space.child", _) => "changed the rooms of the space",
        ("m.widget" | "im.vector.modular.widgets", _) => "changed the widgets of the room",
        ("m.room.redaction", _) => "deleted a message",
        ("m.poll.response", _) => "voted in a poll",
        ("m.poll.end", _) => "ended a poll",
        ("m.rtc.notification" | "m.call.notify", _) => "started a call",
        ("m.call.candidates" | "m.call.negotiate", _) => "is connecting a call",
        _ => return None,
    };
    Some(format!("{who} {did}"))
}

pub(crate) fn live_location(who: &str, has_stopped: bool) -> String {
    if has_stopped { format!("{who} stopped sharing a live location") } else { format!("{who} shares a live location") }
}

/// A change of another user's membership; the name of that user is not known.
pub(crate) fn member(membership: Option<&str>, who: &str) -> String {
    match membership {
        Some("join") => format!("{who} joined"),
        Some("knock") => format!("{who} asks to join"),
        Some("ban") => format!("{who} banned a member"),
        Some("leave") => "A member left".to_owned(),
        Some(_) | None => format!("{who} changed a membership"),
    }
}

pub(crate) fn own_membership(membership: Membership, who: &str, room: Option<&str>) -> String {
    match (membership, room) {
        (Membership::Invited, room) => format!("{who} invites you to {}", room.unwrap_or("chat")),
        (Membership::Removed, room) => format!("{who} removed you from {}", room.unwrap_or("a room")),
        (Membership::Banned, room) => format!("{who} banned you from {}", room.unwrap_or("a room")),
    }
}

pub(crate) fn highlight(mention: Mention, who: Option<&str>) -> String {
    match (mention, who) {
        (Mention::You, who) => format!("{} mentioned you", who.unwrap_or(somebody())),
        (Mention::Room, who) => format!("{} mentioned the room", who.unwrap_or(somebody())),
        (Mention::Other, Some(who)) => format!("A highlight from {who}"),
        (Mention::Other, None) => "A highlight".to_owned(),
    }
}

/// `what`, and where it is.
pub(crate) fn located(what: &str, room: Option<&str>, is_in_thread: bool) -> String {
    match (room, is_in_thread) {
        (Some(room), true) => format!("{what} in a thread in {room}"),
        (Some(room), false) => format!("{what} in {room}"),
        (None, true) => format!("{what} in a thread"),
        (None, false) => what.to_owned(),
    }
}

// Calls.

pub(crate) fn unspecified_call() -> &'static str {
    "Call"
}
pub(crate) fn video_call() -> &'static str {
    "Video call"
}
pub(crate) fn voice_call() -> &'static str {
    "Voice call"
}
pub(crate) fn call_answered() -> &'static str {
    "Call answered"
}
pub(crate) fn call_declined() -> &'static str {
    "Call declined"
}
pub(crate) fn call_ended() -> &'static str {
    "Call ended"
}

pub(crate) fn call(state: CallState, who: &str) -> String {
    match state {
        CallState::Silenced | CallState::Ringing => format!("{who} is calling"),
        CallState::Missed => format!("Missed call from {who}"),
        CallState::Over => format!("Call from {who}"),
        CallState::PerhapsTaken => format!("Call from {who}, perhaps taken elsewhere"),
    }
}

pub(crate) fn call_member(who: &str, has_left: bool) -> String {
    if has_left { format!("{who} left a call") } else { format!("{who} is in a call") }
}

// Numbers.

pub(crate) fn messages(count: u64) -> String {
    counted(count, "message")
}

/// Messages besides those that are shown.
pub(crate) fn more(count: u64) -> String {
    format!("{count} more")
}

/// The title of a summary: "127 messages in 9 rooms".
pub(crate) fn summary(messages: u64, invites: u64, rooms: u64) -> String {
    let to_join = counted(invites, "invite");
    let what = match (messages, invites) {
        (messages, 0) => counted(messages, "message"),
        (0, _) => to_join,
        (messages, _) => format!("{} and {to_join}", counted(messages, "message")),
    };
    format!("{what} in {}", counted(rooms, "room"))
}

/// The text of a summary that names no highlights.
pub(crate) fn open_summary() -> &'static str {
    "Open it to see the newest"
}
/// More was missed than the summary covers.
pub(crate) fn cut_short() -> &'static str {
    "There were more than are read back."
}

/// "Kitchen: 47 unread"
pub(crate) fn unread_in_room(room: &str, unread: u64) -> String {
    format!("{room}: {unread} unread")
}

pub(crate) fn more_rooms(count: u64) -> String {
    format!("and more in {}", counted(count, "other room"))
}

/// The counts of the badge: "3 unread, 1 missed call", "nothing unread".
pub(crate) fn counts(unread: u64, missed_calls: u64) -> String {
    match (unread, missed_calls) {
        (0, 0) => "nothing unread".to_owned(),
        (unread, 0) => format!("{unread} unread"),
        (0, missed) => counted(missed, "missed call"),
        (unread, missed) => format!("{unread} unread, {}", counted(missed, "missed call")),
    }
}

// Buttons.

pub(crate) fn button(action: Action) -> &'static str {
    match action {
        Action::Open => "Open",
        Action::Ignore => "Dismiss",
        Action::Answer => "Answer",
        Action::Decline | Action::Reject => "Decline",
        Action::Read => "Mark as read",
        Action::MuteHour => "Mute for 1 hour",
        Action::Mute => "Mute",
        Action::Accept => "Accept",
        Action::Reply | Action::ReplyThere => "Reply",
    }
}

/// The placeholder of the text field for a reply.
pub(crate) fn write_a_reply() -> &'static str {
    "Write a reply"
}

// Popups about Pushbell itself.

/// The title.
pub(crate) fn own(popup: OwnPopup) -> &'static str {
    match popup {
        OwnPopup::Welcome => "Pushbell is ready",
        OwnPopup::Problem(kind) => problem(kind),
        OwnPopup::NotOpened => "It could not be opened",
        OwnPopup::TestFailed => "The test did not arrive",
        OwnPopup::AutostartFailed => "Starting with the desktop could not be changed",
        OwnPopup::NotDone => "Not everything was done",
        OwnPopup::NotSent => "A reply may not have been sent",
        OwnPopup::Unverified => "Not all encrypted messages can be read",
        OwnPopup::BackupReset => "The key backup was reset",
        OwnPopup::NewSignIn => "New sign-in",
        OwnPopup::VerificationAsked => "Verification asked for",
        OwnPopup::MoreUnread => "More is unread",
    }
}

/// The title of a problem, in its popup and in `pushbell status`.
pub(crate) fn problem(kind: ProblemKind) -> &'static str {
    match kind {
        ProblemKind::Configuration => "The configuration has a fault",
        ProblemKind::Accounts => "The accounts cannot be read",
        ProblemKind::Listen => "Not all addresses can be listened on",
        ProblemKind::Certificate => "The certificate needs your attention",
        ProblemKind::Inbox => "The inbox cannot be used",
        ProblemKind::Damage => "The inbox was damaged",
        ProblemKind::SignIn => "Signed out by the homeserver",
        ProblemKind::ControlSocket => "The control socket cannot be made",
        ProblemKind::Relay => "The relay gives no pushes",
    }
}

/// The text of the popup of the first start.
pub(crate) fn welcome() -> &'static str {
    "Click to see how to connect your homeserver."
}

pub(crate) fn session_ended(user: &str, reason: &str, receives_messages: bool, command: &str) -> String {
    let effect = if receives_messages {
        "Pushes still come, but what is missed is no longer fetched"
    } else {
        "New messages no longer come to this desktop"
    };
    format!("{user}: {reason}. {effect}. Run {command}")
}

pub(crate) fn relay_refuses(user: &str, reason: &str) -> String {
    format!("{user}: {reason}. New messages may not come. `pushbell doctor` says more")
}

#[cfg(feature = "encryption")]
pub(crate) fn session_unverified(account: &str, was_verified: bool) -> String {
    let why = if was_verified {
        "is no longer verified, as after resetting the account's cross-signing"
    } else {
        "is not verified"
    };
    format!(
        "{account}: this session {why}. Some senders do not share the keys of their messages with it. Run `pushbell \
         verify {account}`."
    )
}

#[cfg(feature = "encryption")]
pub(crate) fn backup_reset(account: &str) -> String {
    format!(
        "{account}: the key backup was deleted or replaced, and is no longer read. Run `pushbell verify {account} \
         --with-backup`."
    )
}

#[cfg(feature = "encryption")]
pub(crate) fn new_sign_in(account: &str, session: &str) -> String {
    format!("{account}: {session}. If it was not you, end that session in your usual client.")
}

#[cfg(feature = "encryption")]
pub(crate) fn verification_asked(account: &str, session: &str) -> String {
    format!("{account}: your session {session} asks to verify Pushbell. Run `pushbell verify {account}`.")
}

// What became of actions.

pub(crate) fn read_not_told() -> &'static str {
    "The homeserver could not be told that the room was read"
}
pub(crate) fn invite_not_asked() -> &'static str {
    "The homeserver could not be asked for an invite"
}
pub(crate) fn not_joined() -> &'static str {
    "The invite could not be accepted"
}
pub(crate) fn not_left() -> &'static str {
    "The invite could not be declined"
}
pub(crate) fn not_declined() -> &'static str {
    "The call is silent here, but its caller could not be told, and other devices may go on ringing"
}
pub(crate) fn declined_for_caller() -> &'static str {
    "The caller was told that you decline. Your other devices may go on ringing."
}
pub(crate) fn no_page() -> &'static str {
    "the page cannot be opened now"
}

/// Why a reply was refused before it was sent.
pub(crate) fn reply_refused(reason: &str) -> String {
    format!("It was not sent: {reason}")
}

pub(crate) fn screen_locked() -> &'static str {
    "the screen was locked"
}
pub(crate) fn no_texts() -> &'static str {
    "popups show no texts (popup.preview)"
}
pub(crate) fn signed_out() -> &'static str {
    "the account is no longer signed in"
}
pub(crate) fn too_many_replies() -> &'static str {
    "too many replies wait for their homeserver"
}

/// Why a reply was given up.
pub(crate) fn reply_given_up(may_be_sent: bool, reason: &str) -> String {
    let what = if may_be_sent {
        "It may have been sent: look into the room before you send it again"
    } else {
        "It was not sent"
    };
    format!("{what} ({reason})")
}

pub(crate) fn reply_session_ended() -> &'static str {
    "its session has ended"
}
pub(crate) fn reply_unreadable() -> &'static str {
    "its text can no longer be read"
}
pub(crate) fn reply_unconfirmed() -> &'static str {
    "its homeserver has not confirmed it in time"
}

/// The labels of the tray's menu, and its tooltip.
pub(crate) mod menu {
    use super::Zoned;

    pub(crate) fn mark_as_read() -> &'static str {
        "Mark these as read"
    }
    pub(crate) fn pause() -> &'static str {
        "Pause"
    }
    pub(crate) fn half_hour() -> &'static str {
        "30 minutes"
    }
    pub(crate) fn hour() -> &'static str {
        "1 hour"
    }
    pub(crate) fn until_tomorrow() -> &'static str {
        "Until tomorrow"
    }
    pub(crate) fn resume() -> &'static str {
        "Resume"
    }
    pub(crate) fn mute_sounds() -> &'static str {
        "Mute sounds"
    }
    pub(crate) fn muted_rooms() -> &'static str {
        "Muted rooms"
    }
    pub(crate) fn unmute_all() -> &'static str {
        "Unmute all"
    }
    pub(crate) fn clear() -> &'static str {
        "Clear"
    }
    pub(crate) fn connect() -> &'static str {
        "Connect a homeserver…"
    }
    pub(crate) fn open_inbox() -> &'static str {
        "Open inbox"
    }
    pub(crate) fn settings() -> &'static str {
        "Settings"
    }
    pub(crate) fn test() -> &'static str {
        "Test notification"
    }
    pub(crate) fn autostart() -> &'static str {
        "Start with the desktop"
    }
    pub(crate) fn quit() -> &'static str {
        "Quit"
    }

    /// "08:00", or with the date.
    pub(crate) fn time(time: &Zoned, has_date: bool) -> String {
        time.strftime(if has_date { "%-d %b, %H:%M" } else { "%H:%M" }).to_string()
    }

    pub(crate) fn paused_until(time: &str) -> String {
        format!("Paused until {time}")
    }

    /// "Unmute Kitchen (until 08:00)"
    pub(crate) fn unmute(room: &str, until: Option<&str>) -> String {
        match until {
            Some(time) => format!("Unmute {room} (until {time})"),
            None => format!("Unmute {room}"),
        }
    }

    pub(crate) fn tooltip(program: &str, counts: &str, paused_until: Option<&str>) -> String {
        match paused_until {
            Some(time) => format!("{program}: {counts}, paused until {time}"),
            None => format!("{program}: {counts}"),
        }
    }
}
