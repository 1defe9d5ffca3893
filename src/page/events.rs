//! Server-sent events for open tabs: each names what has changed, and the script fetches the page again.

use std::{sync::Arc, time::Duration};

use hyper::body::Bytes;
use tokio::{
    sync::{broadcast::error::RecvError, mpsc},
    time::sleep,
};

use super::{Page, Topic};

/// Minimum interval of events for a tab; changes in between are merged.
const PAUSE: Duration = Duration::from_millis(200);
/// Capacity of a tab's queue.
const WAITING: usize = 4;

impl Topic {
    fn message(self) -> Bytes {
        Bytes::from_static(match self {
            Self::Inbox => b"data: inbox\n\n",
            Self::Setup => b"data: setup\n\n",
            Self::Health => b"data: health\n\n",
        })
    }
}

/// A stream of server-sent events, until its reader has gone.
pub(super) fn stream(page: &Arc<Page>) -> mpsc::Receiver<Bytes> {
    let (sender, receiver) = mpsc::channel(WAITING);
    let (mut inbox, mut changes) = (page.inbox.changes(), page.changes.subscribe());
    inbox.mark_unchanged();
    tokio::spawn(async move {
        loop {
            let topic = tokio::select! {
                () = sender.closed() => return,
                told = inbox.changed() => match told {
                    Ok(()) => Topic::Inbox,
                    Err(_) => return,
                },
                told = changes.recv() => match told {
                    Ok(topic) => topic,
                    // Some were missed; setup changes most often.
                    Err(RecvError::Lagged(_)) => Topic::Setup,
                    Err(RecvError::Closed) => return,
                },
            };
            if sender.send(topic.message()).await.is_err() {
                return;
            }
            sleep(PAUSE).await;
        }
    });
    receiver
}
