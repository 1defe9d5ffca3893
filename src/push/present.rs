//! The words of popups, menu lines and history (pure).

use crate::{
    desktop::popup::{Popup, Timeout},
    notice::{Call, Notice, RoomDigest},
};

/// What a popup may show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wording {
    /// Whether the text of messages may be shown (`popup.preview`, and whether the screen is locked).
    pub show_text: bool,
    /// `popup.timeout`.
    pub timeout: Timeout,
}

/// The popup of a room.
#[must_use]
pub fn room_popup(_digest: &RoomDigest, _wording: Wording) -> Popup {
    todo!()
}

/// The popup of a call: "Bob is calling" while it rings, "Missed call from Bob" afterwards.
#[must_use]
pub fn call_popup(_call: &Call, _wording: Wording) -> Popup {
    todo!()
}

/// "127 messages in 9 rooms".
#[must_use]
pub fn summary_popup(_notices: u64, _rooms: u64, _wording: Wording) -> Popup {
    todo!()
}

/// One line for the tray's menu: who, where and the beginning of the text. At most 60 characters.
#[must_use]
pub fn menu_line(_notice: &Notice, _wording: Wording) -> String {
    todo!()
}

/// The text of a notice as history shows it: harmless, one paragraph or more; empty when there is none.
#[must_use]
pub fn body(_notice: &Notice) -> String {
    todo!()
}
