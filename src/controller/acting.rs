//! The buttons of popups and their actions.

use jiff::{SignedDuration, Timestamp};

use super::{Act, AppRequest, Controller, RoomAct, refresh::target, screen::About};
use crate::{
    accounts::{Account, CountsScope},
    app_info,
    desktop::{Desktop, OpenTarget},
    homeserver::new_transaction,
    inbox::{AccountState, InboxError, MutedRoom, Reply, Snapshot},
    notice::{Call, Notice, NoticeId, RoomKey},
    present::{
        self,
        popup::{Action, MAX_BUTTONS, Popup, PopupKey, RoomButton},
        words,
    },
    push::event,
};

/// How long [`Action::MuteHour`] lasts.
const MUTE_TIME: SignedDuration = SignedDuration::from_hours(1);

impl<D: Desktop> Controller<D> {
    /// The buttons of a room's popup; `newest` is its newest notice.
    pub(super) fn room_buttons(&self, newest: &Notice) -> Vec<Action> {
        let is_known = self.is_known(newest);
        if present::is_invite(newest) {
            return if is_known { vec![Action::Accept, Action::Reject] } else { Vec::new() };
        }
        let reply = if self.screen.takes_text() { Action::Reply } else { Action::ReplyThere };
        let may_reply = !reply.takes_text() || self.why_no_reply().is_none();
        let button = |button: &RoomButton| match button {
            RoomButton::Reply => (is_known && may_reply).then_some(reply),
            RoomButton::Read => is_known.then_some(Action::Read),
            RoomButton::MuteHour => Some(Action::MuteHour),
            RoomButton::Mute => Some(Action::Mute),
        };
        self.parts.config.popup.actions.iter().filter_map(button).take(MAX_BUTTONS).collect()
    }

    /// Why no reply is accepted now. At a locked screen the person may be somebody else.
    fn why_no_reply(&self) -> Option<&'static str> {
        if self.desktop_state.screen_locked == Some(true) {
            return Some(words::screen_locked());
        }
        (!self.options().show_text).then_some(words::no_texts())
    }

    /// The popup of a call.
    pub(super) fn call_popup(&self, call: &Call) -> Popup {
        let mut popup = present::call_popup(call, self.options());
        if call.state.is_pending() && self.declined(call).is_some() {
            popup.buttons = vec![Action::Answer, Action::Decline];
        }
        popup
    }

    /// The act that declines this call; `None` if it can only be silenced here.
    fn declined(&self, call: &Call) -> Option<RoomAct> {
        let notice = &call.notice;
        let sign_in = self.parts.accounts.find(&notice.account)?.sign_in.as_ref()?;
        let party_id = Some(&*sign_in.device_id).filter(|device| !device.is_empty()).unwrap_or(app_info::APP_NAME);
        let event_type = notice.event_type.as_deref()?;
        let content = notice.content.as_deref().unwrap_or_default();
        let (event_type, content) = event::decline(event_type, content, &call.call_id, party_id)?;
        Some(RoomAct {
            account: notice.account.clone(),
            room_id: notice.room_id.clone()?,
            act: Act::Decline { event_type, content },
        })
    }

    /// Performs an action of this popup.
    pub(super) async fn act(
        &mut self,
        about: &About,
        action: Action,
        text: Option<String>,
        token: Option<String>,
    ) -> Result<(), InboxError> {
        let (About::Room { target, .. } | About::Call { target, .. }) = about else { return Ok(()) };
        match (action, about) {
            (Action::Open | Action::Answer | Action::ReplyThere, _) => self.open(target.clone(), token),
            (Action::Read, About::Room { room, .. }) => self.send_receipt(room, target),
            (Action::MuteHour, About::Room { room, up_to, .. }) => {
                self.mute(room, *up_to, Timestamp::now().checked_add(MUTE_TIME).ok()).await?;
            }
            (Action::Mute, About::Room { room, up_to, .. }) => self.mute(room, *up_to, None).await?,
            (Action::Accept, About::Room { room, .. }) => self.request_act(room, target, Act::Join),
            (Action::Reject, About::Room { room, .. }) => self.request_act(room, target, Act::Leave),
            (Action::Reply, About::Room { room, up_to, .. }) => {
                let text = text.unwrap_or_default();
                let sent = match self.why_no_reply().filter(|_| !text.trim().is_empty()) {
                    Some(reason) => Err(words::reply_refused(reason)),
                    None => self.reply(room, *up_to, target, text.trim()).await,
                };
                if let Err(reason) = sent {
                    self.not_sent(&reason, &text);
                }
            }
            (Action::Decline, About::Call { call, .. }) => {
                let call = self.snapshot.calls.iter().find(|known| known.notice.id == *call);
                if let Some(act) = call.and_then(|call| self.declined(call)) {
                    self.request(AppRequest::Act(act));
                }
            }
            (
                Action::Ignore
                | Action::Decline
                | Action::Read
                | Action::MuteHour
                | Action::Mute
                | Action::Accept
                | Action::Reject
                | Action::Reply,
                _,
            ) => {}
        }
        Ok(())
    }

    /// Queues this text as a reply in the room, or returns why not.
    pub(super) async fn reply(
        &self,
        room: &RoomKey,
        newest: NoticeId,
        target: &OpenTarget,
        text: &str,
    ) -> Result<(), String> {
        if text.is_empty() {
            return Ok(());
        }
        let not_sent = |error: &dyn std::fmt::Display| words::reply_refused(&error.to_string());
        let sign_in = self.parts.accounts.find(&room.account).and_then(|account| account.sign_in.as_ref());
        let OpenTarget::Room { room_id, event_id: Some(event_id), .. } = target else { return Ok(()) };
        let sign_in = sign_in.ok_or_else(|| not_sent(&words::signed_out()))?;
        let answered = self.parts.inbox.notice(newest).await.map_err(|error| not_sent(&error))?;
        let answered = answered.and_then(|notice| notice.content).unwrap_or_default();
        let reply = Reply {
            account: room.account.as_str().into(),
            device_id: sign_in.device_id.clone(),
            room_id: room_id.clone(),
            transaction: new_transaction().map_err(|error| not_sent(&error))?,
            content: Some(event::reply(text, (event_id, &answered)).to_string()),
            written_at: Timestamp::now(),
        };
        if !self.parts.inbox.keep_reply(reply).await.map_err(|error| not_sent(&error))? {
            return Err(not_sent(&words::too_many_replies()));
        }
        self.request(AppRequest::SendReplies);
        self.send_receipt(room, target);
        Ok(())
    }

    /// An unread count that has fallen since the last snapshot means that something was read, or an invite answered, on
    /// another device. Pushes do not say which room, so the homeserver is asked while a popup of the account is up.
    pub(super) fn check_read_elsewhere(&self, now: &Snapshot) {
        let unread = |accounts: &[AccountState], name: &str| {
            accounts.iter().find(|account| account.account == name).map_or(0, |account| account.unread)
        };
        let is_fallen = |account: &&Account| {
            account.sign_in.is_some()
                && unread(&now.accounts, &account.name) < unread(&self.snapshot.accounts, &account.name)
        };
        for account in self.parts.accounts.iter().filter(is_fallen) {
            let rooms = now.rooms.iter().filter(|(room, _)| room.account == *account.name);
            let (invites, messages): (Vec<_>, Vec<_>) = rooms
                .filter_map(|(_, digest)| Some(&digest.as_ref()?.newest))
                .partition(|newest| present::is_invite(newest));
            for invite in invites {
                self.request_act(&invite.room(), &target(invite), Act::LookAtInvite(invite.id));
            }
            // These popups may belong to any account.
            let is_up =
                !messages.is_empty() || !now.open_calls.is_empty() || self.screen.newest(&PopupKey::Summary).is_some();
            // At zero no popup stays up, and a count per room already names the room.
            let may_stay = account.counts == CountsScope::Account && unread(&now.accounts, &account.name) > 0;
            if is_up && may_stay {
                self.request(AppRequest::LookForRead { account: account.name.to_string() });
            }
        }
    }

    fn request_act(&self, room: &RoomKey, target: &OpenTarget, act: Act) {
        let OpenTarget::Room { room_id, .. } = target else { return };
        self.request(AppRequest::Act(RoomAct { account: room.account.clone(), room_id: room_id.clone(), act }));
    }

    /// Sends the homeserver a read receipt for the newest message of the room that was shown.
    fn send_receipt(&self, room: &RoomKey, target: &OpenTarget) {
        if let OpenTarget::Room { event_id: Some(event_id), .. } = target {
            let is_public = self.parts.config.popup.public_receipts;
            self.request_act(room, target, Act::Read { event_id: event_id.clone(), is_public });
        }
    }

    /// Sends a read receipt for this message or call. Not for an invite: a user who has not joined cannot send
    /// receipts.
    pub(super) fn send_notice_receipt(&self, notice: &Notice) {
        if self.is_known(notice) && !present::is_invite(notice) {
            self.send_receipt(&notice.room(), &target(notice));
        }
    }

    /// Whether the notice has an event id and a signed-in account, so that the homeserver can be told.
    fn is_known(&self, notice: &Notice) -> bool {
        self.user_of(notice).is_some() && notice.room_id.is_some() && notice.event_id.is_some()
    }

    /// The rooms that are muted now.
    pub(super) fn muted_rooms(&self) -> impl Iterator<Item = &MutedRoom> {
        let now = Timestamp::now();
        self.snapshot.muted.iter().filter(move |muted| muted.is_muted_at(now))
    }

    /// Ends the mute of this room, or of all rooms.
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
