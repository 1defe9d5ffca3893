//! Buttons of popups: which there are, and what they do.

use jiff::{SignedDuration, Timestamp};

use super::{Act, AppRequest, Controller, RoomAct, screen::About};
use crate::{
    desktop::{Desktop, OpenTarget},
    inbox::{InboxError, MutedRoom},
    notice::{Notice, NoticeId, RoomKey},
    present::{
        self,
        popup::{Action, Button, MAX_BUTTONS},
    },
};

/// How long [`Action::MuteHour`] lasts.
const MUTE_TIME: SignedDuration = SignedDuration::from_hours(1);

impl<D: Desktop> Controller<D> {
    /// The buttons of a room's popup, whose newest notice this is.
    pub(super) fn room_buttons(&self, newest: &Notice) -> Vec<Button> {
        let is_signed_in = self.user_of(newest).is_some();
        let is_room = newest.room_id.is_some() && newest.event_id.is_some();
        let button = |action: &Action| match action {
            Action::Read if is_signed_in && is_room => Some(Button::READ),
            Action::MuteHour => Some(Button::MUTE_HOUR),
            Action::Mute => Some(Button::MUTE),
            _ => None,
        };
        self.parts.config.popup.actions.iter().filter_map(button).take(MAX_BUTTONS).collect()
    }

    /// Does what a button of this popup says, or what a click on it does.
    pub(super) async fn act(&mut self, about: &About, action: Action, token: Option<String>) -> Result<(), InboxError> {
        let (About::Room { target, .. } | About::Call { target, .. }) = about else { return Ok(()) };
        match (action, about) {
            (Action::Open | Action::Answer, _) => self.open(target.clone(), token),
            (Action::Read, About::Room { room, .. }) => self.tell_read(room, target),
            (Action::MuteHour, About::Room { room, up_to, .. }) => {
                self.mute(room, *up_to, Timestamp::now().checked_add(MUTE_TIME).ok()).await?;
            }
            (Action::Mute, About::Room { room, up_to, .. }) => self.mute(room, *up_to, None).await?,
            (Action::Ignore | Action::Decline | Action::Read | Action::MuteHour | Action::Mute, _) => {}
        }
        Ok(())
    }

    /// Has the homeserver know that the room was read up to its newest message that was shown.
    fn tell_read(&self, room: &RoomKey, target: &OpenTarget) {
        let OpenTarget::Room { room_id, event_id: Some(event_id), .. } = target else { return };
        let is_public = self.parts.config.popup.public_receipts;
        self.request(AppRequest::Act(RoomAct {
            account: room.account.clone(),
            room_id: room_id.clone(),
            act: Act::Read { event_id: event_id.clone(), is_public },
        }));
    }

    /// The rooms that are muted now.
    pub(super) fn muted_rooms(&self) -> impl Iterator<Item = &MutedRoom> {
        let now = Timestamp::now();
        self.snapshot.muted.iter().filter(move |muted| muted.is_muted_at(now))
    }

    /// The messages of this room, or of all, are shown again.
    pub(super) async fn unmute(&mut self, room: Option<RoomKey>) {
        if let Err(error) = self.parts.inbox.unmute(room).await {
            return self.inbox_failed(&error);
        }
        self.refresh().await;
    }

    async fn mute(&mut self, room: &RoomKey, newest: NoticeId, until: Option<Timestamp>) -> Result<(), InboxError> {
        let notice = self.parts.inbox.notice(newest).await?;
        let name = notice.map(|notice| present::room_name(&notice)).unwrap_or_default();
        self.pending.mute(MutedRoom { room: room.clone(), name, until });
        Ok(())
    }
}
