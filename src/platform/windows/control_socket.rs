//! The private local socket between the running program and its commands: a named pipe for this user only.

use std::{ffi::OsString, io, path::Path, ptr, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::windows::named_pipe::{ClientOptions, NamedPipeServer, ServerOptions},
    sync::Mutex,
    time::sleep,
};
use windows_sys::Win32::{
    Foundation::{ERROR_PIPE_BUSY, LocalFree},
    Security::{
        Authorization::{ConvertStringSecurityDescriptorToSecurityDescriptorW, SDDL_REVISION_1},
        PSECURITY_DESCRIPTOR, SECURITY_ATTRIBUTES,
    },
};

use super::wide;
use crate::app_info;

/// Full access for the owner of the pipe and for nobody else, in the security descriptor definition language.
const OWNER_ONLY: &str = "D:P(A;;GA;;;OW)";

/// Retry delay while all instances of the pipe are in use.
const BUSY_RETRY: Duration = Duration::from_millis(20);

/// The running program's end.
#[derive(Debug)]
pub struct ControlListener {
    name: OsString,
    /// The instance for the next client; there is always one.
    vacant: Mutex<NamedPipeServer>,
}

impl ControlListener {
    /// Creates the pipe for this path. Requires the lock of the single instance and a tokio runtime.
    ///
    /// # Errors
    /// When the pipe cannot be created, or exists already.
    pub fn bind(path: &Path) -> io::Result<Self> {
        let name = pipe_name(path);
        let vacant = Mutex::new(make(&name, true)?);
        Ok(Self { name, vacant })
    }

    /// The next connection from the same user; others cannot connect. Cancel safe.
    ///
    /// # Errors
    /// When the system cannot accept connections now.
    pub async fn accept(&self) -> io::Result<impl AsyncRead + AsyncWrite + Send + Unpin + use<>> {
        let mut vacant = self.vacant.lock().await;
        if let Err(error) = vacant.connect().await {
            // The client has disconnected: the instance is reused for the next one.
            vacant.disconnect()?;
            return Err(error);
        }
        let next = make(&self.name, false)?;
        Ok(std::mem::replace(&mut *vacant, next))
    }
}

#[expect(unsafe_code, reason = "calls of the system")]
fn make(name: &OsString, first: bool) -> io::Result<NamedPipeServer> {
    let mut descriptor: PSECURITY_DESCRIPTOR = ptr::null_mut();
    let text = wide(OWNER_ONLY);
    // SAFETY: the text ends with a null; a success stores a pointer that is ours to free.
    let read = unsafe {
        ConvertStringSecurityDescriptorToSecurityDescriptorW(
            text.as_ptr(),
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
    let mut options = ServerOptions::new();
    options.first_pipe_instance(first).reject_remote_clients(true);
    // SAFETY: the attributes are valid during the call; the system made the descriptor, and nothing uses it after.
    unsafe {
        let made = options.create_with_security_attributes_raw(name, (&raw mut attributes).cast());
        LocalFree(descriptor);
        made
    }
}

/// Pipes have a flat name space: the path's hash distinguishes users and tests. (FNV-1a, since it must be the same in
/// every version; it is no protection.)
fn pipe_name(path: &Path) -> OsString {
    let path = path.to_string_lossy().to_lowercase();
    let hash = path
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    format!(r"\\.\pipe\{}-{hash:016x}", app_info::DIRECTORY_NAME).into()
}

/// A command's end. Waits while all instances of the pipe are in use.
///
/// # Errors
/// `NotFound` when nothing runs there.
pub async fn connect(path: &Path) -> io::Result<impl AsyncRead + AsyncWrite + Send + Unpin + use<>> {
    let name = pipe_name(path);
    loop {
        match ClientOptions::new().open(&name) {
            Err(error) if error.raw_os_error() == Some(ERROR_PIPE_BUSY.cast_signed()) => sleep(BUSY_RETRY).await,
            opened => return opened,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_path_is_the_same_pipe() {
        let check = |one: &str, other: &str, same| {
            assert_eq!(pipe_name(Path::new(one)) == pipe_name(Path::new(other)), same, "{one} {other}");
        };
        check(r"C:\Users\A\control.sock", r"c:\users\a\control.sock", true);
        check(r"C:\Users\A\control.sock", r"C:\Users\B\control.sock", false);
    }

    #[tokio::test]
    async fn one_listens_and_nobody_is_not_found() {
        let path = Path::new("one_listens_and_nobody_is_not_found");
        assert_eq!(connect(path).await.err().unwrap().kind(), io::ErrorKind::NotFound);
        let listener = ControlListener::bind(path).unwrap();
        let (accepted, connected) = tokio::join!(listener.accept(), connect(path));
        assert!(accepted.is_ok() && connected.is_ok());
        drop((listener, accepted, connected));
        assert!(connect(path).await.is_err());
    }
}
