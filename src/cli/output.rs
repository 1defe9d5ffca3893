//! Output of commands: tables for people, JSON for scripts; both free of terminal escape sequences.

use std::io::{self, Write};

use serde::Serialize;
use terminal_size::{Width, terminal_size_of};
use unicode_width::UnicodeWidthStr;

use crate::{push::text, secrets::Place};

/// Maximum length of untrusted text, in characters.
const LONGEST_TEXT: usize = 200;
/// Maximum length of a sentence, in characters.
const LONGEST_SENTENCE: usize = 600;

/// Untrusted text as one sanitised line.
pub(super) fn harmless(text: &str) -> String {
    text::line(text, LONGEST_TEXT)
}

/// A sentence of Pushbell that may contain such text.
pub(super) fn harmless_sentence(text: &str) -> String {
    text::line(text, LONGEST_SENTENCE)
}

/// Width of the terminal in columns; `None` when stdout is not a terminal.
pub(super) fn terminal_columns() -> Option<usize> {
    let (Width(columns), _) = terminal_size_of(io::stdout())?;
    Some(columns.into())
}

/// Writes a table with headings, its columns two spaces apart. Lines longer than `columns` are cut off.
pub(super) fn table<const N: usize>(
    out: &mut dyn Write,
    headings: [&str; N],
    rows: &[[String; N]],
    columns: Option<usize>,
) -> io::Result<()> {
    let headings = headings.map(str::to_owned);
    let lines = || std::iter::once(&headings).chain(rows);
    let widths: [usize; N] = std::array::from_fn(|column| lines().map(|line| line[column].width()).max().unwrap_or(0));
    for line in lines() {
        let mut text = String::new();
        for (cell, column_width) in line.iter().zip(widths) {
            text.push_str(cell);
            text.extend(std::iter::repeat_n(' ', 2 + column_width - cell.width()));
        }
        writeln!(out, "{}", cut(text.trim_end(), columns.unwrap_or(usize::MAX)))?;
    }
    Ok(())
}

/// The text, shortened with an ellipsis to fit.
fn cut(text: &str, columns: usize) -> String {
    if text.width() <= columns {
        return text.to_owned();
    }
    let mut shown = String::new();
    for character in text.chars() {
        shown.push(character);
        if shown.width() >= columns {
            shown.pop();
            break;
        }
    }
    shown + "…"
}

/// One line of JSON; control, direction, invisible and stacked combining characters are escaped.
pub(super) fn json(value: &impl Serialize) -> io::Result<String> {
    Ok(text::escape_json(&serde_json::to_string(value)?))
}

/// Where a secret was put, in words.
pub(super) fn place(place: &Place) -> String {
    match place {
        Place::Keyring(name) => format!("the keyring ({name})"),
        Place::File { path, reason } => {
            format!("{}, which only you can read ({})", path.display(), harmless(reason))
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_longest_cell() {
        let mut out = Vec::new();
        let rows = [["ä".into(), "x".into()], ["longer".into(), String::new()]];
        table(&mut out, ["NAME", "TEXT"], &rows, None).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "NAME    TEXT\nä       x\nlonger\n");
    }

    #[test]
    fn the_last_column_ends_with_the_terminal() {
        let mut out = Vec::new();
        let rows = [["東京".into(), "東京東京".into()], ["abcd".into(), "1234567".into()]];
        table(&mut out, ["A", "B"], &rows, Some(13)).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "A     B\n東京  東京東…\nabcd  1234567\n");
    }

    #[test]
    fn json_escapes_what_a_terminal_would_obey() {
        let check = |text: &str, expected: &str| assert_eq!(json(&text).unwrap(), expected);
        check("a\u{1b}[2J\u{7f}\u{9b}", r#""a\u001b[2J\u007f\u009b""#);
        check("\u{202e}abc\u{2028}\u{feff}", r#""\u202eabc\u2028\ufeff""#);
        check("e\u{301}\u{301}\u{301}\u{301}\u{301}", "\"e\u{301}\u{301}\u{301}\u{301}\\u0301\"");
        check("\u{e0041}", r#""\udb40\udc41""#);
        check("Ünï 👍 \"\\", r#""Ünï 👍 \"\\""#);
    }

    proptest! {
        #[test]
        fn escaped_json_means_the_same(text in any::<String>()) {
            let line = json(&text).unwrap();
            prop_assert_eq!(text::spelled_out(&line), line.clone());
            prop_assert_eq!(serde_json::from_str::<String>(&line).unwrap(), text);
        }
    }
}
