//! Looking for a device without opening it.

use std::time::Instant;

use rodio::cpal::{
    self, HostId,
    traits::{DeviceTrait as _, HostTrait as _},
};

use super::output::PROMPT;

/// Which of the system's audio hosts has a device that sounds would play on. Blocks for as long as a sound server lets
/// it wait. `has_card`: the computer has a sound card; where it has none, ALSA is not asked, since its library then
/// writes to the terminal.
///
/// # Errors
/// Says why there is none.
pub fn find_device(has_card: bool) -> Result<&'static str, String> {
    let mut reasons = Vec::new();
    for host in cpal::available_hosts() {
        if host.name().eq_ignore_ascii_case("alsa") && !has_card {
            reasons.push("no sound card".to_owned());
            continue;
        }
        let started = Instant::now();
        match look(host) {
            Ok(()) => return Ok(host.name()),
            Err(reason) if started.elapsed() < PROMPT => reasons.push(format!("{}: {reason}", host.name())),
            // The next host would most likely wait for the same server.
            Err(_) => return Err(format!("{} does not answer", host.name())),
        }
    }
    Err(reasons.join("; "))
}

fn look(host: HostId) -> Result<(), String> {
    let host = cpal::host_from_id(host).map_err(|error| error.to_string())?;
    let device = host.default_output_device().ok_or("no device")?;
    device.default_output_config().map(drop).map_err(|error| error.to_string())
}
