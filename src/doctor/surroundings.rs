//! Checks the desktop's services: session bus, popups, tray, sound, screen lock, keyring (pure).

use std::io;

use super::{Finding, Remedy, words};
use crate::{
    config::{Config, Preview},
    control::Status,
    desktop::ServiceState,
    platform::{
        autostart::Autostart,
        probe::{Seen, Surroundings},
    },
    push::text,
    sound::{Fault, OpenError},
};

const NO_BUS: &str = "there is no session bus";

/// `seen`: the services, `None` if looking took too long. `device`: the sound device, `None` likewise. `signed_in`:
/// whether an account has an access token to store.
pub(super) fn check(
    seen: Option<Surroundings>,
    device: Option<Result<&'static str, OpenError>>,
    status: Option<&Status>,
    config: &Config,
    signed_in: bool,
) -> Vec<Finding> {
    let seen = seen.unwrap_or_else(|| Surroundings { session_bus: Seen::Silent, ..Surroundings::default() });
    let findings = [
        session_bus(&seen.session_bus),
        popups(&seen, status, config),
        tray(&seen.tray, status),
        Some(sound(device, status, config, seen.do_not_disturb && config.quiet.follow_desktop)),
        screen_lock(&seen.screen_lock, config),
        keyring(&seen.keyring, signed_in),
    ];
    findings.into_iter().flatten().collect()
}

/// The finding for a sound that cannot be played.
pub(super) fn unplayable(fault: &str) -> Finding {
    Finding::warning("sound", words(fault))
        .advise(
            "Put a WAV, Ogg, FLAC or MP3 file of at most 2 minutes in its place; until then the bundled chime is heard",
        )
        .remedy(Remedy::ChooseSounds)
}

/// Whether Pushbell starts with the desktop; `None` if that took too long to find out.
pub(super) fn starting(found: Option<io::Result<Autostart>>) -> Finding {
    const PART: &str = "autostart";
    match found {
        None => Finding::warning(PART, "cannot be told in time").advise("`pushbell autostart status` says more"),
        Some(Err(error)) => Finding::warning(PART, format!("cannot be told: {}", words(error))),
        Some(Ok(Autostart { problem: Some(problem), .. })) => Finding::warning(PART, words(problem)),
        Some(Ok(Autostart { on: true, by, .. })) => Finding::good(PART, format!("is on, by {}", words(by))),
        Some(Ok(Autostart { on: false, .. })) => {
            Finding::good(PART, "is off: `pushbell autostart on` starts Pushbell with the desktop")
                .remedy(Remedy::Autostart)
        }
    }
}

fn session_bus(seen: &Seen) -> Option<Finding> {
    const PART: &str = "session bus";
    match seen {
        Seen::Unknown | Seen::NoSessionBus => None,
        Seen::Present(_) => Some(Finding::good(PART, "answers")),
        Seen::Silent => {
            Some(Finding::fault(PART, "does not answer, and popups and tray with it").advise("Log out and in again"))
        }
        Seen::Absent(reason) => Some(
            Finding::fault(PART, format!("there is none, and so neither popups nor tray ({})", words(reason))).advise(
                "Start Pushbell inside the desktop session: a terminal over SSH, cron and sudo have no session bus",
            ),
        ),
    }
}

fn popups(seen: &Surroundings, status: Option<&Status>, config: &Config) -> Option<Finding> {
    const PART: &str = "popups";
    if !config.popup.enabled {
        return Some(Finding::good(PART, "are turned off in the configuration"));
    }
    let service = match &seen.popups {
        Seen::Silent => {
            return Some(
                Finding::fault(PART, "the notification service does not answer")
                    .advise("Restart the notification service, or log out and in again"),
            );
        }
        Seen::NoSessionBus => return Some(Finding::fault(PART, format!("none can be shown: {NO_BUS}"))),
        Seen::Absent(reason) => {
            return Some(
                Finding::fault(PART, format!("none can be shown: {}", words(reason)))
                    .advise("Start your desktop's notification service, or install one (dunst, mako, xfce4-notifyd)"),
            );
        }
        Seen::Present(service) => Some(words(service)),
        Seen::Unknown => None,
    };
    let state = status.map(|status| &status.popup);
    if let Some(reason) = unavailable(status, state) {
        // The reason contains its own advice.
        return Some(Finding::fault(PART, reason));
    }
    let Some(service) = service else {
        let says = words(state?.reason.as_deref().unwrap_or("can be shown"));
        return Some(Finding::good(PART, says).remedy(Remedy::TestPopup));
    };
    let finding = if seen.capabilities.is_empty() {
        Finding::good(PART, service)
    } else if seen.capabilities.iter().any(|capability| capability == "actions") {
        Finding::good(PART, format!("{service} ({})", words(seen.capabilities.join(", "))))
    } else {
        Finding::warning(PART, format!("{service} knows no actions: a click on a popup opens nothing"))
            .advise("Another notification service does (dunst, mako, xfce4-notifyd)")
    };
    Some(finding.remedy(Remedy::TestPopup))
}

fn tray(seen: &Seen, status: Option<&Status>) -> Option<Finding> {
    const PART: &str = "tray";
    if status.is_some_and(|status| status.no_tray) {
        return Some(Finding::good(PART, "turned off with --no-tray"));
    }
    Some(match (seen, unavailable(status, status.map(|status| &status.tray))) {
        (Seen::Silent, _) => {
            Finding::fault(PART, "what shows tray icons does not answer").advise("Restart the panel, or log out and in")
        }
        (Seen::NoSessionBus, _) => Finding::warning(PART, format!("there is no icon: {NO_BUS}")),
        (Seen::Absent(advice), _) => {
            Finding::warning(PART, "nothing shows the icon with its badge").advise(text::capitalized(&words(advice)))
        }
        (Seen::Present(_) | Seen::Unknown, Some(reason)) => Finding::warning(PART, reason),
        (Seen::Present(what), None) => Finding::good(PART, words(what)),
        (Seen::Unknown, None) => {
            status?;
            Finding::good(PART, "shows the icon")
        }
    })
}

fn sound(
    device: Option<Result<&'static str, OpenError>>,
    status: Option<&Status>,
    config: &Config,
    do_not_disturb: bool,
) -> Finding {
    const PART: &str = "sound";
    if !config.sound.enabled {
        return Finding::good(PART, "is turned off in the configuration");
    }
    let silent = |says: String| {
        Finding::fault(PART, says)
            .advise("Restart it: `systemctl --user restart pipewire pipewire-pulse`, or `pulseaudio -k`")
    };
    match device {
        None => silent("the sound server does not answer".to_owned()),
        Some(Err(OpenError { fault: Fault::NoAnswer, reason })) => silent(words(reason)),
        Some(Err(OpenError { fault: Fault::NoDevice, reason })) => {
            Finding::warning(PART, format!("there is nothing to play on ({})", words(reason)))
                .advise("Start a sound server (PipeWire or PulseAudio), or connect a device")
        }
        Some(Ok(host)) => match status {
            Some(status) if status.muted => {
                Finding::warning(PART, "is muted from the tray").advise("Turn \"Mute\" off in the tray menu")
            }
            Some(Status { sound: ServiceState { available: false, reason }, .. }) => {
                Finding::warning(PART, words(reason.as_deref().unwrap_or("the last one could not be played")))
            }
            Some(_) | None if do_not_disturb => {
                Finding::warning(PART, "is silent while the desktop is set to \"do not disturb\"").advise(
                    "Turn that off in the desktop, or set quiet.follow_desktop = false in pushbell.toml to hear sounds \
                     all the same",
                )
            }
            Some(_) | None => Finding::good(PART, format!("plays by way of {host}")).remedy(Remedy::TestSound),
        },
    }
}

fn screen_lock(seen: &Seen, config: &Config) -> Option<Finding> {
    const PART: &str = "screen lock";
    match seen {
        Seen::Unknown => None,
        Seen::Present(what) => Some(Finding::good(PART, words(what))),
        Seen::Absent(_) | Seen::NoSessionBus | Seen::Silent if config.popup.preview == Preview::Unlocked => {
            Some(Finding::warning(PART, "nobody can say whether the screen is locked: popups never show text").advise(
                "Run a screen locker that tells (that of your desktop, or one by way of logind), or set \
                 popup.preview = \"always\" in pushbell.toml",
            ))
        }
        Seen::Absent(_) | Seen::NoSessionBus | Seen::Silent => {
            Some(Finding::good(PART, "is not known, and matters only with popup.preview = \"unlocked\""))
        }
    }
}

fn keyring(seen: &Seen, signed_in: bool) -> Option<Finding> {
    const PART: &str = "keyring";
    match seen {
        Seen::Unknown => None,
        Seen::Present(what) => Some(Finding::good(PART, words(what))),
        Seen::Absent(_) | Seen::NoSessionBus if signed_in => {
            let reason = if let Seen::Absent(reason) = seen { words(reason) } else { NO_BUS.to_owned() };
            Some(
                Finding::warning(PART, format!("{reason}: access tokens may be in a file that only you can read"))
                    .advise("To have a keyring, install and unlock one (gnome-keyring, KWallet), then sign in again"),
            )
        }
        Seen::Absent(_) | Seen::NoSessionBus => Some(Finding::good(PART, "is not needed: nobody is signed in")),
        Seen::Silent => Some(
            Finding::warning(PART, "does not answer").advise("Unlock it, or restart it by logging out and in again"),
        ),
    }
}

/// Why the running program does without a service. If it has just started, it knows less than this check.
fn unavailable(status: Option<&Status>, state: Option<&ServiceState>) -> Option<String> {
    let state = state.filter(|state| !state.available && !status.is_some_and(|status| status.is_starting))?;
    Some(words(state.reason.as_deref().unwrap_or("is not available")))
}
