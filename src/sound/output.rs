//! The audio device: opened for one sound, through the first of the system's audio hosts that works.

use std::{
    error::Error as StdError,
    time::{Duration, Instant},
};

use rodio::{
    DeviceSinkBuilder, DeviceSinkError, MixerDeviceSink,
    cpal::{
        self, BufferSize, HostId,
        traits::{DeviceTrait as _, HostTrait as _},
    },
};

use super::schedule::Fault;
use crate::platform::sound_server;

/// A host that fails later than this waited for a server that does not answer. The next host would most likely wait
/// for the same server (ALSA is a way to PulseAudio).
pub(super) const PROMPT: Duration = Duration::from_secs(1);

/// Frames that are handed over at a time, 85 ms at 48 kHz: a sound may begin a little late, but must not break up on
/// a busy computer.
const BUFFER: u32 = 4096;

/// Why there is no device, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OpenError {
    pub(super) fault: Fault,
    pub(super) reason: String,
}

/// Opens the default device of the first host that has one: PulseAudio (or whatever speaks its protocol), else ALSA, or
/// what the system has instead. Says which host it is. `on_error` is called from threads of the host, possibly often.
pub(super) fn open<E>(on_error: E) -> Result<(MixerDeviceSink, &'static str), OpenError>
where
    E: FnMut(cpal::Error) + Clone + Send + 'static,
{
    sound_server::quieten();
    let mut reasons = Vec::new();
    for host in cpal::available_hosts() {
        let started = Instant::now();
        match open_on(host, on_error.clone()) {
            Ok(mut sink) => {
                sink.log_on_drop(false);
                return Ok((sink, host.name()));
            }
            Err(error) if started.elapsed() < PROMPT => {
                tracing::debug!("no sound by way of {}: {}", host.name(), chain(&error));
                reasons.push(format!("{}: {}", host.name(), chain(&error)));
            }
            Err(error) => {
                let reason = format!("{} does not answer ({}): restart the sound server", host.name(), chain(&error));
                return Err(OpenError { fault: Fault::NoAnswer, reason });
            }
        }
    }
    let reasons = reasons.join("; ");
    let reason = format!("no sound device: start a sound server (PipeWire or PulseAudio), or connect one ({reasons})");
    Err(OpenError { fault: Fault::NoDevice, reason })
}

fn open_on<E>(host: HostId, on_error: E) -> Result<MixerDeviceSink, DeviceSinkError>
where
    E: FnMut(cpal::Error) + Clone + Send + 'static,
{
    let host = cpal::host_from_id(host).map_err(DeviceSinkError::BuildError)?;
    let device = host.default_output_device().ok_or(DeviceSinkError::NoDevice)?;
    let builder = || Ok(DeviceSinkBuilder::from_device(device.clone())?.with_error_callback(on_error.clone()));
    let open = |size: BufferSize| builder()?.with_buffer_size(size).open_stream();
    open(BufferSize::Fixed(BUFFER)).or_else(|_| open(BufferSize::Default))
}

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

/// An error with its causes, on one line.
fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
