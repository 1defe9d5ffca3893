//! Watching a directory: a change notification that a thread of the system's own pool waits for.

use std::{
    collections::BTreeSet,
    ffi::{OsString, c_void},
    io,
    path::Path,
    ptr,
    sync::Arc,
};

use tokio::sync::Notify;
use windows_sys::Win32::{
    Foundation::{HANDLE, INVALID_HANDLE_VALUE},
    Storage::FileSystem::{
        FILE_NOTIFY_CHANGE_DIR_NAME, FILE_NOTIFY_CHANGE_FILE_NAME, FILE_NOTIFY_CHANGE_LAST_WRITE,
        FILE_NOTIFY_CHANGE_SIZE, FindCloseChangeNotification, FindFirstChangeNotificationW, FindNextChangeNotification,
    },
    System::Threading::{INFINITE, RegisterWaitForSingleObject, UnregisterWaitEx, WT_EXECUTEINWAITTHREAD},
};

use super::wide;

const CHANGES: u32 = FILE_NOTIFY_CHANGE_FILE_NAME
    | FILE_NOTIFY_CHANGE_DIR_NAME
    | FILE_NOTIFY_CHANGE_LAST_WRITE
    | FILE_NOTIFY_CHANGE_SIZE;

/// Watches a directory until it is dropped.
pub(in crate::platform) struct DirectoryWatch {
    wait: HANDLE,
    changes: Box<Changes>,
}

/// What the waiting thread knows.
struct Changes {
    notification: HANDLE,
    stir: Arc<Notify>,
}

impl DirectoryWatch {
    /// Tells `stir` of whatever happens in the directory, from now on; `names` would be those of interest, but a change
    /// notification has none.
    ///
    /// # Errors
    /// When the directory is missing, or the system has no watch to give.
    pub(in crate::platform) fn new(
        directory: &Path,
        _names: &BTreeSet<OsString>,
        stir: &Arc<Notify>,
    ) -> io::Result<Self> {
        let directory = wide(directory);
        #[expect(unsafe_code, reason = "a call of the system")]
        // SAFETY: the path ends with a null and outlives the call.
        let notification = unsafe { FindFirstChangeNotificationW(directory.as_ptr(), 0, CHANGES) };
        if notification == INVALID_HANDLE_VALUE {
            return Err(io::Error::last_os_error());
        }
        let changes = Box::new(Changes { notification, stir: Arc::clone(stir) });
        let mut watch = Self { wait: ptr::null_mut(), changes };
        #[expect(unsafe_code, reason = "a call of the system")]
        // SAFETY: `changes` stays where it is, in its box, until the wait has been unregistered.
        let registered = unsafe {
            RegisterWaitForSingleObject(
                &raw mut watch.wait,
                notification,
                Some(changed),
                ptr::from_ref(&*watch.changes).cast(),
                INFINITE,
                WT_EXECUTEINWAITTHREAD,
            )
        };
        if registered == 0 { Err(io::Error::last_os_error()) } else { Ok(watch) }
    }
}

/// Called on the waiting thread, which waits no more until this returns.
#[expect(unsafe_code, reason = "the system calls it with a pointer")]
unsafe extern "system" fn changed(changes: *mut c_void, _timed_out: bool) {
    // SAFETY: it is the pointer that was registered, and what it points to outlives the registration.
    let changes = unsafe { &*changes.cast::<Changes>() };
    // Before anybody looks, so that nothing is missed after.
    // SAFETY: the notification is closed only after the wait has been unregistered.
    unsafe { FindNextChangeNotification(changes.notification) };
    changes.stir.notify_one();
}

#[expect(unsafe_code, reason = "the handles may be used from any thread; `Changes` only holds one and an `Arc`")]
// SAFETY: Windows handles belong to the process and not to a thread.
unsafe impl Send for DirectoryWatch {}

impl Drop for DirectoryWatch {
    fn drop(&mut self) {
        #[expect(unsafe_code, reason = "calls of the system")]
        // SAFETY: both are open until here; the first call returns when `changed` neither runs nor will.
        unsafe {
            if !self.wait.is_null() {
                UnregisterWaitEx(self.wait, INVALID_HANDLE_VALUE);
            }
            FindCloseChangeNotification(self.changes.notification);
        }
    }
}
