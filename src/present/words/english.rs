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
pub(crate) const NEW_MESSAGE: &str = "New message";
pub(crate) const ENCRYPTED_MESSAGE: &str = "Encrypted message";
pub(crate) const DELETED_MESSAGE: &str = "Message deleted";
pub(crate) const PHOTO: &str = "Photo";
pub(crate) const FILE: &str = "File";
pub(crate) const VOICE_MESSAGE: &str = "Voice message";
pub(crate) const AUDIO: &str = "Audio";
pub(crate) const VIDEO: &str = "Video";
pub(crate) const LOCATION: &str = "Location";
pub(crate) const STICKER: &str = "Sticker";
pub(crate) const POLL: &str = "Poll";

/// A sender of whom nothing is known.
pub(crate) const SOMEBODY: &str = "Somebody";

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
        (Mention::You, who) => format!("{} mentioned you", who.unwrap_or(SOMEBODY)),
        (Mention::Room, who) => format!("{} mentioned the room", who.unwrap_or(SOMEBODY)),
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

pub(crate) const CALL: &str = "Call";
pub(crate) const VIDEO_CALL: &str = "Video call";
pub(crate) const VOICE_CALL: &str = "Voice call";
pub(crate) const CALL_ANSWERED: &str = "Call answered";
pub(crate) const CALL_DECLINED: &str = "Call declined";
pub(crate) const CALL_ENDED: &str = "Call ended";

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
pub(crate) const OPEN_SUMMARY: &str = "Open it to see the newest";
/// More was missed than the summary covers.
pub(crate) const CUT_SHORT: &str = "There were more than are read back.";

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
pub(crate) const WRITE_A_REPLY: &str = "Write a reply";

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
pub(crate) const WELCOME: &str = "Click to see how to connect your homeserver.";

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

pub(crate) const READ_NOT_TOLD: &str = "The homeserver could not be told that the room was read";
pub(crate) const INVITE_NOT_ASKED: &str = "The homeserver could not be asked for an invite";
pub(crate) const NOT_JOINED: &str = "The invite could not be accepted";
pub(crate) const NOT_LEFT: &str = "The invite could not be declined";
pub(crate) const NOT_DECLINED: &str =
    "The call is silent here, but its caller could not be told, and other devices may go on ringing";
pub(crate) const DECLINED_FOR_CALLER: &str =
    "The caller was told that you decline. Your other devices may go on ringing.";
pub(crate) const NO_PAGE: &str = "the page cannot be opened now";

/// Why a reply was refused before it was sent.
pub(crate) fn reply_refused(reason: &str) -> String {
    format!("It was not sent: {reason}")
}

pub(crate) const SCREEN_LOCKED: &str = "the screen was locked";
pub(crate) const NO_TEXTS: &str = "popups show no texts (popup.preview)";
pub(crate) const SIGNED_OUT: &str = "the account is no longer signed in";
pub(crate) const TOO_MANY_REPLIES: &str = "too many replies wait for their homeserver";

/// Why a reply was given up.
pub(crate) fn reply_given_up(may_be_sent: bool, reason: &str) -> String {
    let what = if may_be_sent {
        "It may have been sent: look into the room before you send it again"
    } else {
        "It was not sent"
    };
    format!("{what} ({reason})")
}

pub(crate) const SESSION_ENDED: &str = "its session has ended";
pub(crate) const REPLY_UNREADABLE: &str = "its text can no longer be read";
pub(crate) const REPLY_UNCONFIRMED: &str = "its homeserver has not confirmed it in time";

/// The labels of the tray's menu, and its tooltip.
pub(crate) mod menu {
    use super::Zoned;

    pub(crate) const MARK_AS_READ: &str = "Mark these as read";
    pub(crate) const PAUSE: &str = "Pause";
    pub(crate) const HALF_HOUR: &str = "30 minutes";
    pub(crate) const HOUR: &str = "1 hour";
    pub(crate) const UNTIL_TOMORROW: &str = "Until tomorrow";
    pub(crate) const RESUME: &str = "Resume";
    pub(crate) const MUTE_SOUNDS: &str = "Mute sounds";
    pub(crate) const MUTED_ROOMS: &str = "Muted rooms";
    pub(crate) const UNMUTE_ALL: &str = "Unmute all";
    pub(crate) const CLEAR: &str = "Clear";
    pub(crate) const CONNECT: &str = "Connect a homeserver…";
    pub(crate) const OPEN_INBOX: &str = "Open inbox";
    pub(crate) const SETTINGS: &str = "Settings";
    pub(crate) const TEST: &str = "Test notification";
    pub(crate) const AUTOSTART: &str = "Start with the desktop";
    pub(crate) const QUIT: &str = "Quit";

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
