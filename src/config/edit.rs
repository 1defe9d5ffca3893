//! Changes values in the text of a configuration without touching the rest, including comments (pure).

use std::{fmt, net::SocketAddr};

use toml_edit::{Array, DocumentMut, Item, Table, TableLike, TomlError, Value};

use super::{Config, ConfigError};
use crate::address::takes;

/// Why a text was not changed.
#[derive(Debug, thiserror::Error)]
pub enum EditError {
    /// The text or the new value is not TOML.
    #[error("{0}")]
    Syntax(#[from] TomlError),
    /// The configuration would not be valid.
    #[error("{0}")]
    Faulty(#[from] ConfigError),
}

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
        write!(f, "listen = {}\npublic_url = {}", toml_list(&self.listen), Value::from(&self.public_url))
    }
}

/// Addresses as a TOML array.
pub(crate) fn toml_list(addresses: &[SocketAddr]) -> Array {
    addresses.iter().map(ToString::to_string).collect()
}

/// The text with `server.listen` and `server.public_url` set to these values.
///
/// # Errors
/// When the text is not TOML, or the result would not be valid.
pub fn with_server(text: &str, ServerLines { listen, public_url }: &ServerLines) -> Result<String, EditError> {
    edit(text, "", |document| {
        let Some(server) = table(document, "server") else { return };
        set(server, "listen", toml_list(listen).into());
        set(server, "public_url", public_url.into());
    })
}

/// The text with `section.key` set to `value`, which is TOML. `file` is the file's name in faults.
///
/// # Errors
/// When text or value is not TOML, or the result would not be valid.
pub fn with_value(text: &str, file: &str, section: &str, key: &str, value: &str) -> Result<String, EditError> {
    let value = value.parse()?;
    edit(text, file, |document| {
        if let Some(section) = table(document, section) {
            set(section, key, value);
        }
    })
}

/// The text with `sound` for this tweak in `[sound.tweaks]`; `None` removes the tweak's entry.
///
/// # Errors
/// As of [`with_value`].
pub fn with_sound(text: &str, file: &str, tweak: &str, sound: Option<&str>) -> Result<String, EditError> {
    edit(text, file, |document| {
        if let Some(sound) = sound {
            if let Some(tweaks) = table(document, "sound").and_then(|sounds| table(sounds, "tweaks")) {
                set(tweaks, tweak, sound.into());
            }
        } else {
            let tweaks = document.get_mut("sound").and_then(|sounds| sounds.get_mut("tweaks"));
            if let Some(tweaks) = tweaks.and_then(Item::as_table_like_mut) {
                tweaks.remove(tweak);
            }
        }
    })
}

/// The changed text, if it is a valid configuration. That also refuses what `change` cannot change: a section that is not
/// a table.
fn edit(text: &str, file: &str, change: impl FnOnce(&mut Table)) -> Result<String, EditError> {
    let mut document: DocumentMut = text.parse()?;
    change(&mut document);
    let changed = document.to_string();
    Config::parse(&changed, file)?;
    Ok(changed)
}

/// The table of this name, which is created if there is none; `None` if the name has another value.
fn table<'a>(parent: &'a mut dyn TableLike, name: &str) -> Option<&'a mut dyn TableLike> {
    let mut new = Table::new();
    // Without a header of its own while it has only tables in it.
    new.set_implicit(true);
    parent.entry(name).or_insert(new.into()).as_table_like_mut()
}

/// Sets a value. One that replaces another keeps the spaces and the comment around it.
fn set(table: &mut dyn TableLike, key: &str, mut value: Value) {
    match table.get_mut(key) {
        Some(item) => {
            if let Some(before) = item.as_value() {
                value.decor_mut().clone_from(before.decor());
            }
            *item = value.into();
        }
        None => drop(table.insert(key, value.into())),
    }
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
        assert_eq!(with_value("", "it", "log", "level", "\"warn\"").unwrap(), "[log]\nlevel = \"warn\"\n");
        let refuse = |text: &str, value: &str| with_value(text, "it", "popup", "lines", value).unwrap_err().to_string();
        assert!(refuse(&default, "99").starts_with("it:14: popup.lines = 99: expected"), "{}", refuse(&default, "99"));
        assert!(refuse(&default, "3\nopen = [\"sh\"]").contains("TOML"));
        assert!(refuse("popup = 7\n", "3").contains("expected a section"));
        assert!(refuse("[popup\n", "3").contains("TOML"));
    }

    #[test]
    fn a_sound_is_written_into_its_table() {
        #[track_caller]
        fn check(text: &str, tweak: &str, sound: Option<&str>, expected: &str) {
            assert_eq!(with_sound(text, "it", tweak, sound).unwrap(), expected, "{text}");
        }
        check("", "ring", Some("bing"), "[sound.tweaks]\nring = \"bing\"\n");
        let mine = "[sound] # mine\nvolume = 0.5\n[sound.tweaks] # table\n\"a b\" = \"x\" # why\n\n[log]\n";
        check(mine, "a b", Some("y"), &mine.replace("\"x\"", "\"y\""));
        check(mine, "ring", Some("y"), &mine.replace("why\n", "why\nring = \"y\"\n"));
        check(mine, "a b", None, &mine.replace("\"a b\" = \"x\" # why\n", ""));
        check(mine, "ring", None, mine);
        let volume = "[sound]\nvolume = 1";
        check(volume, "a\"]", Some("bing"), &format!("{volume}\n\n[sound.tweaks]\n'a\"]' = \"bing\"\n"));
        check(volume, "ring", None, &format!("{volume}\n"));
        let inline = "[sound]\ntweaks = { a = \"bing\" }\n";
        check(inline, "a", Some("ring"), "[sound]\ntweaks = { a = \"ring\" }\n");
        check(inline, "b", Some("ring"), "[sound]\ntweaks = { a = \"bing\" , b = \"ring\" }\n");
        check(inline, "a", None, "[sound]\ntweaks = {}\n");
        let default = default_text();
        let changed = with_sound(&default, "it", "ring", Some("bing")).unwrap();
        assert_eq!(changed.lines().count(), default.lines().count() + 1);
    }

    #[test]
    fn the_address_is_written_into_any_valid_text() {
        fn check(text: &str, expected: Option<&str>) {
            let lines = ServerLines::adding(&[], "http", "10.0.0.1:1".parse().unwrap());
            let changed = with_server(text, &lines);
            assert_eq!(changed.ok().as_deref(), expected, "{text}");
        }
        let both = "listen = [\"10.0.0.1:1\"]\npublic_url = \"http://10.0.0.1:1\"\n";
        check("", Some(&format!("[server]\n{both}")));
        check("[log]\nlevel = \"warn\"", Some(&format!("[log]\nlevel = \"warn\"\n\n[server]\n{both}")));
        check("[server] # mine\n", Some(&format!("[server] # mine\n{both}")));
        check("[server]", Some(&format!("[server]\n{both}")));
        check("[server]\nlisten = [ # two\n\"0.0.0.0:7\",\n]\npublic_url = ''\n", Some(&format!("[server]\n{both}")));
        check(
            "server = { listen = [\"0.0.0.0:7\"] }\n",
            Some("server = { listen = [\"10.0.0.1:1\"] , public_url = \"http://10.0.0.1:1\" }\n"),
        );
        check(
            "server.extra_paths = []\n",
            Some(
                "server.extra_paths = []\nserver.listen = [\"10.0.0.1:1\"]\nserver.public_url = \"http://10.0.0.1:1\"\n",
            ),
        );
        check("server = 7\n", None);
        check("[server\n", None);
    }
}
