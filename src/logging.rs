//! Logs: to stderr, one line each.
//!
//! | level | for |
//! |---|---|
//! | error | something does not work and will not by itself: a person has to act |
//! | warn | something does not work now, or a homeserver behaves oddly |
//! | info | what a person who looks after the program wants to know: start, stop, a service came or went |
//! | debug | each push and what became of it, without text or names |
//! | trace | each step |
//!
//! At no level is there a text of a message, a name, or a whole pushkey.

use std::{
    io::{self, IsTerminal},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use jiff::{Timestamp, tz::TimeZone};
use tracing::{Level, Subscriber, subscriber::SetGlobalDefaultError};
use tracing_subscriber::{
    Layer, Registry,
    filter::{LevelFilter, Targets},
    fmt::{self, MakeWriter, format::Writer, time::FormatTime},
    layer::SubscriberExt,
    reload,
};

/// Changes what is logged while the program runs.
#[derive(Clone)]
pub(crate) struct LogLevel {
    handle: reload::Handle<Targets, Registry>,
    /// Set on the command line, which takes precedence over the configuration.
    fixed: bool,
}

impl LogLevel {
    /// Takes up the level of a changed configuration, unless the command line has named one.
    pub(crate) fn configure(&self, level: Level) {
        if !self.fixed && self.handle.modify(|filter| *filter = ours(level)).is_err() {
            tracing::warn!("the log level could not be changed");
        }
    }
}

/// Starts logging to stderr. `named` is the level that the command line names, `configured` that of the configuration.
///
/// # Errors
/// When it was started before.
pub(crate) fn start(named: Option<Level>, configured: Level) -> Result<LogLevel, SetGlobalDefaultError> {
    let style = Style { color: io::stderr().is_terminal(), time: !under_journald() };
    let (subscriber, level) = subscriber(named, configured, style, io::stderr);
    tracing::subscriber::set_global_default(subscriber)?;
    Ok(level)
}

/// Debounces a log line that strangers can cause.
#[derive(Debug, Default)]
pub(crate) struct LogLimiter(Mutex<Limited>);

#[derive(Debug, Default)]
struct Limited {
    logged_at: Option<Instant>,
    left_out: usize,
}

impl LogLimiter {
    /// Minimum time between two such lines.
    const INTERVAL: Duration = Duration::from_secs(60);

    /// Counts `events` at `now`. `Some` if they are to be logged: how many before them were not.
    pub(crate) fn note(&self, events: usize, now: Instant) -> Option<usize> {
        let mut limited = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if limited.logged_at.is_some_and(|at| now.saturating_duration_since(at) < Self::INTERVAL) {
            limited.left_out = limited.left_out.saturating_add(events);
            return None;
        }
        limited.logged_at = Some(now);
        Some(std::mem::take(&mut limited.left_out))
    }
}

/// The filter: our messages down to this level, and only errors of libraries, which log texts and keys.
fn ours(level: Level) -> Targets {
    // Those of encryption say with an error whose message it was.
    let silent = ["matrix_sdk", "vodozemac"].map(|library| (library, LevelFilter::OFF));
    Targets::new().with_target(env!("CARGO_CRATE_NAME"), level).with_targets(silent).with_default(Level::ERROR)
}

#[derive(Debug, Clone, Copy)]
struct Style {
    color: bool,
    time: bool,
}

fn subscriber<W>(named: Option<Level>, configured: Level, style: Style, writer: W) -> (impl Subscriber, LogLevel)
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let (filter, handle) = reload::Layer::new(ours(named.unwrap_or(configured)));
    let lines = fmt::layer().with_writer(writer).with_ansi(style.color).with_target(false).compact();
    let lines = if style.time { lines.with_timer(LocalTime).boxed() } else { lines.without_time().boxed() };
    (tracing_subscriber::registry().with(filter).with(lines), LogLevel { handle, fixed: named.is_some() })
}

/// systemd says so when stderr is its journal, which notes the time itself.
fn under_journald() -> bool {
    std::env::var_os("JOURNAL_STREAM").is_some() && !io::stderr().is_terminal()
}

struct LocalTime;

impl FormatTime for LocalTime {
    fn format_time(&self, w: &mut Writer<'_>) -> std::fmt::Result {
        let now = Timestamp::now().to_zoned(TimeZone::system());
        write!(w, "{}", now.strftime("%Y-%m-%d %H:%M:%S%.3f"))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(named: Option<Level>, then: Level) -> String {
        let lines = Lines::default();
        let writer = lines.clone();
        let style = Style { color: false, time: false };
        let (subscriber, level) = subscriber(named, Level::INFO, style, move || writer.clone());
        tracing::subscriber::with_default(subscriber, || {
            tracing::debug!("early");
            level.configure(then);
            tracing::debug!(pushes = 2, "late");
            tracing::warn!("odd");
        });
        String::from_utf8(lines.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn a_flood_of_events_is_one_line_a_minute_with_their_count() {
        let start = Instant::now();
        let limiter = LogLimiter::default();
        let mut lines = Vec::new();
        for second in [0, 1, 2, 59, 61, 62, 200] {
            lines.extend(limiter.note(2, start + Duration::from_secs(second)).map(|left_out| (second, left_out)));
        }
        assert_eq!(lines, [(0, 0), (61, 6), (200, 2)]);
    }

    #[test]
    fn a_changed_configuration_changes_what_is_logged() {
        assert_eq!(logged(None, Level::DEBUG), "DEBUG late pushes=2\n WARN odd\n");
        assert_eq!(logged(None, Level::ERROR), "");
    }

    #[test]
    fn what_libraries_say_of_what_passes_through_them_is_not_logged() {
        let lines = Lines::default();
        let writer = lines.clone();
        let style = Style { color: false, time: false };
        let (subscriber, _level) = subscriber(Some(Level::TRACE), Level::TRACE, style, move || writer.clone());
        tracing::subscriber::with_default(subscriber, || {
            tracing::warn!(target: "zbus::connection", "a message with a text");
            tracing::error!(target: "zbus::connection", "it is broken");
            tracing::trace!("ours");
        });
        let logged = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        assert_eq!(logged, "ERROR it is broken\nTRACE ours\n");
    }

    #[test]
    fn a_level_on_the_command_line_beats_the_configuration() {
        assert_eq!(logged(Some(Level::WARN), Level::TRACE), " WARN odd\n");
    }
}
