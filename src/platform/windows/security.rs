//! Who may use what we make: this person alone.

use std::{
    ffi::c_void,
    io,
    os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle},
    ptr,
};

use windows_sys::Win32::{
    Foundation::LocalFree,
    Security::{
        Authorization::{
            ConvertSidToStringSidW, ConvertStringSecurityDescriptorToSecurityDescriptorW, SDDL_REVISION_1,
        },
        GetTokenInformation, PSECURITY_DESCRIPTOR, SECURITY_ATTRIBUTES, TOKEN_QUERY, TOKEN_USER, TokenUser,
    },
    System::Threading::{GetCurrentProcess, OpenProcessToken},
};

use super::wide;

/// The largest `TOKEN_USER`, with the security identifier that it points to, in words that align both.
const TOKEN_WORDS: usize = 16;

/// Characters of the longest security identifier as text: a version, an authority and 15 numbers.
const LONGEST_IDENTIFIER: usize = 200;

/// A rule that lets only this person in, in the security descriptor definition language.
#[derive(Debug)]
pub(super) struct OnlyMe(Vec<u16>);

impl OnlyMe {
    /// # Errors
    /// When the system does not say who we are.
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self(wide(format!("D:P(A;;GA;;;{})", own_identifier()?))))
    }

    /// Calls `make` with a pointer to `SECURITY_ATTRIBUTES` of this rule, valid during the call.
    ///
    /// # Errors
    /// Those of `make`, or when the system does not take the rule.
    #[expect(unsafe_code, reason = "calls of the system")]
    pub(super) fn apply<T>(&self, make: impl FnOnce(*mut c_void) -> io::Result<T>) -> io::Result<T> {
        let mut descriptor: PSECURITY_DESCRIPTOR = ptr::null_mut();
        // SAFETY: the rule ends with a null; a success stores a pointer that is ours to free.
        let read = unsafe {
            ConvertStringSecurityDescriptorToSecurityDescriptorW(
                self.0.as_ptr(),
                SDDL_REVISION_1,
                &raw mut descriptor,
                ptr::null_mut(),
            )
        };
        if read == 0 {
            return Err(io::Error::last_os_error());
        }
        let mut attributes = SECURITY_ATTRIBUTES {
            nLength: u32::try_from(size_of::<SECURITY_ATTRIBUTES>()).map_err(io::Error::other)?,
            lpSecurityDescriptor: descriptor,
            bInheritHandle: 0,
        };
        let outcome = make((&raw mut attributes).cast());
        // SAFETY: the system made it, and nothing uses it any more.
        unsafe { LocalFree(descriptor) };
        outcome
    }
}

/// The security identifier of this person, as text.
#[expect(unsafe_code, reason = "calls of the system")]
fn own_identifier() -> io::Result<String> {
    let mut token = ptr::null_mut();
    // SAFETY: a success stores a handle that is ours.
    let token = unsafe {
        if OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &raw mut token) == 0 {
            return Err(io::Error::last_os_error());
        }
        OwnedHandle::from_raw_handle(token)
    };
    let mut user = [0_usize; TOKEN_WORDS];
    let (mut needed, size) = (0, u32::try_from(size_of_val(&user)).map_err(io::Error::other)?);
    let mut text = ptr::null_mut();
    // SAFETY: `user` has the size that is said and the alignment of `TOKEN_USER`, and outlives what points into it.
    unsafe {
        let user = user.as_mut_ptr();
        if GetTokenInformation(token.as_raw_handle(), TokenUser, user.cast(), size, &raw mut needed) == 0
            || ConvertSidToStringSidW((*user.cast::<TOKEN_USER>()).User.Sid, &raw mut text) == 0
        {
            return Err(io::Error::last_os_error());
        }
    }
    // SAFETY: the text ends with a null; it is ours to free, and not used after.
    unsafe {
        let length = (0..LONGEST_IDENTIFIER).take_while(|&at| *text.add(at) != 0).count();
        let identifier = String::from_utf16_lossy(std::slice::from_raw_parts(text, length));
        LocalFree(text.cast());
        Ok(identifier)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rule_names_one_person_and_the_system_takes_it() {
        let rule = OnlyMe::new().unwrap();
        let text = String::from_utf16(&rule.0).unwrap();
        assert!(text.starts_with("D:P(A;;GA;;;S-1-5-"), "{text}");
        assert!(rule.apply(|attributes| Ok(!attributes.is_null())).unwrap());
    }
}
