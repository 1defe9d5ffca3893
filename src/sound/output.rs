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

/// A host that fails only after this time has waited for a server that does not answer. The next host would probably
/// wait for the same server, since ALSA can lead to PulseAudio.
pub(super) const SERVER_TIMEOUT: Duration = Duration::from_secs(1);

/// Buffer size in frames, 85 ms at 48 kHz: a sound may start a little late, but must not break up on a busy computer.
const BUFFER: u32 = 4096;

/// Opens the default device of the first host that has one: PulseAudio or a server with its protocol, else ALSA, or the
/// system's own. Returns the host's name as well. `on_error` is called on threads of the host, possibly often.
pub(super) fn open<E>(on_error: E) -> Result<(MixerDeviceSink, &'static str), Fault>
where
    E: FnMut(cpal::Error) + Clone + Send + 'static,
{
    let (mut sink, host) = first_host(|host| open_on(host, on_error.clone())).map_err(|fault| match fault {
        Fault::NoAnswer(reason) => Fault::NoAnswer(format!("{reason}: restart the sound server")),
        Fault::NoDevice(reason) => Fault::NoDevice(format!(
            "no sound device: start a sound server (PipeWire or PulseAudio), or connect one ({reason})"
        )),
    })?;
    sink.log_on_drop(false);
    Ok((sink, host))
}

/// The name of the audio host whose device would be used. Blocks until the sound server answers.
///
/// # Errors
/// The reason why there is none.
pub(crate) fn find_device() -> Result<&'static str, Fault> {
    let look = |host| default_device(host)?.default_output_config().map(drop).map_err(DeviceSinkError::BuildError);
    first_host(look).map(|((), host)| host)
}

/// The result of the first host for which `attempt` succeeds, and the host's name.
fn first_host<T>(mut attempt: impl FnMut(HostId) -> Result<T, DeviceSinkError>) -> Result<(T, &'static str), Fault> {
    sound_server::silence_alsa();
    let mut reasons = Vec::new();
    for host in cpal::available_hosts() {
        let started = Instant::now();
        match attempt(host) {
            Ok(found) => return Ok((found, host.name())),
            Err(error) => {
                let reason = format!("{}: {}", host.name(), chain(&error));
                tracing::debug!("no sound by way of {reason}");
                if started.elapsed() >= SERVER_TIMEOUT {
                    return Err(Fault::NoAnswer(format!("{} does not answer", host.name())));
                }
                reasons.push(reason);
            }
        }
    }
    Err(Fault::NoDevice(reasons.join("; ")))
}

fn default_device(host: HostId) -> Result<cpal::Device, DeviceSinkError> {
    let host = cpal::host_from_id(host).map_err(DeviceSinkError::BuildError)?;
    host.default_output_device().ok_or(DeviceSinkError::NoDevice)
}

fn open_on<E>(host: HostId, on_error: E) -> Result<MixerDeviceSink, DeviceSinkError>
where
    E: FnMut(cpal::Error) + Clone + Send + 'static,
{
    let device = default_device(host)?;
    let builder = || Ok(DeviceSinkBuilder::from_device(device.clone())?.with_error_callback(on_error.clone()));
    let open = |size: BufferSize| builder()?.with_buffer_size(size).open_stream();
    open(BufferSize::Fixed(BUFFER)).or_else(|_| open(BufferSize::Default))
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
