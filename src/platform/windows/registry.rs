//! The few words that are said through the registry.

use std::{io, ptr};

use windows_sys::Win32::System::Registry::{
    HKEY_CLASSES_ROOT, HKEY_CURRENT_USER, REG_SZ, RRF_RT_ANY, RegGetValueW, RegSetKeyValueW,
};

use super::wide;

/// Sets a text below `HKEY_CURRENT_USER`; makes the key.
///
/// # Errors
/// When it is not allowed.
pub(super) fn set_text(key: &str, name: &str, text: &str) -> io::Result<()> {
    let (key, name, text) = (wide(key), wide(name), wide(text));
    let bytes = u32::try_from(size_of_val(text.as_slice())).map_err(io::Error::other)?;
    #[expect(unsafe_code, reason = "a call of the system")]
    // SAFETY: the three texts end with a null and outlive the call, and `bytes` is the size of the last.
    let status =
        unsafe { RegSetKeyValueW(HKEY_CURRENT_USER, key.as_ptr(), name.as_ptr(), REG_SZ, text.as_ptr().cast(), bytes) };
    if status == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(status.cast_signed())) }
}

/// Whether a program handles links of this scheme.
pub(super) fn handles_scheme(scheme: &str) -> bool {
    let (key, name) = (wide(scheme), wide("URL Protocol"));
    #[expect(unsafe_code, reason = "a call of the system")]
    // SAFETY: both texts end with a null and outlive the call; nothing is asked for but whether the value is there.
    let status = unsafe {
        RegGetValueW(
            HKEY_CLASSES_ROOT,
            key.as_ptr(),
            name.as_ptr(),
            RRF_RT_ANY,
            ptr::null_mut(),
            ptr::null_mut(),
            ptr::null_mut(),
        )
    };
    status == 0
}
