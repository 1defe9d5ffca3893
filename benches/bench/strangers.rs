//! Strangers: new idle connections from one address, while a homeserver pushes from another.

use std::{
    collections::VecDeque,
    net::{Ipv4Addr, SocketAddr},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use socket2::{Domain, Socket, Type};

use crate::{
    load,
    rig::{
        Desktop, DesktopOptions, SOON,
        process::{Part, TempDir, raise_open_files},
        wait_until,
    },
    servers::Server,
    table::{
        Target::{AtLeast, AtMost},
        figure,
    },
};

const RATE: u64 = 5_000;
/// Open at once: more than Pushbell serves.
const OPEN: usize = 4_000;
const FROM: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// The slowest of some pushes during the flood, each on a new connection.
pub(crate) fn strangers(runs: usize) {
    let desktop = Desktop::start(DesktopOptions::BARE);
    let server = Server::alone(&desktop);
    let directory = TempDir::new();
    let mut command = Command::new(std::env::current_exe().expect("this program has a path"));
    command.args(["flood", &server.port.to_string()]);
    let flood = Part::start("flood", command, &[], directory.path());
    let opened = || flood.stdout().lines().last().and_then(|line| line.parse::<u64>().ok()).unwrap_or(0);
    wait_until("more connections are open than are served", SOON, || opened() > RATE);
    let (begun, first) = (Instant::now(), opened());
    let pushes = (0..runs * 10).map(|_| {
        thread::sleep(Duration::from_millis(200));
        let begun = Instant::now();
        load::send_one(&server).map_or(f64::INFINITY, |_| begun.elapsed().as_secs_f64())
    });
    let slowest = pushes.fold(0.0, f64::max);
    let rate = (opened() - first) as f64 / begun.elapsed().as_secs_f64();
    figure("strangers: new idle connections a second from one address", rate, AtLeast(0.9 * RATE as f64));
    figure("the slowest push from another address meanwhile, s", slowest, AtMost(2.0));
}

/// The process that opens connections; prints how many, each tenth of a second.
pub(crate) fn main(port: &str) {
    let server = SocketAddr::from((Ipv4Addr::LOCALHOST, port.parse().expect("a port")));
    raise_open_files(OPEN + 100);
    let (begun, mut open, mut opened) = (Instant::now(), VecDeque::new(), 0);
    for tick in 1.. {
        while opened < RATE * tick / 10 {
            open.push_back(connect(server).expect("a socket can be made"));
            opened += 1;
            if open.len() > OPEN {
                open.pop_front();
            }
        }
        println!("{opened}");
        thread::sleep((Duration::from_millis(100) * tick as u32).saturating_sub(begun.elapsed()));
    }
}

/// Begins a connection and does not wait for it.
fn connect(server: SocketAddr) -> std::io::Result<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SocketAddr::from((FROM, 0)).into())?;
    // Closed by a reset, so that no port stays in TIME_WAIT: there are fewer ports than connections.
    socket.set_linger(Some(Duration::ZERO))?;
    socket.set_nonblocking(true)?;
    match socket.connect(&server.into()) {
        Err(error) if error.raw_os_error() != Some(rustix::io::Errno::INPROGRESS.raw_os_error()) => Err(error),
        _ => Ok(socket),
    }
}
