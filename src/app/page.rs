//! The interface of `crate::page` for the rest of the program. The page uses other parts of the program, so it is
//! passed in from above.

use std::pin::Pin;

use tokio::sync::{mpsc, oneshot};

use crate::{
    control::{Command, Reply, Section},
    inbox::Inbox,
    paths::Paths,
};

/// The section to open, and the channel for its address.
pub(crate) type PageRequest = (Section, oneshot::Sender<Reply>);

/// Capacity of the queue of requests for an address.
pub(super) const WAITING: usize = 8;

/// Dependencies of the page.
pub(crate) struct PageParts {
    /// Where everything is.
    pub(crate) paths: Paths,
    /// The inbox to show.
    pub(crate) inbox: Inbox,
    /// Requests to the program, as commands send them.
    pub(crate) commands: mpsc::Sender<Command>,
    /// Requests for an address. The page ends when this closes.
    pub(crate) asked: mpsc::Receiver<PageRequest>,
}

/// Serves the page on demand until the program ends.
pub(crate) type Page = Box<dyn FnOnce(PageParts) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send>;
