//! The command's end of the control socket.

use std::{io, path::PathBuf, thread, time::Duration};

use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader},
    runtime,
    time::timeout,
};

use super::{Instance, LONGEST_LINE, Reply, Request, Status};
use crate::{paths::Paths, platform::control_socket, push::text};

/// Time limit for an answer; longer than the program takes to say that it is busy.
const PATIENCE: Duration = Duration::from_secs(15);
/// Maximum length of a reason, in characters.
const MAX_REASON: usize = 200;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AskError {
    /// Nothing runs that could answer.
    #[error("Pushbell is not running. Start it with `pushbell`.")]
    NotRunning,
    /// Something runs, but no control socket of it was found.
    #[error(
        "{} is held by a Pushbell without a control socket (its log says why) or by `pushbell login`: nothing answers \
         at {} ({source})", lock.display(), list(places)
    )]
    Unreachable {
        /// The lock of the single instance.
        lock: PathBuf,
        /// Where control sockets were looked for.
        places: Vec<PathBuf>,
        /// What the system said of the last of them.
        source: io::Error,
    },
    /// Something runs, but does not answer, or not with a valid reply.
    #[error("Pushbell runs, but does not answer ({0}). Quit it and start it again.")]
    NoAnswer(#[source] io::Error),
    /// The request failed; the reason as one sanitised line.
    #[error("{0}")]
    Failed(String),
}

impl AskError {
    /// Whether no program accepts commands.
    pub(crate) fn is_absent(&self) -> bool {
        matches!(self, Self::NotRunning | Self::Unreachable { .. })
    }

    /// The reply does not fit the request.
    pub(crate) fn unexpected() -> Self {
        Self::NoAnswer(io::Error::other("its reply is that of another version"))
    }
}

/// As [`ask`], for callers that are not asynchronous. Blocks, also where the calling thread drives a tokio runtime.
///
/// # Errors
/// As [`ask`].
pub(crate) fn ask_blocking(paths: &Paths, request: &Request) -> Result<Reply, AskError> {
    let asking = || {
        let runtime = runtime::Builder::new_current_thread().enable_all().build().map_err(AskError::NoAnswer)?;
        runtime.block_on(ask(paths, request))
    };
    thread::scope(|scope| {
        scope.spawn(asking).join().unwrap_or_else(|_| Err(AskError::NoAnswer(io::Error::other("asking has failed"))))
    })
}

/// Asks the running program. The reply is not [`Reply::Failed`].
///
/// # Errors
/// When nothing runs, it does not answer, or could not do it.
pub(crate) async fn ask(paths: &Paths, request: &Request) -> Result<Reply, AskError> {
    let mut source = io::Error::from(io::ErrorKind::NotFound);
    for place in &paths.control {
        match timeout(PATIENCE, control_socket::connect(place)).await.unwrap_or_else(|late| Err(late.into())) {
            Ok(stream) => {
                let reply = exchange(stream, request).await.map_err(AskError::NoAnswer)?;
                if let Reply::Failed { reason } = reply {
                    return Err(AskError::Failed(text::line(&reason, MAX_REASON)));
                }
                return Ok(reply);
            }
            Err(error) => source = error,
        }
    }
    if Instance::is_held(paths) {
        return Err(AskError::Unreachable { lock: paths.lock.clone(), places: paths.control.clone(), source });
    }
    Err(AskError::NotRunning)
}

impl Reply {
    /// The status that was asked for.
    ///
    /// # Errors
    /// When the reply is of another kind.
    pub(crate) fn into_status(self) -> Result<Status, AskError> {
        let Self::Status(status) = self else { return Err(AskError::unexpected()) };
        Ok(*status)
    }
}

async fn exchange(stream: impl AsyncRead + AsyncWrite + Unpin, request: &Request) -> io::Result<Reply> {
    let mut stream = BufReader::new(stream);
    let mut line = serde_json::to_vec(request)?;
    line.push(b'\n');
    let mut answer = Vec::new();
    let exchanged = async {
        stream.get_mut().write_all(&line).await?;
        match (&mut stream).take(LONGEST_LINE).read_until(b'\n', &mut answer).await {
            // A closed pipe on Windows.
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
            _ => Ok(()),
        }
    };
    timeout(PATIENCE + request.waits().unwrap_or_default(), exchanged).await??;
    if answer.is_empty() {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it closed the connection"));
    }
    Ok(serde_json::from_slice(&answer)?)
}

fn list(places: &[PathBuf]) -> String {
    let places: Vec<_> = places.iter().map(|place| place.display().to_string()).collect();
    places.join(" or ")
}
