//! How a picture becomes the tray icon: macOS colours it as the rest of its menu bar, others show it as it is.

use tray_icon::{Icon, Result, TrayIcon, TrayIconBuilder};

/// The icon begins with this picture.
#[cfg(target_os = "macos")]
#[must_use]
pub fn first(builder: TrayIconBuilder, picture: Icon) -> TrayIconBuilder {
    builder.with_icon_templated(picture)
}

/// The icon shows this picture from now on.
///
/// # Errors
/// When the system does not take it.
#[cfg(target_os = "macos")]
pub fn next(icon: &TrayIcon, picture: Icon) -> Result<()> {
    icon.set_icon_templated(Some(picture))
}

/// The icon begins with this picture.
#[cfg(not(target_os = "macos"))]
#[must_use]
pub fn first(builder: TrayIconBuilder, picture: Icon) -> TrayIconBuilder {
    builder.with_icon(picture)
}

/// The icon shows this picture from now on.
///
/// # Errors
/// When the system does not take it.
#[cfg(not(target_os = "macos"))]
pub fn next(icon: &TrayIcon, picture: Icon) -> Result<()> {
    icon.set_icon(Some(picture))
}
