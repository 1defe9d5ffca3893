//! Making text from strangers harmless: control, direction and invisible characters, length, markup (pure).
//!
//! What comes out of [`line()`] and [`paragraph`] holds no control character (but the line feeds of a paragraph), no
//! escape sequence, nothing that turns the direction of text, nothing invisible outside of emoji sequences and of the
//! scripts that are spelled with it, and no more characters than asked for. [`composed`] and [`history`] keep the pairs
//! of isolates that [`isolated`] has put around names; [`without_isolates`] removes those of strangers beforehand.

use std::borrow::Cow;

use unicode_properties::{GeneralCategory, GeneralCategoryGroup, UnicodeEmoji as _, UnicodeGeneralCategory as _};

/// The end of an escape sequence with a string in it is looked for in so many characters.
const MAX_ESCAPED_STRING: usize = 256;

/// More combining marks than this on one character are dropped.
const MAX_MARKS: usize = 4;

/// The deepest indentation that is kept, in spaces; a tab counts as four.
const MAX_INDENTATION: usize = 40;

/// The most letters in the tag sequence of a flag: country and subdivision.
const MAX_FLAG_TAGS: usize = 6;

const ELLIPSIS: char = '…';
const FIRST_STRONG_ISOLATE: char = '\u{2068}';
const POP_DIRECTIONAL_ISOLATE: char = '\u{2069}';
const BLACK_FLAG: char = '\u{1f3f4}';
const CANCEL_TAG: char = '\u{e007f}';
const ZERO_WIDTH_NON_JOINER: char = '\u{200c}';
const ZERO_WIDTH_JOINER: char = '\u{200d}';
const EMOJI_PRESENTATION: char = '\u{fe0f}';
const TEXT_PRESENTATION: char = '\u{fe0e}';
const BRAILLE_BLANK: char = '\u{2800}';
const ENCLOSING_KEYCAP: char = '\u{20e3}';

/// One harmless line, for names and titles: at most `max_chars` characters, the last an ellipsis if it was longer.
#[must_use]
pub fn line(text: &str, max_chars: usize) -> String {
    bounded(text, Rules { max_chars, max_lines: 1, isolates: false, indentation: false })
}

/// Harmless lines, for the text of messages: at most `max_chars` characters and `max_lines` lines (empty ones
/// included), the last an ellipsis if it was longer. White space is collapsed; between lines at most one is empty.
#[must_use]
pub fn paragraph(text: &str, max_chars: usize, max_lines: usize) -> String {
    bounded(text, Rules { max_chars, max_lines, isolates: false, indentation: false })
}

/// Like [`paragraph`], for sentences with [`isolated`] names: the isolates stay, and are closed if the text is cut.
#[must_use]
pub fn composed(text: &str, max_chars: usize, max_lines: usize) -> String {
    bounded(text, Rules { max_chars, max_lines, isolates: true, indentation: false })
}

/// Like [`composed`], with the indentation of all lines but the first, which matters in code.
#[must_use]
pub fn history(text: &str, max_chars: usize, max_lines: usize) -> String {
    bounded(text, Rules { max_chars, max_lines, isolates: true, indentation: true })
}

/// A name for a sentence: between isolates if it has letters that are written from right to left, so that it does not
/// turn the sentence around it.
#[must_use]
pub fn isolated(name: String) -> String {
    if name.contains(is_right_to_left) {
        format!("{FIRST_STRONG_ISOLATE}{name}{POP_DIRECTIONAL_ISOLATE}")
    } else {
        name
    }
}

/// A stranger's text without the isolates that [`composed`] would keep.
#[must_use]
pub fn without_isolates(text: String) -> String {
    let is_isolate = |c| matches!(c, FIRST_STRONG_ISOLATE | POP_DIRECTIONAL_ISOLATE);
    if text.contains(is_isolate) { text.replace(is_isolate, "") } else { text }
}

/// Text with whatever acts, hides or piles up in it written as `\u{202e}`, for what has to be seen as it is: a line of
/// the configuration, an argument. Line feeds stay.
#[must_use]
pub fn spelled_out(text: &str) -> String {
    spell_out(text, |character, output| match character {
        '\n' => output.push('\n'),
        other => output.extend(other.escape_unicode()),
    })
}

/// The text, in which `spell` writes whatever acts, hides or piles up.
pub fn spell_out(text: &str, spell: impl Fn(char, &mut String)) -> String {
    let mut output = String::with_capacity(text.len());
    let mut marks = 0;
    for character in text.chars() {
        marks = if is_mark(character) { marks + 1 } else { 0 };
        let is_seen = character.general_category_group() != GeneralCategoryGroup::Other
            && !is_invisible(character)
            && !matches!(character, '\u{2028}' | '\u{2029}' | BRAILLE_BLANK);
        if is_seen && marks <= MAX_MARKS {
            output.push(character);
        } else {
            spell(character, &mut output);
        }
    }
    output
}

/// "1 message", "3 messages".
pub(crate) fn counted(count: u64, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}

/// The text with a capital letter to begin with.
#[must_use]
pub(crate) fn capitalized(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| first.to_uppercase().chain(characters).collect())
}

/// Escapes in JSON whatever acts, hides or piles up. Outside of its strings there is no such character.
#[must_use]
pub fn escape_json(json: &str) -> String {
    spell_out(json, |character, escaped| {
        escaped.extend(character.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")));
    })
}

/// Escapes text for notification services that read markup (the capability `body-markup`). Quotation marks stay: GNOME
/// Shell and Cinnamon show `&#39;` as it is.
#[must_use]
pub fn escape_markup(text: &str) -> Cow<'_, str> {
    if !text.contains(['&', '<', '>']) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 32);
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            other => escaped.push(other),
        }
    }
    Cow::Owned(escaped)
}

/// What is kept of a text.
#[derive(Clone, Copy)]
struct Rules {
    max_chars: usize,
    max_lines: usize,
    /// Pairs of isolates.
    isolates: bool,
    /// White space at the beginning of lines.
    indentation: bool,
}

fn bounded(text: &str, rules: Rules) -> String {
    let mut output = Output {
        text: String::new(),
        chars: 0,
        lines: 1,
        gap: Gap::None,
        indentation: 0,
        marks: 0,
        flag_tags: 0,
        is_isolating: false,
        rules,
    };
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        let after = &rest[character.len_utf8()..];
        rest = match character {
            '\u{1b}' => after_escape(after),
            '\u{9b}' => after_parameters(after),
            BLACK_FLAG => {
                output.flag_tags = flag_tags(after);
                after
            }
            _ => after,
        };
        let next = Gap::of(character, rules.max_lines);
        if next != Gap::None {
            output.space(character, next);
        } else if output.keeps(character, after) && !output.push(character) {
            output.cut(character);
            break;
        }
    }
    if output.is_isolating {
        output.text.push(POP_DIRECTIONAL_ISOLATE);
    }
    output.text
}

/// White space that is written once something visible follows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Gap {
    None,
    Space,
    Line,
    EmptyLine,
}

impl Gap {
    /// Which white space a character is, if any.
    fn of(character: char, max_lines: usize) -> Self {
        match character {
            '\n' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}' if max_lines > 1 => Self::Line,
            // The braille blank is no white space by its category, but it looks like it.
            BRAILLE_BLANK => Self::Space,
            _ if character.is_whitespace() => Self::Space,
            _ => Self::None,
        }
    }

    fn and(self, next: Self) -> Self {
        match (self, next) {
            (Self::Line | Self::EmptyLine, Self::Line) => Self::EmptyLine,
            _ => self.max(next),
        }
    }
}

struct Output {
    text: String,
    chars: usize,
    lines: usize,
    gap: Gap,
    /// White space after the line feed in `gap`.
    indentation: usize,
    /// Combining marks on the last character.
    marks: usize,
    /// How many tags follow that belong to a flag.
    flag_tags: usize,
    /// An isolate is open; there is always room to close it.
    is_isolating: bool,
    rules: Rules,
}

impl Output {
    /// The character that the next one joins on to.
    fn base(&self) -> Option<char> {
        if self.gap == Gap::None { self.text.chars().next_back() } else { None }
    }

    /// Remembers white space.
    fn space(&mut self, character: char, gap: Gap) {
        self.gap = self.gap.and(gap);
        self.indentation = match (gap, character) {
            (Gap::Line | Gap::EmptyLine, _) => 0,
            (Gap::Space | Gap::None, '\t') => self.indentation + 4,
            (Gap::Space | Gap::None, _) => self.indentation + 1,
        };
    }

    /// Whether a character (that is no white space) may be shown in this place, before the rest of the text.
    fn keeps(&self, character: char, rest: &str) -> bool {
        let next = rest.chars().next();
        match character {
            FIRST_STRONG_ISOLATE => self.rules.isolates && !self.is_isolating,
            POP_DIRECTIONAL_ISOLATE => self.is_isolating,
            '\u{e0020}'..=CANCEL_TAG => self.flag_tags > 0,
            ZERO_WIDTH_JOINER if self.base().is_some_and(ends_emoji) => next.is_some_and(is_pictograph),
            ZERO_WIDTH_JOINER | ZERO_WIDTH_NON_JOINER => {
                let joins = |next| is_spelled_with_joiners(next) && (!is_mark(next) || self.marks < MAX_MARKS);
                self.base().is_some_and(is_spelled_with_joiners) && next.is_some_and(joins)
            }
            EMOJI_PRESENTATION | TEXT_PRESENTATION => {
                let begins_keycap = |base| matches!(base, '0'..='9' | '#' | '*') && next == Some(ENCLOSING_KEYCAP);
                self.base().is_some_and(|base| is_pictograph(base) || begins_keycap(base))
            }
            ' '..='~' => true,
            _ if is_invisible(character) => false,
            _ if is_mark(character) => self.base().is_some() && self.marks < MAX_MARKS,
            _ => true,
        }
    }

    /// Appends a character and the white space before it; false if there is no room for them.
    fn push(&mut self, character: char) -> bool {
        let Rules { max_chars, max_lines, indentation, .. } = self.rules;
        let gap = if self.text.is_empty() { Gap::None } else { self.gap };
        let is_indented = indentation && gap >= Gap::Line;
        let indentation = if is_indented { self.indentation.min(MAX_INDENTATION) } else { 0 };
        let (gap, lines) = match gap {
            Gap::EmptyLine if max_lines > 2 => ("\n\n", 2),
            Gap::EmptyLine | Gap::Line => ("\n", 1),
            Gap::Space => (" ", 0),
            Gap::None => ("", 0),
        };
        let to_close = match character {
            FIRST_STRONG_ISOLATE => 1,
            POP_DIRECTIONAL_ISOLATE => 0,
            _ => usize::from(self.is_isolating),
        };
        let length = gap.len() + indentation + 1;
        if self.chars + length + to_close > max_chars || self.lines + lines > max_lines {
            return false;
        }
        self.text.push_str(gap);
        self.text.extend(std::iter::repeat_n(' ', indentation));
        self.text.push(character);
        self.chars += length;
        self.lines += lines;
        self.is_isolating = to_close == 1;
        if matches!(character, '\u{e0020}'..=CANCEL_TAG) {
            self.flag_tags -= 1;
        }
        self.gap = Gap::None;
        self.marks = match character {
            // What follows a joiner piles up on the same character.
            ZERO_WIDTH_JOINER | ZERO_WIDTH_NON_JOINER => self.marks,
            _ if is_mark(character) => self.marks + 1,
            _ => 0,
        };
        true
    }

    /// Ends the text with an ellipsis, without tearing apart what makes up one sign with `following`.
    fn cut(&mut self, following: char) {
        let max_chars = self.rules.max_chars;
        if max_chars == 0 {
            return;
        }
        let mut following = if self.gap == Gap::None { following } else { ' ' };
        while let Some(last) = self.text.chars().next_back() {
            let fits = self.chars + usize::from(self.is_isolating) < max_chars;
            if fits && !joins_on(following) && last != ZERO_WIDTH_JOINER && !last.is_whitespace() {
                break;
            }
            self.text.pop();
            self.chars -= 1;
            self.is_isolating = match last {
                FIRST_STRONG_ISOLATE => false,
                POP_DIRECTIONAL_ISOLATE => true,
                _ => self.is_isolating,
            };
            following = last;
        }
        self.text.push(ELLIPSIS);
    }
}

/// How many tags at the beginning of this text, which follows a black flag, make it the flag of England, say: a few
/// letters or digits and the end.
fn flag_tags(text: &str) -> usize {
    let is_letter = |c: &char| matches!(c, '\u{e0030}'..='\u{e0039}' | '\u{e0061}'..='\u{e007a}');
    let letters = text.chars().take(MAX_FLAG_TAGS).take_while(is_letter).count();
    if letters > 0 && text.chars().nth(letters) == Some(CANCEL_TAG) { letters + 1 } else { 0 }
}

/// Whether a character makes up one sign with the one before it.
fn joins_on(character: char) -> bool {
    is_mark(character) || matches!(character, ZERO_WIDTH_JOINER | '\u{e0020}'..=CANCEL_TAG) || is_skin_tone(character)
}

/// Whether a character is a letter of a script that is written from right to left.
fn is_right_to_left(character: char) -> bool {
    matches!(character, '\u{590}'..='\u{8ff}' | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{fefc}')
        || matches!(character, '\u{10800}'..='\u{10fff}' | '\u{1e800}'..='\u{1efff}')
}

fn is_mark(character: char) -> bool {
    !character.is_ascii() && character.general_category_group() == GeneralCategoryGroup::Mark
}

fn is_skin_tone(character: char) -> bool {
    matches!(character, '\u{1f3fb}'..='\u{1f3ff}')
}

/// Whether a character is an emoji; not the digits, which only begin one ("1️⃣").
fn is_pictograph(character: char) -> bool {
    character.is_emoji_char() && !character.is_ascii()
}

/// Whether an emoji sequence can go on with a joiner after this.
fn ends_emoji(character: char) -> bool {
    is_pictograph(character) || character == EMOJI_PRESENTATION
}

/// Persian, Sinhala, Malayalam and their kin spell words with zero-width joiners between letters.
fn is_spelled_with_joiners(character: char) -> bool {
    matches!(character, '\u{600}'..='\u{6ff}' | '\u{750}'..='\u{77f}' | '\u{900}'..='\u{dff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}')
        && !is_invisible(character)
}

/// Whether nothing is to be seen of a character, or it changes how others are seen.
#[expect(clippy::match_same_arms, reason = "one arm for each kind of character")]
fn is_invisible(character: char) -> bool {
    match character {
        // Arabic, Syriac and Kaithi signs that stand before a number and are seen, though their category is "format".
        '\u{600}'..='\u{605}'
        | '\u{6dd}'
        | '\u{70f}'
        | '\u{890}'
        | '\u{891}'
        | '\u{8e2}'
        | '\u{110bd}'
        | '\u{110cd}' => false,
        // Joiners of graphemes, Hangul and Khmer fillers, variation selectors and tags: letters and marks without a
        // shape. Then what is reserved for more of them, and code points that are never characters.
        '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}' | '\u{3164}' => true,
        '\u{ffa0}' | '\u{fe00}'..='\u{fe0f}' | '\u{e0000}'..='\u{e0fff}' => true,
        '\u{2060}'..='\u{206f}' | '\u{fff0}'..='\u{fff8}' | '\u{fdd0}'..='\u{fdef}' => true,
        _ if u32::from(character) & 0xfffe == 0xfffe => true,
        _ => matches!(character.general_category(), GeneralCategory::Control | GeneralCategory::Format),
    }
}

/// The rest of a text after an escape sequence whose ESC has been read.
fn after_escape(text: &str) -> &str {
    let Some(kind) = text.chars().next() else { return text };
    let after = &text[kind.len_utf8()..];
    match kind {
        '[' => after_parameters(after),
        // A string for the terminal (its title, a link), up to BEL or ESC \. Without an end it is shown.
        ']' | 'P' | 'X' | '^' | '_' => {
            let mut string = after.char_indices().take(MAX_ESCAPED_STRING);
            let end = string.find_map(|(at, _)| {
                ["\u{7}", "\u{1b}\\", "\u{9c}"].iter().find_map(|end| after[at..].strip_prefix(end))
            });
            end.unwrap_or(after)
        }
        _ => text,
    }
}

/// The rest of a text after the parameters and the final character of a control sequence.
fn after_parameters(text: &str) -> &str {
    let rest = text.trim_start_matches(|c: char| matches!(c, ' '..='?'));
    rest.strip_prefix(|c: char| matches!(c, '@'..='~')).unwrap_or(rest)
}

#[cfg(test)]
mod tests;
