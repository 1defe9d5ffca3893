//! Queries the desktop's do-not-disturb state. It is not watched, since some services do not report changes.

use std::{env, path::PathBuf, process::Stdio, time::Duration};

use tokio::{process::Command, time::timeout};
use zbus::{
    Connection,
    zvariant::{Structure, Value},
};

use super::bus;
use crate::desktop::popup_services::{DO_NOT_DISTURB_MODES, DoNotDisturb};

/// Deadline of the answer; sounds and urgent popups wait for it.
const DEADLINE: Duration = Duration::from_secs(1);

/// No answer or an unexpected one counts as off.
pub(super) async fn ask(connection: Option<&Connection>, how: DoNotDisturb) -> bool {
    let answer = async {
        match how {
            DoNotDisturb::Unknown => None,
            DoNotDisturb::Call { name, path, interface, method, arguments } => {
                let connection = connection?;
                // A call to the well-known name would start the service.
                let owner = bus::owner_of(connection, name).await.ok()??;
                let object = (owner.as_str(), path, interface);
                let reply = match arguments {
                    Some(arguments) => bus::ask(connection, object, method, &arguments).await,
                    None => bus::ask(connection, object, method, &()).await,
                };
                let reply = reply.inspect_err(|error| tracing::debug!("do not disturb: {error}")).ok()?;
                let body = reply.body();
                is_on(body.deserialize::<Structure<'_>>().ok()?.fields().first()?)
            }
            DoNotDisturb::Setting { schema, key, on } => {
                let mut command = Command::new("gsettings");
                command.args(["get", schema, key]).stdin(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
                let output = command.output().await;
                let output = output.inspect_err(|error| tracing::debug!("do not disturb: gsettings: {error}")).ok()?;
                Some(output.stdout.trim_ascii() == if on { "true" } else { "false" }.as_bytes())
            }
            DoNotDisturb::Line { file, line } => {
                let text = tokio::fs::read_to_string(configurations()?.join(file)).await.ok()?;
                Some(text.lines().any(|other| other.trim() == line))
            }
        }
    };
    timeout(DEADLINE, answer).await.ok().flatten().unwrap_or(false)
}

fn is_on(answer: &Value<'_>) -> Option<bool> {
    if let Value::Value(inner) = answer {
        return is_on(inner);
    }
    if let Value::Array(modes) = answer {
        let is_that = |mode: &Value<'_>| <&str>::try_from(mode).is_ok_and(|mode| DO_NOT_DISTURB_MODES.contains(&mode));
        return Some(modes.iter().any(is_that));
    }
    bool::try_from(answer).ok()
}

fn configurations() -> Option<PathBuf> {
    let directory = env::var_os("XDG_CONFIG_HOME").map(PathBuf::from).filter(|directory| directory.is_absolute());
    directory.or_else(|| Some(env::home_dir()?.join(".config")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_booleans_or_lists_of_modes() {
        let check = |answer: Value<'_>, expected| assert_eq!(is_on(&answer), expected, "{answer:?}");
        check(Value::Bool(true), Some(true));
        check(Value::Value(Box::new(Value::Bool(false))), Some(false));
        check(Value::from(vec!["default", "do-not-disturb"]), Some(true));
        check(Value::from(vec!["default", "away"]), Some(false));
        check(Value::U32(1), None);
    }
}
