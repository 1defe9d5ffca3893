//! Opens things with the command `open`.

use std::{ffi::OsStr, path::PathBuf, process::Stdio};

use tokio::process::Command;

/// Opens a room: by its `matrix:` link if a program handles those, else on the web.
pub(in crate::platform) async fn room(link: String, web: String) -> Result<(), String> {
    match address(link).await {
        Ok(()) => Ok(()),
        Err(_) => address(web).await,
    }
}

/// Opens an address.
pub(in crate::platform) async fn address(address: String) -> Result<(), String> {
    open(["--".as_ref(), address.as_ref()]).await
}

/// Opens a text file in the user's editor.
pub(in crate::platform) async fn text(path: PathBuf) -> Result<(), String> {
    open(["-t".as_ref(), "--".as_ref(), path.as_ref()]).await
}

async fn open<const N: usize>(arguments: [&OsStr; N]) -> Result<(), String> {
    let mut command = Command::new("/usr/bin/open");
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    match command.status().await {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("macOS could not open it ({status}): set popup.open")),
        Err(error) => Err(format!("cannot start /usr/bin/open: {error}")),
    }
}
