//! Opens things by the Windows shell, as a double click would.

use std::{io, path::PathBuf, ptr};

use tokio::{process::Command, task};
use windows_registry::CLASSES_ROOT;
use windows_sys::Win32::{
    Foundation::ERROR_NO_ASSOCIATION,
    System::Com::{COINIT_APARTMENTTHREADED, COINIT_DISABLE_OLE1DDE, CoInitializeEx, CoUninitialize},
    UI::{
        Shell::{SEE_MASK_FLAG_NO_UI, SEE_MASK_NOASYNC, SHELLEXECUTEINFOW, ShellExecuteExW},
        WindowsAndMessaging::SW_SHOWNORMAL,
    },
};

use super::wide;

/// Opens a room: by its `matrix:` link if a program handles those, else on the web.
pub(in crate::platform) async fn room(link: String, web: String) -> Result<(), String> {
    let is_handled = CLASSES_ROOT.open("matrix").and_then(|key| key.get_type("URL Protocol")).is_ok();
    address(if is_handled { link } else { web }).await
}

/// Opens an address.
pub(in crate::platform) async fn address(address: String) -> Result<(), String> {
    shell(address.into()).await.map_err(|error| format!("Windows could not open the address: {error}"))
}

/// Opens a text file.
pub(in crate::platform) async fn text(path: PathBuf) -> Result<(), String> {
    let opened = match shell(path.clone()).await {
        Err(error) if error.raw_os_error() == Some(ERROR_NO_ASSOCIATION.cast_signed()) => {
            Command::new("notepad.exe").arg(&path).spawn().map(drop)
        }
        opened => opened,
    };
    opened.map_err(|error| format!("Windows could not open {}: {error}", path.display()))
}

async fn shell(what: PathBuf) -> io::Result<()> {
    task::spawn_blocking(move || execute(&wide(what))).await.map_err(io::Error::other)?
}

/// Opens an address or a path, with a terminating null. Blocks.
#[expect(unsafe_code, reason = "calls of the system")]
fn execute(what: &[u16]) -> io::Result<()> {
    let mut request = SHELLEXECUTEINFOW {
        cbSize: u32::try_from(size_of::<SHELLEXECUTEINFOW>()).map_err(io::Error::other)?,
        // Failures are reported by the caller, and the thread ends soon.
        fMask: SEE_MASK_FLAG_NO_UI | SEE_MASK_NOASYNC,
        lpFile: what.as_ptr(),
        nShow: SW_SHOWNORMAL,
        ..SHELLEXECUTEINFOW::default()
    };
    // SAFETY: what `request` points to outlives the call, and each initialization is undone on the same thread.
    unsafe {
        let initialized =
            CoInitializeEx(ptr::null(), (COINIT_APARTMENTTHREADED | COINIT_DISABLE_OLE1DDE).cast_unsigned());
        let done = ShellExecuteExW(&raw mut request);
        let outcome = if done == 0 { Err(io::Error::last_os_error()) } else { Ok(()) };
        if initialized >= 0 {
            CoUninitialize();
        }
        outcome
    }
}
