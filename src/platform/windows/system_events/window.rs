//! A hidden window and its thread.

#![allow(clippy::missing_const_for_thread_local, reason = "it is const, which Clippy does not see for mingw")]

use std::{
    cell::RefCell,
    ffi::c_void,
    io,
    ptr::{self, NonNull},
    sync::{
        Arc,
        atomic::{AtomicPtr, Ordering},
    },
};

use windows_sys::Win32::{
    Foundation::{HWND, LPARAM, LRESULT, WPARAM},
    System::{
        LibraryLoader::GetModuleHandleW,
        RemoteDesktop::{NOTIFY_FOR_THIS_SESSION, WTSRegisterSessionNotification, WTSUnRegisterSessionNotification},
    },
    UI::WindowsAndMessaging::{
        CreateWindowExW, DefWindowProcW, DestroyWindow, DispatchMessageW, GetMessageW, MSG, PostMessageW,
        PostQuitMessage, RegisterClassW, WNDCLASSW, WS_EX_TOOLWINDOW, WS_OVERLAPPED,
    },
};

use super::{WANTED, Watch};
use crate::{identity, platform::windows::wide};

/// Longest text of a message that is read, in UTF-16 units.
const LONGEST_TEXT: usize = 64;

/// What to answer to a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// What Windows would.
    None,
    /// This.
    Number(LRESULT),
    /// Nothing any more.
    Over,
}

/// Reaches the window from any thread.
#[derive(Debug)]
pub(super) struct Remote(AtomicPtr<c_void>);

impl Remote {
    pub(super) fn post(&self, message: u32) {
        #[expect(unsafe_code, reason = "a call of the system")]
        // SAFETY: no pointer is passed but that of the window; one that has gone is refused.
        unsafe {
            PostMessageW(self.0.load(Ordering::Relaxed), message, 0, 0);
        }
    }
}

thread_local! {
    /// Of the thread that listens.
    static WATCH: RefCell<Option<Arc<Watch>>> = const { RefCell::new(None) };
}

/// Hands what Windows tells to `watch`, until that says that it is over.
///
/// # Errors
/// When there can be no window.
pub(super) fn listen(watch: &Arc<Watch>) -> io::Result<()> {
    WATCH.set(Some(Arc::clone(watch)));
    let window = open()?;
    #[expect(unsafe_code, reason = "a call of the system")]
    // SAFETY: the window is there.
    if unsafe { WTSRegisterSessionNotification(window.as_ptr(), NOTIFY_FOR_THIS_SESSION) } == 0 {
        tracing::debug!("the screen lock will not be noticed: {}", io::Error::last_os_error());
    }
    // What was wanted before there was a window.
    let remote = watch.remote.get_or_init(|| Remote(AtomicPtr::new(window.as_ptr())));
    remote.post(WANTED);
    let mut message = MSG::default();
    #[expect(unsafe_code, reason = "calls of the system")]
    // SAFETY: `message` is written by the first call and read by the second; a null window means any of this thread.
    unsafe {
        while GetMessageW(&raw mut message, ptr::null_mut(), 0, 0) > 0 {
            DispatchMessageW(&raw const message);
        }
    }
    WATCH.set(None);
    Ok(())
}

#[expect(unsafe_code, reason = "calls of the system")]
fn open() -> io::Result<NonNull<c_void>> {
    let name = wide(format!("{}.SystemEvents", identity::APP_ID));
    // SAFETY: the name ends with a null and outlives the calls; the class names a function that lives as long as we.
    unsafe {
        let instance = GetModuleHandleW(ptr::null());
        let class = WNDCLASSW {
            lpfnWndProc: Some(heard),
            hInstance: instance,
            lpszClassName: name.as_ptr(),
            ..WNDCLASSW::default()
        };
        // A second time in one process, the class is there already.
        RegisterClassW(&raw const class);
        let (no_window, no_menu, no_data) = (ptr::null_mut(), ptr::null_mut(), ptr::null());
        let style = (WS_EX_TOOLWINDOW, WS_OVERLAPPED);
        let window = CreateWindowExW(
            style.0,
            name.as_ptr(),
            ptr::null(),
            style.1,
            0,
            0,
            0,
            0,
            no_window,
            no_menu,
            instance,
            no_data,
        );
        NonNull::new(window).ok_or_else(io::Error::last_os_error)
    }
}

/// Called by Windows, on the thread of the window.
#[expect(unsafe_code, reason = "Windows calls it, and it calls Windows")]
unsafe extern "system" fn heard(window: HWND, message: u32, detail: WPARAM, extra: LPARAM) -> LRESULT {
    let watch = WATCH.with_borrow(Clone::clone);
    match watch.map_or(Answer::None, |watch| watch.heard(message, detail, extra)) {
        Answer::Number(number) => number,
        // SAFETY: these are the arguments that we were called with.
        Answer::None => unsafe { DefWindowProcW(window, message, detail, extra) },
        Answer::Over => {
            // SAFETY: the window is there and of this thread.
            unsafe {
                WTSUnRegisterSessionNotification(window);
                DestroyWindow(window);
                PostQuitMessage(0);
            }
            0
        }
    }
}

/// The text that a message of the system points to.
pub(super) fn text(extra: LPARAM) -> String {
    let start = ptr::with_exposed_provenance::<u16>(extra.cast_unsigned());
    if start.is_null() {
        return String::new();
    }
    #[expect(unsafe_code, reason = "Windows hands over a pointer")]
    // SAFETY: in a `WM_SETTINGCHANGE` it points to a text that ends with a null, and nothing after that is read.
    unsafe {
        let length = (0..LONGEST_TEXT).take_while(|&at| *start.add(at) != 0).count();
        String::from_utf16_lossy(std::slice::from_raw_parts(start, length))
    }
}
