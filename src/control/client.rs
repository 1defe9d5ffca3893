//! The command's end of the control socket.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    path::Path,
    time::Duration,
};

use super::{LONGEST_LINE, Reply, Request};
use crate::platform::control_socket;

/// How long a command waits for the running program: longer than that takes to say that it is busy.
const PATIENCE: Duration = Duration::from_secs(15);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// Nothing runs that could answer.
    #[error("Pushbell is not running. Start it with `pushbell`.")]
    NotRunning,
    /// The control socket is out of reach.
    #[error("{path}: {source}; Pushbell cannot be reached there")]
    Unreachable {
        /// The socket.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// Something runs, but does not answer as it should.
    #[error("Pushbell runs, but does not answer ({0}). Quit it and start it again.")]
    NoAnswer(#[source] io::Error),
}

/// Asks the running program at this control socket.
///
/// # Errors
/// When nothing runs there, or it does not answer.
pub fn ask(path: &Path, request: &Request) -> Result<Reply, AskError> {
    let stream = control_socket::connect(path, PATIENCE + request.waits().unwrap_or_default()).map_err(|source| {
        let nobody = matches!(source.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused);
        if nobody { AskError::NotRunning } else { AskError::Unreachable { path: path.display().to_string(), source } }
    })?;
    exchange(stream, request).map_err(AskError::NoAnswer)
}

fn exchange(mut stream: impl Read + Write, request: &Request) -> io::Result<Reply> {
    let mut line = serde_json::to_vec(request)?;
    line.push(b'\n');
    stream.write_all(&line)?;
    let mut answer = String::new();
    BufReader::new(stream.take(LONGEST_LINE)).read_line(&mut answer)?;
    if answer.is_empty() {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it closed the connection"));
    }
    Ok(serde_json::from_str(&answer)?)
}
