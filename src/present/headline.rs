//! Who and where: the title of a popup.

use super::event::{Event, Membership};

/// The title when neither sender nor room is known, and the text when nothing is known of the message.
pub(super) const PLAIN_TITLE: &str = "New message";

/// How a highlight came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mention {
    /// `m.mentions.user_ids` has the account's user, or somebody where that is not known.
    You,
    /// `m.mentions.room`.
    Room,
    /// A keyword, or a server or client that does not say.
    Other,
}

/// The title of a popup.
pub(super) enum Headline {
    /// Who and where; the message is said below.
    Where(String),
    /// A sentence that says what happened.
    Sentence(String),
}

impl Headline {
    pub(super) fn of(event: &Event<'_>) -> Self {
        let somebody = event.who_or_somebody();
        let room = event.place();
        if let Some(membership) = event.membership() {
            let room = |otherwise: &str| room.clone().unwrap_or_else(|| otherwise.to_owned());
            return Self::Sentence(match membership {
                Membership::Invited => format!("{somebody} invites you to {}", room("chat")),
                Membership::Removed => format!("{somebody} removed you from {}", room("a room")),
                Membership::Banned => format!("{somebody} banned you from {}", room("a room")),
            });
        }
        let in_room = room.as_ref().map(|room| format!(" in {room}")).unwrap_or_default();
        let plain = match (event.who(), room) {
            (Some(who), Some(room)) => format!("{who} in {room}"),
            (Some(name), None) | (None, Some(name)) => name,
            (None, None) => PLAIN_TITLE.to_owned(),
        };
        Self::Where(match event.mention() {
            None => plain,
            Some(Mention::You) => format!("{somebody} mentioned you{in_room}"),
            Some(Mention::Room) => format!("{somebody} mentioned the room{in_room}"),
            Some(Mention::Other) => format!("{plain} (highlight)"),
        })
    }

    /// The title, made from names that are harmless already.
    pub(super) fn text(&self) -> &str {
        match self {
            Self::Where(text) | Self::Sentence(text) => text,
        }
    }

    /// Whether there is nothing more to say but a reason.
    pub(super) fn says_all(&self) -> bool {
        match self {
            Self::Where(_) => false,
            Self::Sentence(_) => true,
        }
    }
}
