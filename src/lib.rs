//! Pushbell is the endpoint of a Matrix *http pusher*, on the desktop itself: a homeserver POSTs each notification to
//! it, and it becomes a native popup, the sound that the push rules ask for, and a number on the tray icon.
//!
//! # Map
//! ```text
//! request -> http -> push::notify -> accounts -> inbox -> 200 {"rejected":[...]}
//!            hyper    parse (pure)    admit       commit     \-> controller -> desktop: popup, sound, tray
//!                                                                owns what      present (pure words)
//!                                                                is presented
//! ```
//! | module | what it is |
//! |---|---|
//! | [`push`] | pure: the wire format, what an event means, the words of popups, making strangers' text harmless |
//! | [`accounts`] | the `app_id` + `pushkey` pairs that are served; the only source of `rejected` |
//! | [`inbox`] | the durable list of notices and the accounts' numbers: SQLite on a thread of its own |
//! | [`http`] | the endpoint: limits, TLS, routes, answers |
//! | [`homeserver`] | the client-server API: signing in, pushers, what was missed |
//! | [`secrets`] | access tokens, in the keyring or a private file |
//! | [`session`] | the session of a signed-in account: a client with its token, renewed, and its pusher |
//! | [`whereabouts`] | where a homeserver is, and which address it reaches us at |
//! | [`controller`] | the sole owner of what is presented: events in, calls to inbox and desktop out |
//! | [`desktop`] | popups, badge, tray and sounds as plain values, and the one trait through which they are shown |
//! | [`platform`] | the only place that names the operating system |
//! | [`config`], [`control`], [`cli`] | the configuration file, the local socket, the command line |
//! | [`doctor`] | checks of each part, and what to do about each fault |
//! | [`app`] | puts the parts together, starts and ends them; catches up after pushes may have been missed |
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
//!
//! # Threads
//! The main thread belongs to the tray, since some systems want their event loop there. One thread runs tokio with
//! everything asynchronous, one is the inbox's. A sound has a thread while it plays. The tray's library brings a few of
//! its own, parked.

pub mod accounts;
pub mod address;
pub mod app;
mod backoff;
pub mod cli;
pub mod config;
pub mod control;
pub mod controller;
pub mod desktop;
pub mod doctor;
pub mod failure;
pub mod homeserver;
pub mod http;
pub mod identity;
pub mod inbox;
pub mod logging;
pub mod notice;
pub mod paths;
pub mod platform;
pub mod present;
pub mod push;
pub mod registration;
pub mod sample;
pub mod secrets;
pub mod session;
pub mod sound;
pub mod wake;
pub mod whereabouts;
