//! The few words that are said through the registry.

use std::{ffi::c_void, io, ptr};

use windows_sys::Win32::{
    Foundation::{ERROR_FILE_NOT_FOUND, ERROR_MORE_DATA, WIN32_ERROR},
    System::Registry::{
        HKEY, HKEY_CLASSES_ROOT, HKEY_CURRENT_USER, REG_ROUTINE_FLAGS, REG_SZ, RRF_RT_ANY, RRF_RT_REG_BINARY,
        RRF_RT_REG_DWORD, RRF_RT_REG_SZ, RegDeleteKeyValueW, RegGetValueW, RegSetKeyValueW,
    },
};

use super::wide;

/// Longest text that is read, in UTF-16 units; a path may be as long.
const LONGEST_TEXT: usize = 32 * 1024;

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
    outcome(status)
}

/// The text of that name below `HKEY_CURRENT_USER`, if it is there.
///
/// # Errors
/// When it cannot be read, or is no text.
pub(super) fn text(key: &str, name: &str) -> io::Result<Option<String>> {
    let mut units = vec![0_u16; LONGEST_TEXT];
    let room = size_of_val(units.as_slice());
    let Some(bytes) = value(HKEY_CURRENT_USER, key, name, RRF_RT_REG_SZ, units.as_mut_ptr().cast(), room)? else {
        return Ok(None);
    };
    units.truncate(bytes / size_of::<u16>());
    let text = String::from_utf16(&units).map_err(io::Error::other)?;
    Ok(Some(text.trim_end_matches('\0').to_owned()))
}

/// The number of that name below `HKEY_CURRENT_USER`, if it can be read.
pub(super) fn number(key: &str, name: &str) -> Option<u32> {
    let mut number = 0_u32;
    let room = ptr::from_mut(&mut number).cast();
    value(HKEY_CURRENT_USER, key, name, RRF_RT_REG_DWORD, room, size_of::<u32>()).ok()??;
    Some(number)
}

/// The first byte of the binary value of that name below `HKEY_CURRENT_USER`, if it can be read.
pub(super) fn first_byte(key: &str, name: &str) -> Option<u8> {
    let mut bytes = [0_u8; 64];
    let length =
        value(HKEY_CURRENT_USER, key, name, RRF_RT_REG_BINARY, bytes.as_mut_ptr().cast(), bytes.len()).ok()??;
    bytes[..length.min(bytes.len())].first().copied()
}

/// Deletes a value below `HKEY_CURRENT_USER`. One that is not there is as good.
///
/// # Errors
/// When it is not allowed.
pub(super) fn delete(key: &str, name: &str) -> io::Result<()> {
    let (key, name) = (wide(key), wide(name));
    #[expect(unsafe_code, reason = "a call of the system")]
    // SAFETY: both texts end with a null and outlive the call.
    let status = unsafe { RegDeleteKeyValueW(HKEY_CURRENT_USER, key.as_ptr(), name.as_ptr()) };
    if status == ERROR_FILE_NOT_FOUND { Ok(()) } else { outcome(status) }
}

/// Whether a program handles links of this scheme.
pub(super) fn handles_scheme(scheme: &str) -> bool {
    matches!(value(HKEY_CLASSES_ROOT, scheme, "URL Protocol", RRF_RT_ANY, ptr::null_mut(), 0), Ok(Some(_)))
}

/// How many bytes of a value were written to `to`, where there is room for so many; `None` where it is not there. Without
/// any room only looks whether it is.
fn value(
    hive: HKEY,
    key: &str,
    name: &str,
    kind: REG_ROUTINE_FLAGS,
    to: *mut c_void,
    room: usize,
) -> io::Result<Option<usize>> {
    let (key, name) = (wide(key), wide(name));
    let mut bytes = u32::try_from(room).map_err(io::Error::other)?;
    let size = if to.is_null() { ptr::null_mut() } else { &raw mut bytes };
    #[expect(unsafe_code, reason = "a call of the system")]
    // SAFETY: both texts end with a null and outlive the call; `to` is null, or has the room that `bytes` says.
    let status = unsafe { RegGetValueW(hive, key.as_ptr(), name.as_ptr(), kind, ptr::null_mut(), to, size) };
    match status {
        ERROR_FILE_NOT_FOUND => Ok(None),
        ERROR_MORE_DATA => Err(io::Error::new(io::ErrorKind::InvalidData, "it is too long")),
        status => outcome(status).map(|()| usize::try_from(bytes).ok()),
    }
}

fn outcome(status: WIN32_ERROR) -> io::Result<()> {
    if status == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(status.cast_signed())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_found_again_until_it_is_deleted() {
        let key = format!(r"Software\Pushbell tests\{}", std::process::id());
        assert_eq!(text(&key, "a").unwrap(), None);
        for written in ["", "péter & paul", &"x".repeat(5000)] {
            set_text(&key, "a", written).unwrap();
            assert_eq!(text(&key, "a").unwrap().as_deref(), Some(written));
        }
        assert_eq!((number(&key, "a"), first_byte(&key, "a")), (None, None));
        delete(&key, "a").unwrap();
        delete(&key, "a").unwrap();
        assert_eq!(text(&key, "a").unwrap(), None);
    }
}
