//! Thousands of handshakes that never finish, while a homeserver pushes.

use std::{
    io::Write,
    net::TcpStream,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};

use crate::{
    rig::{SOON, process::raise_open_files, wait_until},
    secure::{TlsApp, recorded},
};

/// Time limit of an answer: homeservers give up after 10 to 60 seconds.
const ANSWER_TIME_LIMIT: Duration = Duration::from_secs(5);
const HALF_OPEN: usize = 4_000;
const PUSHES: usize = 40;
/// The app's peak memory limit in MiB, as in `tests/hostile/`.
const MEMORY_LIMIT: u64 = 100;

/// Starts of handshakes: nothing, one byte, an incomplete `ClientHello`, and the largest incomplete one that is accepted.
fn begun(number: usize) -> Vec<u8> {
    let hello = |length: u16| [&[0x16, 3, 1], &length.to_be_bytes()[..], &[1, 0, 0xff, 0xf0][..]].concat();
    match number % 4 {
        0 => Vec::new(),
        1 => vec![0x16],
        2 => hello(512),
        _ => {
            let mut whole = hello(0x3fff);
            whole.resize(5 + 0x3fff, 0);
            whole.extend(hello(0x1000));
            whole
        }
    }
}

/// Ends the attack when dropped, also on panic.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

#[test]
fn handshakes_that_never_end_keep_no_push_out() {
    raise_open_files(2 * HALF_OPEN);
    let mut secure = TlsApp::start();
    let mut kept = secure.connect().expect("there is a certificate");
    kept.push(&secure.body("first"));
    let (over, opened) = (AtomicBool::new(false), AtomicUsize::new(0));
    let at = secure.address();
    thread::scope(|scope| {
        let _over = Over(&over);
        scope.spawn(|| {
            let mut strangers: Vec<TcpStream> = Vec::new();
            while !over.load(Relaxed) {
                let number = opened.fetch_add(1, Relaxed);
                let stream = TcpStream::connect(at).and_then(|mut stream| {
                    stream.write_all(&begun(number))?;
                    Ok(stream)
                });
                match stream {
                    Ok(stream) if strangers.len() < HALF_OPEN => strangers.push(stream),
                    Ok(stream) => strangers[number % HALF_OPEN] = stream,
                    // Disconnected at once.
                    Err(_) => {}
                }
            }
        });
        wait_until("the siege is on", SOON * 2, || opened.load(Relaxed) > HALF_OPEN);
        let mut longest = Duration::ZERO;
        for number in 0..PUSHES {
            let start = Instant::now();
            kept.push(&secure.body(&format!("kept{number}")));
            secure.connect().expect("a newcomer is let in").push(&secure.body(&format!("new{number}")));
            longest = longest.max(start.elapsed());
        }
        println!("{} handshakes begun, longest two pushes {longest:?}", opened.load(Relaxed));
        assert!(longest <= ANSWER_TIME_LIMIT, "{longest:?}");
    });
    assert_eq!(recorded(&secure.app), 1 + 2 * PUSHES);
    let peak = secure.app.pushbell.app().peak_memory();
    println!("{peak} MiB of memory at most");
    assert!(peak <= MEMORY_LIMIT, "{peak} MiB");
}
