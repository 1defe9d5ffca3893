#![expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "some seconds of samples"
)]

//! A private PulseAudio with a null sink, a recorder of its monitor, and the process under test.

use std::{
    f32::consts::TAU,
    fs::{self, File},
    io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;
use tokio::sync::{Semaphore, SemaphorePermit};

/// Limits how many rigs run at once: each plays and records in real time, which a busy machine interrupts.
static RIGS: Semaphore = Semaphore::const_new(2);
const RATE: usize = 48_000;
/// Below this is silence.
const SILENCE: f32 = 0.003;
/// This many samples of silence end a sound: longer than the dropouts of a busy machine, shorter than the pause in a
/// ring.
const GAP: usize = RATE * 2 / 5;
const PATIENCE: Duration = Duration::from_secs(60);

/// Sound between two silences.
#[derive(Debug, Clone)]
pub(crate) struct HeardSound {
    /// The dominant frequency, in Hz, to a few Hz.
    pub(crate) frequency: u32,
    pub(crate) milliseconds: u32,
    pub(crate) peak: f32,
}

pub(crate) struct Rig {
    home: TempDir,
    server: Option<Child>,
    recorder: Option<Child>,
    recordings: usize,
    /// How much of the recording has been evaluated, in bytes.
    heard_until: u64,
    player: Child,
    stdin: ChildStdin,
    done: Receiver<()>,
    events: Receiver<String>,
    _permit: SemaphorePermit<'static>,
}

/// Runs a tool that must succeed.
#[track_caller]
pub(crate) fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

impl Rig {
    pub(crate) fn start() -> Self {
        Self::start_with(|_, _| {})
    }

    /// The process under test finds no PulseAudio, but an ALSA device that leads to it.
    pub(crate) fn start_with_alsa() -> Self {
        Self::start_with(|home, player| {
            fs::write(home.join(".asoundrc"), "pcm.!default { type pulse }\nctl.!default { type pulse }\n").unwrap();
            // Only PulseAudio's own library accepts a server address that is a bare path.
            player.env("PULSE_SERVER", home.join("run/pulse/native")).env_remove("XDG_RUNTIME_DIR");
        })
    }

    fn start_with(prepare: impl FnOnce(&Path, &mut Command)) -> Self {
        let permit = loop {
            match RIGS.try_acquire() {
                Ok(permit) => break permit,
                Err(_) => thread::sleep(Duration::from_millis(50)),
            }
        };
        let home = TempDir::new().unwrap();
        for directory in ["run", "sounds", "share"] {
            fs::create_dir(home.path().join(directory)).unwrap();
        }
        let mut player = Command::new(std::env::current_exe().unwrap());
        player
            .args(["--exact", "player_process", "--ignored", "--nocapture", "--test-threads=1"])
            .env("RIG_SOUNDS", home.path().join("sounds"))
            .envs(environment(home.path()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(home.path().join("stderr")).unwrap());
        prepare(home.path(), &mut player);
        let mut player = player.spawn().unwrap();
        let stdin = player.stdin.take().unwrap();
        let stdout = BufReader::new(player.stdout.take().unwrap());
        let ((done_sender, done), (event_sender, events)) = (channel(), channel());
        thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                match line.strip_prefix("> ") {
                    Some("done") => _ = done_sender.send(()),
                    Some(event) => _ = event_sender.send(event.to_owned()),
                    None => {}
                }
            }
        });
        let mut rig = Self {
            home,
            server: None,
            recorder: None,
            recordings: 0,
            heard_until: 0,
            player,
            stdin,
            done,
            events,
            _permit: permit,
        };
        rig.start_server();
        rig.send("stop-all");
        rig
    }

    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    /// The path of a file in the user's sound directory.
    pub(crate) fn sound(&self, name: &str) -> PathBuf {
        self.home().join("sounds").join(name)
    }

    /// Starts the sound server and the recorder, and waits until both work.
    pub(crate) fn start_server(&mut self) {
        let socket = self.home().join("run/pulse/native");
        fs::create_dir_all(socket.parent().unwrap()).unwrap();
        let script = self.home().join("pulse.pa");
        fs::write(
            &script,
            format!(
                "load-module module-native-protocol-unix socket={} auth-anonymous=1\n\
                 load-module module-null-sink sink_name=rig rate={RATE} channels=2 norewinds=1\n\
                 set-default-sink rig\nset-default-source rig.monitor\n",
                socket.display()
            ),
        )
        .unwrap();
        let log = File::create(self.home().join("pulse.log")).unwrap();
        let server = Command::new("pulseaudio")
            .args(["-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no", "--log-target=stderr", "-F"])
            .arg(script)
            .envs(environment(self.home()))
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("pulseaudio has to be installed");
        self.server = Some(server);
        self.wait_until("the sound server answers", |rig| !rig.pactl(&["info"]).is_empty());
        self.recordings += 1;
        self.heard_until = 0;
        let recorder = Command::new("parec")
            .args(["-d", "rig.monitor", "--format=s16le", "--rate=48000", "--channels=2", "--latency-msec=20"])
            .envs(environment(self.home()))
            .stdout(File::create(self.recording()).unwrap())
            .stderr(Stdio::null())
            .spawn()
            .expect("parec has to be installed");
        self.recorder = Some(recorder);
        // A null sink works in blocks of up to two seconds until a reader with a low latency is attached.
        self.wait_until("the recorder records", |rig| rig.recorded() > Duration::from_millis(100));
    }

    /// Kills the server. The recording so far is lost.
    pub(crate) fn kill_server(&mut self) {
        for mut process in self.server.take().into_iter().chain(self.recorder.take()) {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    pub(crate) fn signal_server(&self, signal: &str) {
        let pid = self.server.as_ref().unwrap().id().to_string();
        run(Command::new("kill").args(["-s", signal, &pid]));
    }

    /// The output of pactl; empty if the server does not answer.
    pub(crate) fn pactl(&self, arguments: &[&str]) -> String {
        let output = Command::new("pactl").args(arguments).envs(environment(self.home())).output();
        String::from_utf8(output.expect("pactl has to be installed").stdout).unwrap()
    }

    /// Sends a line to the process under test, which must process it quickly; returns once it has.
    pub(crate) fn send(&mut self, line: &str) {
        let started = Instant::now();
        writeln!(self.stdin, "{line}").unwrap();
        self.done.recv_timeout(PATIENCE).unwrap_or_else(|error| panic!("{line}: {error}"));
        assert!(started.elapsed() < Duration::from_secs(1), "{line} let its caller wait");
    }

    /// Its next sound event.
    pub(crate) fn next_event(&self) -> String {
        self.events.recv_timeout(PATIENCE).expect("no event")
    }

    /// All pending sound events.
    pub(crate) fn events(&self) -> Vec<String> {
        self.events.try_iter().collect()
    }

    /// Its standard error.
    pub(crate) fn errors(&self) -> String {
        fs::read_to_string(self.home().join("stderr")).unwrap()
    }

    /// The number of its threads.
    pub(crate) fn threads(&self) -> usize {
        fs::read_dir(format!("/proc/{}/task", self.player.id())).unwrap().count()
    }

    /// Whether it has a stream.
    pub(crate) fn is_playing(&mut self) -> bool {
        !self.pactl(&["list", "short", "sink-inputs"]).is_empty()
    }

    #[track_caller]
    pub(crate) fn wait_until(&mut self, what: &str, condition: impl Fn(&mut Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !condition(self) {
            assert!(Instant::now() < deadline, "waited too long until {what}; {:?}; {}", self.events(), self.errors());
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn recording(&self) -> PathBuf {
        self.home().join(format!("recording-{}", self.recordings))
    }

    /// The length of the recording.
    pub(crate) fn recorded(&self) -> Duration {
        Duration::from_secs(self.recorded_bytes()) / u32::try_from(RATE * 4).unwrap()
    }

    /// Whole frames only.
    fn recorded_bytes(&self) -> u64 {
        fs::metadata(self.recording()).unwrap().len() / 4 * 4
    }

    /// The recording since the last [`Rig::heard`], mixed to mono.
    fn samples(&self) -> Vec<f32> {
        self.samples_from(self.heard_until)
    }

    fn samples_from(&self, start: u64) -> Vec<f32> {
        let mut bytes = Vec::new();
        let mut file = File::open(self.recording()).unwrap();
        file.seek(SeekFrom::Start(start)).unwrap();
        file.read_to_end(&mut bytes).unwrap();
        let sample = |bytes: &[u8]| f32::from(i16::from_le_bytes([bytes[0], bytes[1]])) / f32::from(i16::MAX);
        bytes.chunks_exact(4).map(|frame| f32::midpoint(sample(&frame[..2]), sample(&frame[2..]))).collect()
    }

    /// The largest step between samples in the last 10 ms of sound. A busy machine drops samples earlier, for which the
    /// player is not responsible.
    pub(crate) fn largest_final_step(&self) -> f32 {
        let samples = self.samples_from(0);
        let end = samples.iter().rposition(|sample| sample.abs() > SILENCE).unwrap_or(0);
        let last = &samples[end.saturating_sub(480)..(end + 2).min(samples.len())];
        last.windows(2).map(|pair| (pair[1] - pair[0]).abs()).fold(0.0, f32::max)
    }

    /// The sounds so far, each followed by silence or still playing.
    pub(crate) fn sounded(&self) -> Vec<HeardSound> {
        let samples = self.samples();
        let loud = samples.iter().enumerate().filter(|(_, sample)| sample.abs() > SILENCE).map(|(index, _)| index);
        let mut ranges: Vec<(usize, usize)> = Vec::new();
        for index in loud {
            match ranges.last_mut() {
                Some((_, end)) if index - *end < GAP => *end = index,
                Some(_) | None => ranges.push((index, index)),
            }
        }
        ranges.iter().map(|(start, end)| describe(&samples[*start..=*end])).collect()
    }

    /// The sounds of one command, from its first sample to the silence after its stream was closed.
    pub(crate) fn hear(&mut self, line: &str) -> Vec<HeardSound> {
        self.send(line);
        self.heard()
    }

    /// Waits for a sound to end, and returns the sounds since the last call.
    pub(crate) fn heard(&mut self) -> Vec<HeardSound> {
        self.wait_until("something is heard", |rig| rig.samples().iter().any(|sample| sample.abs() > SILENCE));
        self.wait_until("its stream is closed", |rig| !rig.is_playing());
        let closed = self.recorded();
        self.wait_until("silence is recorded", |rig| rig.recorded() > closed + Duration::from_millis(500));
        let sounded = self.sounded();
        self.heard_until = self.recorded_bytes();
        sounded
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        let player = Some(&mut self.player);
        for process in self.server.iter_mut().chain(&mut self.recorder).chain(player) {
            // The process may have ended by itself.
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// An environment without anything of the caller's desktop.
fn environment(home: &Path) -> [(&'static str, PathBuf); 8] {
    let share = home.join("share");
    [
        ("HOME", home.to_owned()),
        ("XDG_RUNTIME_DIR", home.join("run")),
        ("XDG_CONFIG_HOME", home.join("config")),
        ("XDG_DATA_HOME", home.join("data")),
        ("XDG_DATA_DIRS", share),
        ("PULSE_SERVER", PathBuf::from(format!("unix:{}", home.join("run/pulse/native").display()))),
        ("PULSE_COOKIE", home.join("cookie")),
        ("LC_ALL", PathBuf::from("C.UTF-8")),
    ]
}

/// The dominant frequency between 300 and 2990 Hz: the power of short pieces, added up.
fn describe(samples: &[f32]) -> HeardSound {
    const COARSE: usize = 8;
    const PIECE: usize = 1024;
    let bin = (RATE / COARSE) as f32 / PIECE as f32;
    let coarse = samples.chunks(COARSE).map(|chunk| chunk.iter().sum::<f32>() / COARSE as f32).collect::<Vec<_>>();
    let power = |k: usize| {
        // Goertzel's algorithm with a Hann window.
        let turn = 2.0 * (TAU * k as f32 / PIECE as f32).cos();
        let piece_power = |piece: &[f32]| {
            let (mut last, mut before) = (0.0_f32, 0.0_f32);
            for (index, sample) in piece.iter().enumerate() {
                let window = 0.5 - 0.5 * (TAU * index as f32 / piece.len() as f32).cos();
                (last, before) = (sample * window + turn * last - before, last);
            }
            last * last + before * before - turn * last * before
        };
        coarse.chunks(PIECE).map(piece_power).sum::<f32>()
    };
    let powers = (51..511).map(|k| (power(k), k)).collect::<Vec<_>>();
    let (_, strongest) = powers.iter().copied().max_by(|a, b| a.0.total_cmp(&b.0)).unwrap();
    HeardSound {
        frequency: (strongest as f32 * bin).round() as u32,
        milliseconds: (samples.len() * 1000 / RATE) as u32,
        peak: samples.iter().map(|sample| sample.abs()).fold(0.0, f32::max),
    }
}
