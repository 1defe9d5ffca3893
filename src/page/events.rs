//! What has changed, told to the open tabs. One stream for each; it says what, and the page is fetched again.

use std::{sync::Arc, time::Duration};

use hyper::body::Bytes;
use tokio::{
    sync::{broadcast::error::RecvError, mpsc},
    time::sleep,
};

use super::{Page, Topic};

/// Between two messages to a tab: whatever comes meanwhile is told with the next.
const PAUSE: Duration = Duration::from_millis(200);
/// How many may wait for a tab that does not read.
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
                    // Whatever was missed: all may have changed.
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
