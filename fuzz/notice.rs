//! A notice without an inbox, for tests and fuzz targets of what is made from it.

use jiff::Timestamp;
use pushbell::{
    notice::{Notice, NoticeId, Presentation},
    push::notify::{Notification, Tweaks},
};

/// The notice of a push for one account, not yet shown. An edit or a redaction becomes a notice like any other.
pub(crate) fn notice_of(push: &Notification, tweaks: &Tweaks, account: &str, id: NoticeId) -> Notice {
    Notice {
        id,
        account: account.to_owned(),
        event_id: push.event_id.clone(),
        room_id: push.room_id.clone(),
        event_type: push.event_type.clone(),
        sender: push.sender.clone(),
        sender_display_name: push.sender_display_name.clone(),
        room_name: push.room_name.clone(),
        room_alias: push.room_alias.clone(),
        membership: push.membership.clone(),
        user_is_target: push.user_is_target,
        prio: push.prio,
        sound: tweaks.sound.clone(),
        highlight: tweaks.highlight,
        content: push.content.clone(),
        redacted: false,
        received_at: Timestamp::UNIX_EPOCH,
        presentation: Presentation::Waiting,
        read: false,
        sample: false,
        call_state: None,
    }
}
