//! Pushbell is the endpoint of a Matrix *http pusher*, on the desktop itself: a homeserver POSTs each notification to
//! it, and it becomes a native popup, the sound that the push rules ask for, and a number on the tray icon.
//!
//! `docs/architecture.md` follows a push through the modules, and says who owns what and where to add what. In short:
//!
//! ```text
//! request -> http -> intake -> 200 {"rejected":[...]}
//!            hyper    push::notify: parse (pure)
//!                     accounts: admit
//!                     inbox: commit -> controller -> desktop: popup, sound, tray
//!                                      owns what      present (pure words)
//!                                      is presented
//! ```
//!
//! # Invariants
//! 1. A push is answered with 200 only when every notice of it is on disk, synced.
//! 2. A pushkey is in `rejected` only because `accounts.toml`, read whole, does not have it. No fault leads there.
//! 3. Nothing inside an event can fail its push, and nothing from a push is a path, a command or markup.
//! 4. Popups are renderings of the inbox: what waits to be shown is a query, not a queue, so it survives everything
//!    and takes no memory.
//! 5. A slow or dead desktop service never delays an answer: the endpoint talks to the inbox and to nobody else.
//! 6. Nothing ticks while nothing happens: each timer is armed for something that is due.
//! 7. Text from strangers passes [`push::text`] before anybody sees it; it is never logged.
//! 8. An event that a homeserver lists for a signed-in account is known exactly once: the pusher is set before the list
//!    is read, and the mark moves in the commit that keeps what was missed. Nothing of this is in a push's way.
//! 9. Modules use each other in one direction: `tests/architecture.rs` finds any ring.

pub mod accounts;
mod address;
mod app;
pub mod app_info;
mod backoff;
pub mod cli;
pub mod config;
pub mod control;
pub mod controller;
pub mod desktop;
mod doctor;
mod encryption;
mod failure;
pub mod homeserver;
pub mod http;
pub mod http_client;
pub mod inbox;
mod installation;
pub mod intake;
mod invocation;
mod logging;
pub mod notice;
mod ntfy;
mod page;
pub mod paths;
pub mod platform;
pub mod present;
pub mod push;
mod reachability;
mod registration;
pub mod resume;
mod sample;
pub mod secrets;
pub mod session;
pub mod sound;
