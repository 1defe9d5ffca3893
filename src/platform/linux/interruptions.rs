//! Detects that the clock was set, a network came up, or an address was added or removed, by a timer that the kernel
//! cancels and by its routing sockets (rtnetlink(7)). Nothing else wakes the program.

use std::{
    io,
    os::fd::OwnedFd,
    time::{Duration, Instant, SystemTime},
};

use rustix::{
    io::Errno,
    net::{AddressFamily, RecvFlags, SocketFlags, SocketType, netlink::SocketAddrNetlink},
    time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec},
};
use tokio::io::{Interest, unix::AsyncFd};

use crate::platform::Interruption;

/// Minimum difference for a jump of the clock, as by setting it or by sleep; smaller corrections are frequent.
const JUMP: Duration = Duration::from_secs(10);

/// `RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE`. Without addresses: those of IPv6 are renewed every few minutes.
const ROUTE_GROUPS: u32 = 0x40 | 0x400;
/// `RTM_NEWROUTE`
const NEW_ROUTE: u16 = 24;
/// `RTN_UNICAST`
const UNICAST: u8 = 1;
/// `AF_INET6`
const IPV6: u8 = 10;
/// Length of a `nlmsghdr`.
const HEADER: usize = 16;

/// Detects interruptions, as far as the system allows it.
#[derive(Debug)]
pub(crate) struct Interruptions {
    clock: Option<ClockWatch>,
    routes: Option<AsyncFd<OwnedFd>>,
}

#[derive(Debug)]
struct ClockWatch {
    timer: AsyncFd<OwnedFd>,
    seen: ClockPair,
}

/// The wall clock and the monotonic clock, which stops while the computer sleeps.
#[derive(Debug, Clone, Copy)]
struct ClockPair {
    wall: SystemTime,
    steady: Instant,
}

impl ClockPair {
    fn now() -> Self {
        Self { wall: SystemTime::now(), steady: Instant::now() }
    }

    /// The difference between their progress.
    fn drift_since(self, before: Self) -> Duration {
        let expected = before.wall + (self.steady - before.steady);
        self.wall.duration_since(expected).unwrap_or_else(|behind| behind.duration())
    }
}

impl Interruptions {
    /// Starts watching. Needs a tokio runtime.
    #[must_use]
    pub(crate) fn watch() -> Self {
        let told = |what: &str, error: &io::Error| tracing::warn!("{what} is not noticed: {error}");
        Self {
            clock: ClockWatch::new().inspect_err(|error| told("a jump of the clock", error)).ok(),
            routes: netlink(ROUTE_GROUPS).inspect_err(|error| told("a new network", error)).ok(),
        }
    }

    /// Waits for the next one. Cancel safe.
    pub(crate) async fn next(&mut self) -> Interruption {
        let Self { clock, routes } = self;
        tokio::select! {
            () = clock_jumps(clock) => Interruption::ClockJumped,
            () = route_comes(routes) => Interruption::NetworkCame,
        }
    }
}

impl ClockWatch {
    fn new() -> io::Result<Self> {
        let timer =
            rustix::time::timerfd_create(TimerfdClockId::Realtime, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        let never = Timespec { tv_sec: i64::from(u32::MAX) * 2, tv_nsec: 0 };
        let none = Timespec { tv_sec: 0, tv_nsec: 0 };
        rustix::time::timerfd_settime(
            &timer,
            TimerfdTimerFlags::ABSTIME | TimerfdTimerFlags::CANCEL_ON_SET,
            &Itimerspec { it_interval: none, it_value: never },
        )?;
        Ok(Self { timer: readable(timer)?, seen: ClockPair::now() })
    }
}

async fn clock_jumps(watch: &mut Option<ClockWatch>) {
    while let Some(ClockWatch { timer, seen }) = watch {
        let read = timer.async_io(Interest::READABLE, |timer| Ok(rustix::io::read(timer, &mut [0; 8])?)).await;
        match read {
            Err(error) if error.raw_os_error() == Some(Errno::CANCELED.raw_os_error()) => {
                let now = ClockPair::now();
                let drift = now.drift_since(*seen);
                *seen = now;
                if drift >= JUMP {
                    return;
                }
            }
            // The timer expired or is unusable.
            Ok(_) | Err(_) => *watch = None,
        }
    }
    std::future::pending::<()>().await;
}

/// A socket that receives the kernel's messages of these groups.
fn netlink(groups: u32) -> io::Result<AsyncFd<OwnedFd>> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    // No protocol is `NETLINK_ROUTE`.
    let socket = rustix::net::socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None)?;
    rustix::net::bind(&socket, &SocketAddrNetlink::new(0, groups))?;
    readable(socket)
}

fn readable(descriptor: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    #[expect(unsafe_code, reason = "an OwnedFd stays the same descriptor, open for as long as it lives")]
    // SAFETY: see the reason above.
    unsafe { AsyncFd::register_with_interest(descriptor, Interest::READABLE) }.map_err(Into::into)
}

async fn route_comes(routes: &mut Option<AsyncFd<OwnedFd>>) {
    let mut messages = [0; 8192];
    while let Some(socket) = routes {
        let read = socket
            .async_io(Interest::READABLE, |socket| Ok(rustix::net::recv(socket, &mut messages, RecvFlags::DONTWAIT)?.1))
            .await;
        match read {
            Ok(length) if brings_route(&messages[..length.min(messages.len())]) => return,
            Ok(_) => {}
            // The socket's buffer overflowed.
            Err(error) if error.raw_os_error() == Some(Errno::NOBUFS.raw_os_error()) => return,
            Err(error) => {
                tracing::warn!("a new network is no longer noticed: {error}");
                *routes = None;
            }
        }
    }
    std::future::pending::<()>().await;
}

/// Whether these messages contain a new route to other computers (`nlmsghdr` and `rtmsg`, see rtnetlink(7)).
fn brings_route(mut messages: &[u8]) -> bool {
    while let Some((header, rest)) = messages.split_at_checked(HEADER) {
        let length = u32::from_ne_bytes([header[0], header[1], header[2], header[3]]) as usize;
        let kind = u16::from_ne_bytes([header[4], header[5]]);
        let Some(body) = length.checked_sub(HEADER).and_then(|length| rest.get(..length)) else { return false };
        if kind == NEW_ROUTE
            && let [family, destination_bits, _, _, _, _, _, UNICAST, ..] = *body
            // Every interface has these link-local and multicast routes.
            && !(family == IPV6 && [64, 128].contains(&destination_bits))
        {
            return true;
        }
        messages = messages.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    false
}

/// `RTMGRP_IPV4_IFADDR` and `RTMGRP_IPV6_IFADDR`.
const ADDRESS_GROUPS: u32 = 0x10 | 0x100;

/// Watches the addresses of all interfaces.
#[derive(Debug)]
pub(crate) struct AddressWatch(AsyncFd<OwnedFd>);

impl AddressWatch {
    /// Starts watching. Needs a tokio runtime.
    ///
    /// # Errors
    /// When the system does not support it.
    pub(crate) fn new() -> io::Result<Self> {
        netlink(ADDRESS_GROUPS).map(Self)
    }

    /// Waits until addresses were added or removed, or have become usable. Cancel safe.
    ///
    /// # Errors
    /// When the system no longer reports changes.
    pub(crate) async fn changed(&mut self) -> io::Result<()> {
        // The content is ignored: the caller finds out by using the addresses.
        let receive = |socket: &OwnedFd| Ok(rustix::net::recv(socket, &mut [0; 4096], RecvFlags::DONTWAIT).map(drop)?);
        match self.0.async_io(Interest::READABLE, receive).await {
            // The socket's buffer overflowed.
            Err(error) if error.raw_os_error() == Some(Errno::NOBUFS.raw_os_error()) => Ok(()),
            received => received,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u16, body: &[u8]) -> Vec<u8> {
        let mut message = vec![0; HEADER];
        message[..4].copy_from_slice(&u32::try_from(HEADER + body.len()).unwrap().to_ne_bytes());
        message[4..6].copy_from_slice(&kind.to_ne_bytes());
        message.extend(body);
        message
    }

    #[test]
    fn a_route_to_others_is_told_from_what_else_the_kernel_says() {
        fn check(messages: &[u8], expected: bool) {
            assert_eq!(brings_route(messages), expected, "{messages:?}");
        }
        let default = [2, 0, 0, 0, 254, 3, 0, UNICAST, 0, 0, 0, 0];
        let local = [2, 32, 0, 0, 255, 2, 254, 2, 0, 0, 0, 0];
        let link_local = [IPV6, 64, 0, 0, 254, 2, 0, UNICAST, 0, 0, 0, 0];
        check(&message(NEW_ROUTE, &default), true);
        check(&message(NEW_ROUTE, &local), false);
        check(&message(NEW_ROUTE, &link_local), false);
        check(&message(NEW_ROUTE + 1, &default), false);
        check(&[message(NEW_ROUTE, &local), message(NEW_ROUTE, &default)].concat(), true);
        check(&[0; HEADER], false);
        check(&message(NEW_ROUTE, &[2, 0]), false);
        check(b"", false);
    }

    #[test]
    fn a_sleep_and_a_set_clock_are_jumps() {
        let start = ClockPair::now();
        let after = |wall: i64, steady: u64| {
            let wall_clock = Duration::from_secs(wall.unsigned_abs());
            let wall = if wall < 0 { start.wall - wall_clock } else { start.wall + wall_clock };
            ClockPair { wall, steady: start.steady + Duration::from_secs(steady) }.drift_since(start).as_secs()
        };
        assert_eq!(after(60, 60), 0);
        assert_eq!(after(3600, 5), 3595, "it slept");
        assert_eq!(after(-3600, 0), 3600, "it was set back");
    }

    #[tokio::test]
    async fn nothing_is_told_while_nothing_happens() {
        let mut interruptions = Interruptions::watch();
        assert!(interruptions.clock.is_some() && interruptions.routes.is_some());
        let next = tokio::time::timeout(Duration::from_millis(50), async {
            // Other programs of this computer may make routes.
            while interruptions.next().await == Interruption::NetworkCame {}
        });
        assert!(next.await.is_err());
    }
}
