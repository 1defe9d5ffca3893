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

/// Sends each new count to docks. Never returns.
pub(super) async fn watch(bus: Bus, counts: watch::Receiver<LauncherCount>) {
    bus.serve("count on docks", |connection| follow(connection, counts.clone())).await;
}

async fn follow(connection: Connection, mut counts: watch::Receiver<LauncherCount>) -> zbus::Result<()> {
    let mut dock = NameWatch::start(&connection, DOCK).await?;
    let mut sent = LauncherCount::default();
    loop {
        let count = *counts.borrow_and_update();
        if count != sent {
            send(&connection, count).await?;
            sent = count;
        }
        tokio::select! {
            changed = counts.changed() => if changed.is_err() {
                return Ok(());
            },
            // A dock that starts later has missed the last update.
            owner = dock.next() => if owner.is_some() {
                sent = LauncherCount::default();
            },
        }
    }
}

/// Sends this count to docks.
pub(super) async fn send(connection: &Connection, count: LauncherCount) -> zbus::Result<()> {
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
