//! Switches autostart for the tray menu.

use std::sync::Arc;

use tokio::sync::{Mutex, mpsc};

use crate::{controller::Event, platform::autostart};

/// Switches autostart, one change at a time, and reports the result.
pub(super) struct AutostartSwitch {
    events: mpsc::UnboundedSender<Event>,
    /// Serialises the changes: each may wait for the system, and the last click wins.
    turn: Arc<Mutex<()>>,
}

impl AutostartSwitch {
    pub(super) fn new(events: mpsc::UnboundedSender<Event>) -> Self {
        Self { events, turn: Arc::default() }
    }

    /// Reports whether it is on.
    pub(super) fn look(&self) {
        self.change(|| Ok(()));
    }

    /// Turns it on or off, then reports whether it is on.
    pub(super) fn set(&self, on: bool) {
        self.change(move || autostart::set(on).map(drop));
    }

    fn change(&self, change: impl FnOnce() -> std::io::Result<()> + Send + 'static) {
        let (events, turn) = (self.events.clone(), Arc::clone(&self.turn));
        tokio::spawn(async move {
            let _turn = turn.lock().await;
            let told = tokio::task::spawn_blocking(move || {
                // A closed channel means that the program is ending.
                if let Err(error) = change() {
                    drop(events.send(Event::Autostart(Err(error.to_string()))));
                }
                match autostart::status() {
                    Ok(state) => drop(events.send(Event::Autostart(Ok(state.on)))),
                    Err(error) => tracing::debug!("whether the desktop starts Pushbell is unknown: {error}"),
                }
            });
            if let Err(error) = told.await {
                tracing::error!("starting with the desktop: {error}");
            }
        });
    }
}
