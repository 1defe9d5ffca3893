//! A hidden window and its thread.

#![allow(clippy::missing_const_for_thread_local, reason = "it is const, which Clippy does not see for mingw")]

use std::{
    cell::RefCell,
    ffi::c_void,
    io,
    ptr::{self, NonNull},
    rc::Rc,
};

use windows_sys::Win32::{
    Foundation::{HWND, LPARAM, LRESULT, WPARAM},
    System::{
        LibraryLoader::GetModuleHandleW,
        RemoteDesktop::{NOTIFY_FOR_THIS_SESSION, WTSRegisterSessionNotification},
    },
    UI::WindowsAndMessaging::{
        CreateWindowExW, DefWindowProcW, DispatchMessageW, GetMessageW, MSG, RegisterClassW, WNDCLASSW,
        WS_EX_TOOLWINDOW, WS_OVERLAPPED,
    },
};

use super::Listener;
use crate::{app_info, platform::windows::wide};

/// Longest text of a message that is read, in UTF-16 units.
const MAX_TEXT: usize = 64;

thread_local! {
    /// The listener of this thread.
    static LISTENER: RefCell<Option<Rc<Listener>>> = const { RefCell::new(None) };
}

/// Passes window messages to `listener`. Returns only on failure.
///
/// # Errors
/// When the window cannot be created.
pub(super) fn listen(listener: Listener) -> io::Result<()> {
    LISTENER.set(Some(Rc::new(listener)));
    let window = open()?;
    #[expect(unsafe_code, reason = "a call of the system")]
    // SAFETY: the window exists.
    if unsafe { WTSRegisterSessionNotification(window.as_ptr(), NOTIFY_FOR_THIS_SESSION) } == 0 {
        tracing::debug!("the screen lock will not be noticed: {}", io::Error::last_os_error());
    }
    let mut message = MSG::default();
    #[expect(unsafe_code, reason = "calls of the system")]
    // SAFETY: `message` is written by the first call and read by the second; a null window means any of this thread.
    unsafe {
        while GetMessageW(&raw mut message, ptr::null_mut(), 0, 0) > 0 {
            DispatchMessageW(&raw const message);
        }
    }
    Ok(())
}

#[expect(unsafe_code, reason = "calls of the system")]
fn open() -> io::Result<NonNull<c_void>> {
    let name = wide(format!("{}.SystemEvents", app_info::APP_ID));
    // SAFETY: the name ends with a null and outlives the calls; the class names a function that lives as long as we.
    unsafe {
        let instance = GetModuleHandleW(ptr::null());
        let class = WNDCLASSW {
            lpfnWndProc: Some(window_procedure),
            hInstance: instance,
            lpszClassName: name.as_ptr(),
            ..WNDCLASSW::default()
        };
        // Fails if the class is registered already, which is no problem.
        RegisterClassW(&raw const class);
        let (no_window, no_menu, no_data) = (ptr::null_mut(), ptr::null_mut(), ptr::null());
        let window = CreateWindowExW(
            WS_EX_TOOLWINDOW,
            name.as_ptr(),
            ptr::null(),
            WS_OVERLAPPED,
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

/// Called by Windows on the thread of the window.
#[expect(unsafe_code, reason = "Windows calls it, and it calls Windows")]
unsafe extern "system" fn window_procedure(window: HWND, message: u32, detail: WPARAM, extra: LPARAM) -> LRESULT {
    let listener = LISTENER.with_borrow(Clone::clone);
    let answer = listener.and_then(|listener| listener.answer(message, detail, extra));
    // SAFETY: these are the arguments that we were called with.
    answer.unwrap_or_else(|| unsafe { DefWindowProcW(window, message, detail, extra) })
}

/// The text to which a `WM_SETTINGCHANGE` message points.
pub(super) fn text(extra: LPARAM) -> String {
    let start = ptr::with_exposed_provenance::<u16>(extra.cast_unsigned());
    if start.is_null() {
        return String::new();
    }
    #[expect(unsafe_code, reason = "Windows hands over a pointer")]
    // SAFETY: in a `WM_SETTINGCHANGE` it points to a text that ends with a null, and nothing after that is read.
    unsafe {
        let length = (0..MAX_TEXT).take_while(|&at| *start.add(at) != 0).count();
        String::from_utf16_lossy(std::slice::from_raw_parts(start, length))
    }
}
