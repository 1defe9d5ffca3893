//! The page as the program around it knows it. It uses parts of the program, so whoever starts the program brings it.

use std::pin::Pin;

use tokio::sync::{mpsc, oneshot};

use crate::{
    control::{Command, Reply, Section},
    inbox::Inbox,
    paths::Paths,
};

/// Who wants to see what, and where the address goes.
pub(crate) type PageRequest = (Section, oneshot::Sender<Reply>);

/// How many may wait for an address.
pub(super) const WAITING: usize = 8;

/// What the page is given.
pub(crate) struct PageParts {
    /// Where everything is.
    pub(crate) paths: Paths,
    /// What it shows.
    pub(crate) inbox: Inbox,
    /// By which it asks the program, as commands do.
    pub(crate) commands: mpsc::Sender<Command>,
    /// Who wants to see it. It ends when this closes.
    pub(crate) asked: mpsc::Receiver<PageRequest>,
}

/// Serves the page while somebody looks at it, until the program ends.
pub(crate) type Page = Box<dyn FnOnce(PageParts) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send>;
