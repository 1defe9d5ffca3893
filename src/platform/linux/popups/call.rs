//! The calls to the notification service and what comes of them, as plain values.

use std::time::Duration;

use crate::present::popup::Popup;

/// What a service can do, of what matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Abilities {
    /// `body-markup`: the text is read as markup.
    pub(super) markup: bool,
    /// `actions`
    pub(super) actions: bool,
}

/// What the adapter is to do next; each is answered by `Desk::answered`.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Call {
    /// Have the bus start a service.
    Start,
    /// `GetServerInformation`
    Describe,
    /// `GetCapabilities`
    AskAbilities,
    /// `Notify`, in place of the id `replaces` unless that is 0.
    Notify { replaces: u32, popup: Popup, abilities: Abilities },
    /// `CloseNotification`
    Close(u32),
    /// Wait.
    Rest(Duration),
}

/// What came of a [`Call`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// The service was started; the unique name of the name's owner, if it is still there.
    Started(Option<String>),
    /// Name and version.
    Description(String),
    /// What it can do.
    Abilities(Abilities),
    /// The popup's id.
    Id(u32),
    /// It is closed, or was already.
    Closed,
    /// The wait is over.
    Rested,
}

/// Why a call came to nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Failure {
    /// The service said no.
    Refused(String),
    /// The service was not there to answer.
    Gone(String),
}
