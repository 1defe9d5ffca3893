//! What can be seen of the desktop and the disk.

pub use crate::platform::{
    portable::probe::surroundings,
    unix::probe::{check_writable, disk},
};
