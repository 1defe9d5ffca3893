//! The count on docks and task bars: the signal `Update` of com.canonical.Unity.LauncherEntry.

use std::collections::HashMap;

use tokio::sync::watch;
use zbus::{Connection, zvariant::Value};

use super::bus::{self, Bus, NameWatch};
use crate::{app_info, desktop::LauncherCount};

const PATH: &str = "/com/canonical/unity/launcherentry/1";
const INTERFACE: &str = "com.canonical.Unity.LauncherEntry";

/// The name that is owned by docks that show counts.
const DOCK: &str = "com.canonical.Unity";

/// Sends each new count to docks. When the sender is dropped, clears the count and returns.
pub(super) async fn run(mut bus: Bus, mut counts: watch::Receiver<LauncherCount>) {
    let mut end = counts.clone();
    loop {
        let connection = tokio::select! {
            connection = bus.connection() => connection,
            () = ended(&mut end) => return,
        };
        tokio::select! {
            () = connection.closed() => {}
            told = follow(&connection, &mut counts) => match told {
                Ok(()) => return,
                Err(error) => {
                    tracing::debug!("count on docks: {error}");
                    tokio::select! {
                        () = connection.closed() => {}
                        () = ended(&mut end) => return,
                    }
                }
            },
        }
    }
}

async fn ended(counts: &mut watch::Receiver<LauncherCount>) {
    while counts.changed().await.is_ok() {}
}

async fn follow(connection: &Connection, counts: &mut watch::Receiver<LauncherCount>) -> zbus::Result<()> {
    let mut dock = NameWatch::start(connection, DOCK).await?;
    let mut told = LauncherCount::default();
    loop {
        let count = *counts.borrow_and_update();
        if count != told {
            update(connection, count).await?;
            told = count;
        }
        tokio::select! {
            changed = counts.changed() => if changed.is_err() {
                break;
            },
            // A dock that starts later has missed the last update.
            owner = dock.next() => if owner.is_some() {
                told = LauncherCount::default();
            },
        }
    }
    if told != LauncherCount::default() {
        update(connection, LauncherCount::default()).await?;
    }
    Ok(())
}

async fn update(connection: &Connection, count: LauncherCount) -> zbus::Result<()> {
    let application = format!("application://{}.desktop", app_info::APP_ID);
    let arguments = (application, properties(count));
    bus::within_deadline(connection.emit_signal(None::<&str>, PATH, INTERFACE, "Update", &arguments)).await
}

fn properties(LauncherCount { count, urgent }: LauncherCount) -> HashMap<&'static str, Value<'static>> {
    HashMap::from([
        ("count", Value::I64(i64::try_from(count).unwrap_or(i64::MAX))),
        ("count-visible", Value::Bool(count > 0)),
        ("urgent", Value::Bool(urgent)),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_of_zero_is_invisible() {
        let check = |count, visible, number| {
            let properties = properties(LauncherCount { count, urgent: false });
            assert_eq!(properties["count-visible"], Value::Bool(visible));
            assert_eq!(properties["count"], Value::I64(number));
        };
        check(0, false, 0);
        check(3, true, 3);
        check(u64::MAX, true, i64::MAX);
    }
}
