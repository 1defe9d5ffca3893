//! The private local socket between the running program and its commands: a named pipe that lets only this person in.

use std::{
    ffi::OsString,
    io::{self, Read, Write},
    path::Path,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::windows::named_pipe::{ClientOptions, NamedPipeClient, NamedPipeServer, ServerOptions},
    runtime::{Builder, Runtime},
    sync::Mutex,
    time::timeout,
};
use windows_sys::Win32::{Foundation::ERROR_PIPE_BUSY, System::Pipes::WaitNamedPipeW};

use super::{security::OnlyMe, wide};
use crate::identity;

/// The running program's end.
#[derive(Debug)]
pub struct ControlListener {
    name: OsString,
    rule: OnlyMe,
    /// What the next client finds: there always is one.
    vacant: Mutex<NamedPipeServer>,
}

impl ControlListener {
    /// Makes the pipe that stands for this path. Only whoever holds the lock of the single instance may do this. Needs
    /// a tokio runtime.
    ///
    /// # Errors
    /// When the pipe cannot be made, or somebody else has made it.
    pub fn bind(path: &Path) -> io::Result<Self> {
        let (name, rule) = (pipe_name(path), OnlyMe::new()?);
        let vacant = Mutex::new(make(&name, &rule, true)?);
        Ok(Self { name, rule, vacant })
    }

    /// The next connection of the same person; others cannot connect.
    ///
    /// # Errors
    /// When the system cannot accept connections now.
    pub async fn accept(&self) -> io::Result<impl AsyncRead + AsyncWrite + Send + Unpin + use<>> {
        let mut vacant = self.vacant.lock().await;
        if let Err(error) = vacant.connect().await {
            // The client has gone again: the next one finds the same.
            vacant.disconnect()?;
            return Err(error);
        }
        let next = make(&self.name, &self.rule, false)?;
        Ok(std::mem::replace(&mut *vacant, next))
    }
}

fn make(name: &OsString, rule: &OnlyMe, first: bool) -> io::Result<NamedPipeServer> {
    let mut options = ServerOptions::new();
    options.first_pipe_instance(first).reject_remote_clients(true);
    rule.apply(|attributes| {
        #[expect(unsafe_code, reason = "a raw pointer is passed on")]
        // SAFETY: it points to `SECURITY_ATTRIBUTES` that are valid during the call.
        unsafe {
            options.create_with_security_attributes_raw(name, attributes)
        }
    })
}

/// Pipes have a name space of their own, without directories: the path's hash tells persons and tests apart. (FNV-1a:
/// it must be the same in every version, and keeps nobody out.)
fn pipe_name(path: &Path) -> OsString {
    let path = path.to_string_lossy().to_lowercase();
    let hash = path
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    format!(r"\\.\pipe\{}-{hash:016x}", identity::DIRECTORY_NAME).into()
}

/// A command's end. Each read and each write gives up after `patience`. Not to be called on a tokio runtime.
///
/// # Errors
/// `NotFound` when nothing runs there.
pub fn connect(path: &Path, patience: Duration) -> io::Result<impl Read + Write + use<>> {
    let name = pipe_name(path);
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let end = Instant::now() + patience;
    let pipe = loop {
        let context = runtime.enter();
        let opened = ClientOptions::new().open(&name);
        drop(context);
        match opened {
            Err(error) if error.raw_os_error() == Some(ERROR_PIPE_BUSY.cast_signed()) => wait_for_vacancy(&name, end)?,
            opened => break opened?,
        }
    };
    Ok(Connection { pipe, runtime, patience })
}

fn wait_for_vacancy(name: &OsString, end: Instant) -> io::Result<()> {
    let patience = end.saturating_duration_since(Instant::now()).as_millis();
    if patience == 0 {
        return Err(io::ErrorKind::TimedOut.into());
    }
    let name = wide(name);
    #[expect(unsafe_code, reason = "a call of the system")]
    // SAFETY: the name ends with a null and outlives the call.
    let vacant = unsafe { WaitNamedPipeW(name.as_ptr(), u32::try_from(patience).unwrap_or(u32::MAX - 1)) };
    if vacant == 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Blocking reads and writes have no deadline on a pipe; tokio's have.
struct Connection {
    pipe: NamedPipeClient,
    runtime: Runtime,
    patience: Duration,
}

impl Read for Connection {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Self { pipe, runtime, patience } = self;
        match runtime.block_on(async { timeout(*patience, pipe.read(buffer)).await })? {
            // The other end was closed.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(0),
            read => read,
        }
    }
}

impl Write for Connection {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Self { pipe, runtime, patience } = self;
        runtime.block_on(async { timeout(*patience, pipe.write(bytes)).await })?
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

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
        assert_eq!(connect_elsewhere(path).unwrap_err(), io::ErrorKind::NotFound);
        let listener = ControlListener::bind(path).unwrap();
        let client = thread::spawn(|| connect_elsewhere(path));
        assert!(listener.accept().await.is_ok());
        client.join().unwrap().unwrap();
        drop(listener);
        assert!(connect_elsewhere(path).is_err());
    }

    fn connect_elsewhere(path: &'static Path) -> Result<(), io::ErrorKind> {
        let connect = move || connect(path, Duration::from_secs(10)).map(drop).map_err(|error| error.kind());
        thread::spawn(connect).join().unwrap()
    }
}
