//! Preparation for the system's sound server.

#[cfg(target_os = "linux")]
use std::{env, fs, path::PathBuf};
use std::{io, path::Path};

#[cfg(target_os = "linux")]
use super::files;

/// Size of PulseAudio's cookie. Servers reject any other size.
#[cfg(target_os = "linux")]
const COOKIE: [u8; 256] = [0; 256];

/// Ensures that there is a PulseAudio cookie: without one, our client library sends none and is rejected even by
/// servers that need none. `directory` is a private directory for a substitute.
///
/// Changes the environment: call it while the program is single-threaded.
///
/// # Errors
/// When the file cannot be written.
#[cfg(target_os = "linux")]
pub(crate) fn prepare(directory: &Path) -> io::Result<()> {
    if env::var_os("PULSE_COOKIE").is_some_and(|path| Path::new(&path).is_file()) {
        return Ok(());
    }
    let home = env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    if home.join(".config/pulse/cookie").is_file() || home.join(".pulse-cookie").is_file() {
        return Ok(());
    }
    // Another place of PulseAudio's own cookie, which our client library does not know.
    let configured = env::var_os("XDG_CONFIG_HOME").map(|directory| Path::new(&directory).join("pulse/cookie"));
    let cookie = match configured.filter(|path| path.is_file()) {
        Some(path) => path,
        None => empty_cookie(directory)?,
    };
    #[expect(unsafe_code, reason = "no other thread runs yet that could read the environment")]
    // SAFETY: the caller promises that.
    unsafe {
        env::set_var("PULSE_COOKIE", cookie);
    }
    Ok(())
}

/// Keeps ALSA's library from writing to stderr, on this thread, about each device that it tries. Failures are reported
/// through the error that follows.
#[cfg(target_os = "linux")]
pub(crate) fn silence_alsa() {
    if let Err(error) = alsa::Output::local_error_handler() {
        tracing::debug!("ALSA may write to stderr: {error}");
    }
}

/// The cookie that PulseAudio's own library sends if there is none.
#[cfg(target_os = "linux")]
fn empty_cookie(directory: &Path) -> io::Result<PathBuf> {
    let path = directory.join("pulse-cookie");
    if fs::read(&path).ok().as_deref() != Some(&COOKIE) {
        files::create_private_directory(directory)?;
        files::replace_private(&path, &COOKIE)?;
    }
    Ok(path)
}

/// Elsewhere the system plays sounds itself.
///
/// # Errors
/// None.
#[cfg(not(target_os = "linux"))]
#[expect(clippy::unnecessary_wraps, reason = "it can fail on Linux")]
pub(crate) fn prepare(_directory: &Path) -> io::Result<()> {
    Ok(())
}

/// Nothing writes anywhere there.
#[cfg(not(target_os = "linux"))]
pub(crate) fn silence_alsa() {}
