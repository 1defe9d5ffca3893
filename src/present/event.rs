//! A notice with its parsed content, and the title of its popup.

use std::borrow::Cow;

use super::{
    phrase::{self, Phrase, spoken},
    words::{self, Membership, Mention},
};
use crate::{
    notice::Notice,
    push::{
        event::{Meaning, meaning},
        lenient::{Object, Value},
        text,
    },
};

/// Maximum length of a name, in characters.
const MAX_NAME_CHARS: usize = 64;

/// Maximum length of the reason of an invite, kick or ban, in characters.
const MAX_REASON_CHARS: usize = 300;

/// A notice with its parsed content; for an edit, the new content. The content of a redacted event is not parsed.
pub(super) struct ParsedNotice<'a> {
    notice: &'a Notice,
    content: Object<'a>,
    /// `m.mentions`.
    mentions: Option<Object<'a>>,
    /// User ID of the account, if it is known.
    me: Option<&'a str>,
    /// Whether it belongs to a thread.
    is_in_thread: bool,
}

impl<'a> ParsedNotice<'a> {
    pub(super) fn read(notice: &'a Notice, me: Option<&'a str>) -> Self {
        let content = notice.content.as_deref().filter(|_| !notice.redacted).and_then(Object::read).unwrap_or_default();
        let relation = content.object("m.relates_to").and_then(|relation| relation.string("rel_type"));
        let (is_edit, is_in_thread) =
            (relation.as_deref() == Some("m.replace"), relation.as_deref() == Some("m.thread"));
        let mentions = content.object("m.mentions");
        let new_content = if is_edit { content.object("m.new_content") } else { None };
        Self { notice, content: new_content.unwrap_or(content), mentions, me, is_in_thread }
    }

    /// The sender: display name, or else user ID.
    pub(super) fn who(&self) -> Option<String> {
        let names = [&self.notice.sender_display_name, &self.notice.sender];
        names.into_iter().flatten().find_map(|name| readable_name(name))
    }

    /// The sender, or a substitute if unknown.
    pub(super) fn who_or_somebody(&self) -> String {
        self.who().unwrap_or_else(|| words::somebody().to_owned())
    }

    /// The room: name, or else alias.
    pub(super) fn place(&self) -> Option<String> {
        let names = [&self.notice.room_name, &self.notice.room_alias];
        names.into_iter().flatten().find_map(|name| readable_name(name))
    }

    /// Why it is a highlight: according to `m.mentions`, or else if the text contains the user's ID or `@room`. A
    /// keyword may also highlight a message that mentions others (every reply does), so if the account's user is known,
    /// only a mention of that user counts.
    pub(super) fn mention(&self) -> Option<Mention> {
        if !self.notice.highlight || self.notice.redacted {
            return None;
        }
        let Some(mentions) = &self.mentions else {
            let body = self.content.text("body").unwrap_or_default();
            return Some(match self.me {
                Some(me) if names_user(&body, me) => Mention::You,
                Some(_) | None if body.contains("@room") => Mention::Room,
                Some(_) | None => Mention::Other,
            });
        };
        let users = mentions.get("user_ids").and_then(Value::array).unwrap_or_default();
        Some(if mentions.is_true("room") {
            Mention::Room
        } else if users.iter().filter_map(|user| user.string()).any(|user| self.me.is_none_or(|me| me == user)) {
            Mention::You
        } else {
            Mention::Other
        })
    }

    /// Whether it is an invite, or a kick or ban of the recipient.
    pub(super) fn membership(&self) -> Option<Membership> {
        match self.membership_name().as_deref() {
            // Some servers set `user_is_target` wrongly for invites; an invite of another user is never pushed as one.
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
        let reason = text::paragraph(&spoken(&self.content, "reason")?, MAX_REASON_CHARS, 4);
        Some(reason).filter(|reason| !reason.is_empty())
    }

    /// "Video call" or "Voice call", if the content says which.
    pub(super) fn call_kind(&self) -> Option<&'static str> {
        let intent = self.content.string("m.call.intent");
        let offer = self.content.object("offer").and_then(|offer| offer.text("sdp")).unwrap_or_default();
        let offers = |media: &str| offer.lines().any(|line| line.starts_with(media));
        match intent.as_deref() {
            Some("video") => Some(words::video_call()),
            Some("audio") => Some(words::voice_call()),
            Some(_) | None if offers("m=video") => Some(words::video_call()),
            Some(_) | None if offers("m=audio") => Some(words::voice_call()),
            Some(_) | None => None,
        }
    }

    /// What it says, if that has visible characters.
    fn readable_text(&self) -> Option<String> {
        self.phrase().map(|said| said.text).filter(|said| !text::line(said, 1).is_empty())
    }

    /// What it says, or a substitute.
    pub(super) fn text(&self) -> String {
        self.readable_text().unwrap_or_else(|| words::new_message().to_owned())
    }

    /// Whether it has visible text.
    pub(super) fn is_readable(&self) -> bool {
        self.membership().is_some() || self.readable_text().is_some()
    }

    /// Whether a line may be prefixed with "Bob: ", because the text does not name the sender itself.
    pub(super) fn is_said_by_sender(&self) -> bool {
        self.membership().is_none() && self.phrase().is_none_or(|said| !said.names_sender)
    }

    /// What it says; `None` if unknown.
    pub(super) fn phrase(&self) -> Option<Phrase> {
        if self.notice.redacted {
            return Some(Phrase::plain(words::deleted_message()));
        }
        let who = self.who_or_somebody();
        let content = &self.content;
        let Some(event_type) = self.notice.event_type.as_deref() else { return phrase::message(content, &who) };
        let rings = || matches!(meaning(Some(event_type), self.notice.content.as_deref()), Meaning::Ringing { .. });
        match &*stable_type(event_type) {
            "m.room.message" | "m.message" => phrase::message(content, &who),
            "m.room.encrypted" => Some(Phrase::plain(words::encrypted_message())),
            "m.room.member" => Some(phrase::member(self.membership_name().as_deref(), self.reason(), &who)),
            "m.call.invite" => Some(Phrase::plain(self.call_kind().unwrap_or_else(words::unspecified_call))),
            "m.rtc.notification" | "m.call.notify" if rings() => {
                Some(Phrase::plain(self.call_kind().unwrap_or_else(words::unspecified_call)))
            }
            stable => phrase::known(stable, content, &who).or_else(|| phrase::unknown(event_type, content)),
        }
    }
}

/// The stable name of an unstable event type: "m.poll.start" for "org.matrix.msc3381.poll.start".
fn stable_type(event_type: &str) -> Cow<'_, str> {
    let proposal = event_type.strip_prefix("org.matrix.msc");
    match proposal.map(|rest| rest.trim_start_matches(|c: char| c.is_ascii_digit())) {
        Some(name) if name.starts_with('.') => format!("m{name}").into(),
        Some(_) | None => event_type.into(),
    }
}

/// The title of a popup, made of sanitised names.
pub(super) struct Headline {
    /// Sender and room, or what happened.
    pub(super) text: String,
    /// It is a complete sentence: there is nothing to add but a reason.
    pub(super) says_all: bool,
}

impl Headline {
    pub(super) fn of(event: &ParsedNotice<'_>) -> Self {
        let (who, room) = (event.who(), event.place());
        if let Some(membership) = event.membership() {
            let text = words::own_membership(membership, &event.who_or_somebody(), room.as_deref());
            return Self { text, says_all: true };
        }
        let located = |what: &str| words::located(what, room.as_deref(), event.is_in_thread);
        let text = match (event.mention(), &who) {
            (Some(mention), who) => located(&words::highlight(mention, who.as_deref())),
            (None, Some(who)) => located(who),
            (None, None) => room.unwrap_or_else(|| words::new_message().to_owned()),
        };
        Self { text, says_all: false }
    }
}

/// A sanitised name; `None` if nothing of it is visible.
fn readable_name(name: &str) -> Option<String> {
    let name = text::line(name, MAX_NAME_CHARS);
    let is_readable = name.contains(|c| !matches!(c, char::REPLACEMENT_CHARACTER | ' '));
    is_readable.then(|| text::isolated(name))
}

/// Whether a text contains a user ID, or its localpart as a word.
fn names_user(text: &str, user_id: &str) -> bool {
    let localpart = user_id.trim_start_matches('@').split(':').next().unwrap_or_default().to_lowercase();
    let text = text.to_lowercase();
    let is_word = |at: usize| {
        let (before, after) = (text[..at].chars().next_back(), text[at + localpart.len()..].chars().next());
        !before.into_iter().chain(after).any(char::is_alphanumeric)
    };
    !localpart.is_empty() && text.match_indices(&localpart).any(|(at, _)| is_word(at))
}
