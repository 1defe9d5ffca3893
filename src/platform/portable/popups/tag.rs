//! By which name the system knows a popup.

use crate::{desktop::popup::PopupKey, notice::NoticeId};

/// Short, the same at every start, and another for another key: who shows a popup by the tag of one that is shown
/// replaces it.
pub(in crate::platform) fn of(key: &PopupKey) -> String {
    let (kind, parts) = match key {
        PopupKey::Room(room) => ("room", [room.account.clone(), room.room.to_stored()]),
        PopupKey::Call(NoticeId(number)) => ("call", [number.to_string(), String::new()]),
        PopupKey::Summary => ("summary", [String::new(), String::new()]),
        PopupKey::Own(topic) => ("own", [(*topic).to_owned(), String::new()]),
    };
    // FNV-1a: Windows takes 16 units in its older versions, and what collides is only replaced too early.
    let hash = parts
        .join("\0")
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    let tag = format!("{kind}-{hash:016x}");
    tag.chars().take(16).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notice::RoomKey;

    #[test]
    fn keys_have_tags_of_their_own_which_stay() {
        let room = |account: &str, room_id: &str| PopupKey::Room(RoomKey::with_id(account, room_id));
        let keys = [
            room("a", "!b"),
            room("a!", "b"),
            room("", "a"),
            room("a", ""),
            PopupKey::Call(NoticeId(1)),
            PopupKey::Call(NoticeId(2)),
            PopupKey::Summary,
            PopupKey::Own("first-run"),
            PopupKey::Own("config"),
        ];
        let tags: Vec<_> = keys.iter().map(of).collect();
        for (number, tag) in tags.iter().enumerate() {
            assert!(tag.len() <= 16, "{tag}");
            assert_eq!(tags.iter().position(|other| other == tag), Some(number), "{tag}");
        }
        assert_eq!(of(&PopupKey::Summary), "summary-af63bd4c");
    }
}
