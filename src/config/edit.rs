//! Changes values in the text of a configuration without touching the rest, including comments (pure).

use std::{fmt, net::SocketAddr};

use toml::{
    Spanned, Table, Value,
    de::{DeTable, DeValue},
};

use super::{Config, ConfigError};
use crate::address::takes;

/// Why a text was not changed.
#[derive(Debug, thiserror::Error)]
pub enum EditError {
    /// The text is not TOML.
    #[error("{0}")]
    Syntax(#[from] toml::de::Error),
    /// The configuration would not be valid.
    #[error("{0}")]
    Faulty(#[from] ConfigError),
    /// The setting is written in a form that is not supported here.
    #[error("[{0}] is written in a way that only a person can change")]
    Unusual(String),
}

const SERVER: &str = "server";

/// `listen` and `public_url` of `[server]`; displays as lines of TOML.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerLines {
    /// The listening addresses.
    pub listen: Vec<SocketAddr>,
    /// The public address.
    pub public_url: String,
}

impl ServerLines {
    /// The lines that make this address the public one and add it to the listening addresses.
    pub(crate) fn adding(listen: &[SocketAddr], scheme: &str, address: SocketAddr) -> Self {
        let mut listen = listen.to_vec();
        if !listen.iter().any(|listen| takes(*listen, address)) {
            listen.push(address);
        }
        Self { listen, public_url: format!("{scheme}://{address}") }
    }
}

impl fmt::Display for ServerLines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "listen = {}\npublic_url = {}", toml_list(&self.listen), quoted(&self.public_url))
    }
}

/// Addresses as a TOML array.
pub(crate) fn toml_list(addresses: &[SocketAddr]) -> String {
    let addresses: Vec<_> = addresses.iter().map(|address| format!("\"{address}\"")).collect();
    format!("[{}]", addresses.join(", "))
}

/// The text with `server.listen` and `server.public_url` set to these values.
///
/// # Errors
/// When the text cannot be edited automatically.
pub fn with_server(text: &str, ServerLines { listen, public_url }: &ServerLines) -> Result<String, EditError> {
    let changed = set(text, SERVER, "listen", &toml_list(listen))?;
    let changed = set(&changed, SERVER, "public_url", &quoted(public_url))?;
    // The result is parsed again, to be sure that exactly these values have changed.
    let mut expected = Config::parse(text, "it")?;
    expected.server.listen.clone_from(listen);
    expected.server.public_url = (!public_url.is_empty()).then(|| public_url.clone());
    match Config::parse(&changed, "it") {
        Ok(config) if config == expected => Ok(changed),
        Ok(_) | Err(_) => Err(EditError::Unusual(SERVER.to_owned())),
    }
}

/// The text with `section.key` set to `value`, which is TOML. Nothing else changes.
///
/// # Errors
/// When the text cannot be edited automatically, or the result would not be valid. `file` is the file's name in faults.
pub fn with_value(text: &str, file: &str, section: &str, key: &str, value: &str) -> Result<String, EditError> {
    let changed = set(text, section, key, value)?;
    // The result is parsed again, to be sure that exactly this value has changed.
    let unusual = || EditError::Unusual(section.to_owned());
    let mut expected: Table = text.parse()?;
    let value: Table = format!("value = {value}").parse()?;
    let sections = expected.entry(section).or_insert_with(|| Value::Table(Table::new()));
    let sections = sections.as_table_mut().ok_or_else(unusual)?;
    sections.insert(key.to_owned(), value.get("value").cloned().ok_or_else(unusual)?);
    if value.len() != 1 || changed.parse::<Table>().ok() != Some(expected) {
        return Err(unusual());
    }
    Config::parse(&changed, file)?;
    Ok(changed)
}

fn set(text: &str, section: &str, key: &str, value: &str) -> Result<String, EditError> {
    let document = DeTable::parse(text)?;
    let server = document.get_ref().get(section);
    let table = server.and_then(|server| server.get_ref().as_table());
    let existing = table.and_then(|table| table.get(key)).map(Spanned::span);
    let mut changed = text.to_owned();
    match (existing, server) {
        (Some(span), _) => changed.replace_range(span, value),
        (None, Some(server)) if matches!(server.get_ref(), DeValue::Table(_)) => {
            // A table's span is that of its header.
            let header_end = text.get(server.span().start..).and_then(|rest| rest.find('\n'));
            let at = header_end.map_or(text.len(), |end| server.span().start + end + 1);
            let newline = if text[..at].ends_with('\n') { "" } else { "\n" };
            changed.insert_str(at, &format!("{newline}{key} = {value}\n"));
        }
        (None, Some(_)) => return Err(EditError::Unusual(section.to_owned())),
        (None, None) => {
            if !changed.is_empty() && !changed.ends_with('\n') {
                changed.push('\n');
            }
            changed.extend(["\n[", section, "]\n", key, " = ", value, "\n"]);
        }
    }
    Ok(changed)
}

/// A TOML string. Addresses need no escapes.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::default_text;

    #[test]
    fn the_default_file_keeps_all_its_comments() {
        let default = default_text();
        let ours = "127.0.0.1:7874".parse().unwrap();
        let lines = ServerLines::adding(&[ours], "http", "192.168.1.20:7874".parse().unwrap());
        let changed = with_server(&default, &lines).unwrap();
        let differing: Vec<_> = changed.lines().zip(default.lines()).filter(|(new, old)| new != old).collect();
        assert_eq!(changed.lines().count(), default.lines().count());
        assert_eq!(differing.len(), 2, "{differing:?}");
        assert!(changed.contains("listen = [\"127.0.0.1:7874\", \"192.168.1.20:7874\"]     # one or more addresses"));
        assert!(changed.contains("public_url = \"http://192.168.1.20:7874\"                  # base address"));
    }

    #[test]
    fn one_value_is_changed_and_checked() {
        let default = default_text();
        let changed = with_value(&default, "it", "popup", "preview", "\"never\"").unwrap();
        let differing: Vec<_> = changed.lines().zip(default.lines()).filter(|(new, old)| new != old).collect();
        assert!(
            matches!(differing[..], [(new, _)] if new.starts_with("preview = \"never\"  ") && new.contains("# always |"))
        );
        assert_eq!(with_value("", "it", "log", "level", "\"warn\"").unwrap(), "\n[log]\nlevel = \"warn\"\n");
        let refuse = |text: &str, value: &str| with_value(text, "it", "popup", "lines", value).unwrap_err().to_string();
        assert!(refuse(&default, "99").starts_with("it:14: popup.lines = 99: expected"), "{}", refuse(&default, "99"));
        assert!(refuse(&default, "3\nopen = [\"sh\"]").contains("only a person"));
        assert!(refuse("popup = 7\n", "3").contains("only a person"));
        assert!(refuse("[popup\n", "3").contains("TOML"));
    }

    #[test]
    fn other_texts_are_changed_or_left_to_the_person() {
        fn check(text: &str, expected: Option<&str>) {
            let lines = ServerLines::adding(&[], "http", "10.0.0.1:1".parse().unwrap());
            let changed = with_server(text, &lines);
            assert_eq!(changed.ok().as_deref(), expected, "{text}");
        }
        let both = "listen = [\"10.0.0.1:1\"]\npublic_url = \"http://10.0.0.1:1\"\n";
        let swapped = "public_url = \"http://10.0.0.1:1\"\nlisten = [\"10.0.0.1:1\"]\n";
        check("", Some(&format!("\n[server]\n{swapped}")));
        check("[log]\nlevel = \"warn\"", Some(&format!("[log]\nlevel = \"warn\"\n\n[server]\n{swapped}")));
        check("[server] # mine\n", Some(&format!("[server] # mine\n{swapped}")));
        check("[server]", Some(&format!("[server]\n{swapped}")));
        check("[server]\nlisten = [ # two\n\"0.0.0.0:7\",\n]\npublic_url = ''\n", Some(&format!("[server]\n{both}")));
        check(
            "server = { listen = [\"0.0.0.0:7\"], public_url = \"\" }\n",
            Some("server = { listen = [\"10.0.0.1:1\"], public_url = \"http://10.0.0.1:1\" }\n"),
        );
        check("server.extra_paths = []\n", None);
        check("server = {}\n", None);
        check("[server]\nlisten = 7\n", None);
        check("[server\n", None);
    }
}
