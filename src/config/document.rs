//! A parsed TOML text whose values know their position.
//!
//! [`Document::read`] both takes a value and registers its key, so there is no second list of keys: keys that were
//! never read are unknown.

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::error::Fault;
use crate::push::text;

/// Maximum length of a quotation in an error, in characters.
const QUOTE_LENGTH: usize = 60;
/// Maximum number of reported faults.
const MOST_FAULTS: usize = 20;

/// A parsed text and the faults found so far.
#[derive(Default)]
pub(super) struct Document<'i> {
    text: &'i str,
    root: DeTable<'i>,
    /// Section and key of each key that was read.
    known: Vec<(&'static str, &'static str)>,
    faults: Vec<Fault>,
}

/// A value and its full key: "server.listen[1]".
pub(super) struct Value<'a, 'i> {
    text: &'i str,
    key: String,
    spanned: &'a Spanned<DeValue<'i>>,
}

impl<'i> Document<'i> {
    /// Parses TOML, or returns the syntax errors, at most one for each line.
    pub(super) fn parse(text: &'i str) -> Result<Self, Vec<Fault>> {
        let (root, errors) = DeTable::parse_recoverable(text);
        if errors.is_empty() {
            return Ok(Self { text, root: root.into_inner(), known: Vec::new(), faults: Vec::new() });
        }
        let mut errors: Vec<(usize, String)> = errors
            .iter()
            .map(|error| (error.span().map_or(0, |span| span.start), error.message().to_owned()))
            .collect();
        errors.sort_by_key(|(offset, _)| *offset);
        errors.truncate(MOST_FAULTS);
        let mut faults: Vec<Fault> = errors
            .into_iter()
            .map(|(offset, reason)| Fault { line: line_of(text, offset), subject: None, reason })
            .collect();
        faults.dedup_by_key(|fault| fault.line);
        Err(faults)
    }

    /// The value of `section.key` as `check` reads it; `default` when it is absent or invalid. Invalid values are
    /// recorded as faults.
    pub(super) fn read<T>(
        &mut self,
        section: &'static str,
        key: &'static str,
        default: T,
        check: impl FnOnce(&Value<'_, 'i>) -> Result<T, Fault>,
    ) -> T {
        self.known.push((section, key));
        let Some(DeValue::Table(table)) = self.root.get(section).map(Spanned::get_ref) else { return default };
        let Some(spanned) = table.get(key) else { return default };
        check(&Value { text: self.text, key: format!("{section}.{key}"), spanned }).unwrap_or_else(|fault| {
            self.faults.push(fault);
            default
        })
    }

    /// Section and key of every key that was read.
    #[cfg(test)]
    pub(super) fn known(&self) -> Vec<(&'static str, &'static str)> {
        self.known.clone()
    }

    /// All faults, including unknown keys, in the order of the text.
    pub(super) fn finish(self) -> Vec<Fault> {
        let Self { text, root, known, mut faults } = self;
        let mut unknown = Vec::new();
        for (section, value) in &root {
            let name = section.get_ref().as_ref();
            if !known.iter().any(|(known, _)| *known == name) {
                unknown.push((section.span().start, None, name));
            } else if let DeValue::Table(table) = value.get_ref() {
                let is_known = |key: &str| known.contains(&(name, key));
                let keys = table.keys().filter(|key| !is_known(key.get_ref()));
                unknown.extend(keys.map(|key| (key.span().start, Some(name), key.get_ref().as_ref())));
            } else {
                let value = Value { text, key: name.to_owned(), spanned: value };
                faults.push(value.wrong(format!("expected a section, [{name}] on a line of its own")));
            }
        }
        unknown.sort_by_key(|(offset, ..)| *offset);
        let unknown = unknown.into_iter().take(MOST_FAULTS);
        faults.extend(unknown.map(|(offset, section, key)| unknown_key(line_of(text, offset), section, key, &known)));
        faults.sort_by_key(|fault| fault.line);
        faults.truncate(MOST_FAULTS);
        faults
    }
}

impl<'a, 'i> Value<'a, 'i> {
    /// The value itself.
    pub(super) fn get(&self) -> &'a DeValue<'i> {
        self.spanned.get_ref()
    }

    /// The members of an array, each with its full key; `None` if it is not an array.
    pub(super) fn members(&self) -> Option<Vec<Value<'a, 'i>>> {
        let DeValue::Array(array) = self.get() else { return None };
        let member = |(index, spanned)| Value { text: self.text, key: format!("{}[{index}]", self.key), spanned };
        Some(array.iter().enumerate().map(member).collect())
    }

    /// The entries of a table, each with its full key; `None` if it is not a table.
    pub(super) fn entries(&self) -> Option<Vec<(&'a str, Value<'a, 'i>)>> {
        let DeValue::Table(table) = self.get() else { return None };
        let entry = |(name, spanned): (&'a Spanned<_>, _)| {
            let name: &'a std::borrow::Cow<'_, str> = name.get_ref();
            (name.as_ref(), Value { text: self.text, key: format!("{}.{}", self.key, as_key(name)), spanned })
        };
        Some(table.iter().map(entry).collect())
    }

    /// Makes a fault of this value.
    pub(super) fn wrong(&self, reason: impl Into<String>) -> Fault {
        let span = self.spanned.span();
        // The span of a table with its own header is the header, which is not worth quoting.
        let written = self.text.get(span.clone()).filter(|_| !self.get().is_table()).map(quote);
        let subject = match written {
            Some(written) => format!("{} = {written}", self.key),
            None => self.key.clone(),
        };
        Fault { line: line_of(self.text, span.start), subject: Some(subject), reason: reason.into() }
    }
}

fn unknown_key(line: usize, section: Option<&str>, key: &str, known: &[(&'static str, &'static str)]) -> Fault {
    let subject = match section {
        Some(section) => format!("{section}.{}", as_key(key)),
        None => as_key(key),
    };
    let reason = format!("unknown key, the nearest known one is {}", nearest(section, key, known));
    Fault { line, subject: Some(subject), reason }
}

/// The known key that is most similar; for a key outside all sections also the known section. Another section counts as
/// a few letters of difference.
fn nearest(section: Option<&str>, key: &str, known: &[(&'static str, &'static str)]) -> String {
    let distance = |known: &str| strsim::damerau_levenshtein(key, known);
    let keys = known
        .iter()
        .map(|(of, known)| (distance(known) + if section == Some(of) { 0 } else { 3 }, format!("{of}.{known}")));
    let sections = known.iter().filter(|_| section.is_none()).map(|(of, _)| (distance(of), format!("[{of}]")));
    keys.chain(sections).min_by_key(|(distance, _)| *distance).map_or_else(String::new, |(_, name)| name)
}

/// A key as TOML writes it, shortened if it is very long.
fn as_key(key: &str) -> String {
    let bare = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if bare { quote(key) } else { quote(&format!("{key:?}")) }
}

/// The first line of a part of the file, shortened if it is very long. It also appears in the log and in a popup.
fn quote(written: &str) -> String {
    let first = written.lines().next().unwrap_or_default();
    let mut short = text::spelled_out(&first.chars().take(QUOTE_LENGTH).collect::<String>());
    if first.chars().count() > QUOTE_LENGTH || first.len() < written.len() {
        short.push('…');
    }
    short
}

fn line_of(text: &str, offset: usize) -> usize {
    1 + text.bytes().take(offset).filter(|byte| *byte == b'\n').count()
}
