//! What can be seen of the desktop and the disk.

pub use crate::platform::{
    portable::probe::{has_sound_card, surroundings},
    unix::probe::{check_writable, disk},
};
