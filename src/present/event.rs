//! A notice with its content read.

use super::{headline::Mention, message, room};
use crate::{
    notice::Notice,
    push::{
        event::{Meaning, meaning},
        lenient::{Object, Value},
        text,
    },
};

/// The most characters of a name.
const MAX_NAME_CHARS: usize = 64;

/// The most characters of the reason of an invite, a kick or a ban.
const MAX_REASON_CHARS: usize = 300;

/// What an event says.
pub(super) struct Said {
    /// The text, still raw where it is a stranger's.
    pub(super) text: String,
    /// The text begins with the sender.
    pub(super) names_sender: bool,
}

impl Said {
    /// A text that does not name its sender.
    pub(super) fn plain(text: impl Into<String>) -> Self {
        Self { text: text.into(), names_sender: false }
    }

    /// A text that begins with its sender.
    pub(super) fn sentence(text: impl Into<String>) -> Self {
        Self { text: text.into(), names_sender: true }
    }
}

/// What a member event about the recipient, or an invite, is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Membership {
    Invited,
    Removed,
    Banned,
}

/// A notice with its content read; of an edit, the new content. What was redacted is not read.
pub(super) struct Event<'a> {
    notice: &'a Notice,
    content: Object<'a>,
    /// `m.mentions`.
    mentions: Option<Object<'a>>,
    /// Whose account it is, where that is known.
    me: Option<&'a str>,
}

impl<'a> Event<'a> {
    pub(super) fn read(notice: &'a Notice, me: Option<&'a str>) -> Self {
        let content = notice.content.as_deref().filter(|_| !notice.redacted).and_then(Object::read).unwrap_or_default();
        let is_edit =
            content.object("m.relates_to").is_some_and(|it| it.string("rel_type").as_deref() == Some("m.replace"));
        let mentions = content.object("m.mentions");
        let new_content = if is_edit { content.object("m.new_content") } else { None };
        Self { notice, content: new_content.unwrap_or(content), mentions, me }
    }

    /// The sender: display name, else user ID.
    pub(super) fn who(&self) -> Option<String> {
        let names = [&self.notice.sender_display_name, &self.notice.sender];
        names.into_iter().flatten().find_map(|name| readable_name(name))
    }

    /// The sender, or a word for nobody known.
    pub(super) fn who_or_somebody(&self) -> String {
        self.who().unwrap_or_else(|| "Somebody".to_owned())
    }

    /// The room: name, else alias.
    pub(super) fn place(&self) -> Option<String> {
        let names = [&self.notice.room_name, &self.notice.room_alias];
        names.into_iter().flatten().find_map(|name| readable_name(name))
    }

    /// How a highlight came about, as far as `m.mentions` says so. A keyword highlights a message that mentions others,
    /// too (every reply does): where the account's user is known, it is that user who must be mentioned.
    pub(super) fn mention(&self) -> Option<Mention> {
        if !self.notice.highlight || self.notice.redacted {
            return None;
        }
        let Some(mentions) = &self.mentions else { return Some(Mention::Other) };
        let users = mentions.get("user_ids").and_then(Value::array).unwrap_or_default();
        Some(if mentions.is_true("room") {
            Mention::Room
        } else if users.iter().filter_map(|user| user.string()).any(|user| self.me.is_none_or(|me| me == user)) {
            Mention::You
        } else {
            Mention::Other
        })
    }

    /// Whether it is an invite, or removes or bans the recipient.
    pub(super) fn membership(&self) -> Option<Membership> {
        match self.membership_name().as_deref() {
            // Some servers get `user_is_target` wrong for invites, and nobody is told of another's invite like this.
            Some("invite") => Some(Membership::Invited),
            Some("leave") if self.notice.user_is_target => Some(Membership::Removed),
            Some("ban") if self.notice.user_is_target => Some(Membership::Banned),
            Some(_) | None => None,
        }
    }

    /// `membership` of a member event.
    fn membership_name(&self) -> Option<String> {
        if self.notice.event_type.as_deref() != Some("m.room.member") {
            return None;
        }
        self.notice.membership.clone().or_else(|| self.content.text("membership"))
    }

    /// `reason` of a member event.
    pub(super) fn reason(&self) -> Option<String> {
        let reason = text::paragraph(&self.content.text("reason")?, MAX_REASON_CHARS, 4);
        Some(reason).filter(|reason| !reason.is_empty())
    }

    /// "Video call" or "Voice call", as far as the call says so.
    pub(super) fn call_kind(&self) -> Option<&'static str> {
        let intent = self.content.string("m.call.intent");
        let offer = self.content.object("offer").and_then(|offer| offer.text("sdp")).unwrap_or_default();
        let offers = |media: &str| offer.lines().any(|line| line.starts_with(media));
        match intent.as_deref() {
            Some("video") => Some("Video call"),
            Some("audio") => Some("Voice call"),
            Some(_) | None if offers("m=video") => Some("Video call"),
            Some(_) | None if offers("m=audio") => Some("Voice call"),
            Some(_) | None => None,
        }
    }

    /// What it says; none when that is not known.
    pub(super) fn said(&self) -> Option<Said> {
        if self.notice.redacted {
            return Some(Said::plain("Message deleted"));
        }
        let who = self.who_or_somebody();
        let content = &self.content;
        let Some(event_type) = self.notice.event_type.as_deref() else { return message::message(content, &who) };
        match event_type {
            "m.room.message" | "m.message" | "org.matrix.msc1767.message" => message::message(content, &who),
            "m.room.encrypted" => Some(Said::plain("Encrypted message")),
            "m.room.member" => Some(room::member(self.membership_name().as_deref(), self.reason(), &who)),
            "m.call.invite" => Some(Said::plain(self.call_kind().unwrap_or("Call"))),
            "m.rtc.notification"
            | "org.matrix.msc4075.rtc.notification"
            | "m.call.notify"
            | "org.matrix.msc4075.call.notify" => {
                Some(match meaning(Some(event_type), self.notice.content.as_deref()) {
                    Meaning::Ringing { .. } => Said::plain(self.call_kind().unwrap_or("Call")),
                    Meaning::Message | Meaning::CallOver { .. } | Meaning::Edit { .. } | Meaning::Redaction { .. } => {
                        Said::sentence(format!("{who} started a call"))
                    }
                })
            }
            _ => message::special(event_type, content, &who)
                .or_else(|| room::state(event_type, content, &who))
                .or_else(|| message::unknown(event_type, content)),
        }
    }
}

/// A name as people may see it; none if nothing of it can be seen.
fn readable_name(name: &str) -> Option<String> {
    let name = text::line(name, MAX_NAME_CHARS);
    name.contains(|c| !matches!(c, char::REPLACEMENT_CHARACTER | ' ')).then_some(name)
}
