//! Describes each setting by its entry in `config/pushbell.toml`: help text, kind and default. A setting added there
//! needs no other description.

use toml::{Table, Value};

use super::{Config, default_text};

/// A setting.
#[derive(Debug, Clone, PartialEq)]
pub struct Setting {
    /// Its section.
    pub section: String,
    /// Its key in the section.
    pub key: String,
    /// The comment above it.
    pub help: String,
    /// The kind of value.
    pub kind: Kind,
    /// The default; `None` for a setting without one.
    pub default: Option<Value>,
}

/// The kind of value that a setting takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// true or false
    Switch,
    /// One of these words.
    Choice(Vec<String>),
    /// A number.
    Number,
    /// A text; these words have a special meaning.
    Text(Vec<String>),
    /// A list of texts; likewise.
    List(Vec<String>),
    /// A command or file path: changed only in an editor.
    FileOnly,
}

/// Settings that contain commands or file paths.
const FILE_ONLY: [(&str, &str); 4] =
    [("server", "tls"), ("popup", "open"), ("sound", "directory"), ("sound", "tweaks")];

/// A word that is valid only for a setting that takes any text.
const NO_WORD: &str = "no-such-word-anywhere";

/// All settings, in the order of the default text.
#[must_use]
pub fn settings() -> Vec<Setting> {
    let text = default_text();
    let defaults: Table = text.parse().unwrap_or_default();
    let mut section = "";
    let mut settings = Vec::new();
    for line in text.lines() {
        let (line, help) = line.rsplit_once("   #").map_or((line, ""), |(line, help)| (line, help.trim()));
        if let Some(name) = line.trim().strip_prefix('[').and_then(|rest| rest.split(']').next()) {
            match name.split_once('.') {
                Some((of, key)) => {
                    let help = line.split_once('#').map_or(help, |(_, help)| help.trim());
                    settings.push(setting(&defaults, of, key, help));
                    // The keys of such a table are entries, not settings.
                    section = "";
                }
                None => section = name,
            }
            continue;
        }
        let line = line.trim().trim_start_matches("# ");
        if let Some((key, _)) = line.split_once(" = ").filter(|_| !section.is_empty()) {
            settings.push(setting(&defaults, section, key, help));
        }
    }
    settings
}

fn setting(defaults: &Table, section: &str, key: &str, help: &str) -> Setting {
    let default = defaults.get(section).and_then(|table| table.get(key)).cloned();
    let kind =
        if FILE_ONLY.contains(&(section, key)) { Kind::FileOnly } else { kind(section, key, help, default.as_ref()) };
    Setting { section: section.to_owned(), key: key.to_owned(), help: help.to_owned(), kind, default }
}

/// Finds the kind by parsing trial values: words of the help text that are accepted have a special meaning.
fn kind(section: &str, key: &str, help: &str, default: Option<&Value>) -> Kind {
    let takes = |value: String| Config::parse(&format!("[{section}]\n{key} = {value}\n"), "").is_ok();
    let words = |as_value: &dyn Fn(&str) -> String| -> Vec<String> {
        let mut found: Vec<String> = Vec::new();
        for word in help.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|word| !word.is_empty()) {
            if !found.iter().any(|known| known == word) && takes(as_value(word)) {
                found.push(word.to_owned());
            }
        }
        found
    };
    let (text, list) = (|word: &str| format!("\"{word}\""), |word: &str| format!("[\"{word}\"]"));
    match default {
        Some(Value::Boolean(_)) => Kind::Switch,
        Some(Value::Integer(_) | Value::Float(_)) => Kind::Number,
        Some(Value::Array(_)) if takes(list(NO_WORD)) => Kind::List(Vec::new()),
        Some(Value::Array(_)) => Kind::List(words(&list)),
        Some(Value::String(_)) if takes(text(NO_WORD)) => Kind::Text(Vec::new()),
        Some(Value::String(_)) => match words(&text) {
            found if takes("5".to_owned()) || found.len() < 2 => Kind::Text(found),
            found => Kind::Choice(found),
        },
        Some(Value::Datetime(_) | Value::Table(_)) | None => Kind::FileOnly,
    }
}

impl Setting {
    /// A value as entered, converted to TOML; not checked.
    #[must_use]
    pub fn written(&self, entered: &str) -> String {
        let entered = entered.trim();
        let quoted = |text: &str| Value::String(text.to_owned()).to_string();
        let is_number = entered.parse::<f64>().is_ok_and(f64::is_finite);
        match &self.kind {
            Kind::Switch if ["true", "false"].contains(&entered) => entered.to_owned(),
            Kind::Number | Kind::Text(_) if is_number && self.takes_numbers() => entered.to_owned(),
            Kind::List(_) => {
                let members = entered.split(',').map(str::trim).filter(|member| !member.is_empty());
                format!("[{}]", members.map(quoted).collect::<Vec<_>>().join(", "))
            }
            Kind::Switch | Kind::Choice(_) | Kind::Number | Kind::Text(_) | Kind::FileOnly => quoted(entered),
        }
    }

    fn takes_numbers(&self) -> bool {
        let Self { section, key, kind, .. } = self;
        *kind == Kind::Number || Config::parse(&format!("[{section}]\n{key} = 5\n"), "").is_ok()
    }

    /// A value converted to the text that a person would enter.
    #[must_use]
    pub fn shown(value: &Value) -> String {
        match value {
            Value::String(text) => text.clone(),
            Value::Array(members) => members.iter().map(Self::shown).collect::<Vec<_>>().join(", "),
            Value::Integer(_) | Value::Float(_) | Value::Boolean(_) | Value::Datetime(_) | Value::Table(_) => {
                value.to_string()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_is_described_by_the_default_text() {
        let settings = settings();
        let kind = |section: &str, key: &str| {
            let found = settings.iter().find(|setting| setting.section == section && setting.key == key);
            found.unwrap_or_else(|| panic!("{section}.{key}")).kind.clone()
        };
        let words = |words: &[&str]| words.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(kind("popup", "preview"), Kind::Choice(words(&["always", "unlocked", "never"])));
        assert_eq!(kind("popup", "timeout"), Kind::Text(words(&["default", "never"])));
        assert_eq!(kind("popup", "actions"), Kind::List(words(&["reply", "read", "mute_hour", "mute"])));
        assert_eq!(kind("popup", "receipts"), Kind::Choice(words(&["private", "public"])));
        assert_eq!(kind("tray", "style"), Kind::Choice(words(&["color", "symbolic"])));
        assert_eq!(kind("calls", "missed"), Kind::Choice(words(&["derive", "server"])));
        assert_eq!(kind("log", "level"), Kind::Choice(words(&["error", "warn", "info", "debug", "trace"])));
        assert_eq!(kind("server", "public_url"), Kind::Text(Vec::new()));
        assert_eq!(kind("server", "listen"), Kind::List(Vec::new()));
        assert_eq!((kind("sound", "volume"), kind("sound", "enabled")), (Kind::Number, Kind::Switch));
        for (section, key) in FILE_ONLY {
            assert_eq!(kind(section, key), Kind::FileOnly);
        }
        // Every key that is read has a description.
        let mut document = super::super::document::Document::default();
        Config::read(&mut document);
        for (section, key) in document.known() {
            assert!(settings.iter().any(|it| it.section == section && it.key == key), "{section}.{key}");
        }
    }

    #[test]
    fn what_is_entered_is_written_as_toml() {
        let check = |section: &str, key: &str, entered: &str, expected: &str| {
            let settings = settings();
            let setting = settings.iter().find(|it| it.section == section && it.key == key).unwrap();
            assert_eq!(setting.written(entered), expected, "{section}.{key}");
        };
        check("popup", "enabled", "false", "false");
        check("popup", "enabled", "maybe", "\"maybe\"");
        check("popup", "timeout", " 5 ", "5");
        check("popup", "timeout", "never", "\"never\"");
        check("server", "public_url", "8", "\"8\"");
        check("sound", "volume", "0.5", "0.5");
        check("sound", "volume", "loud", "\"loud\"");
        check("popup", "actions", "read, reply,", "[\"read\", \"reply\"]");
        check("popup", "preview", "a\"b", "'a\"b'");
    }
}
