use proptest::prelude::*;

use super::*;

/// But for the flags that are spelled with tags.
fn without_flags(text: &str) -> String {
    ["🏴󠁧󠁢󠁥󠁮󠁧󠁿", "🏴󠁧󠁢󠁳󠁣󠁴󠁿"].iter().fold(text.to_owned(), |text, flag| text.replace(flag, ""))
}

fn is_harmless(text: &str) -> bool {
    !without_flags(text).chars().any(|c| {
        (c.is_control() && c != '\n')
            || matches!(c, '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
            || matches!(c, '\u{61c}' | '\u{feff}' | '\u{ad}' | '\u{180e}' | '\u{2028}' | '\u{2029}')
            || matches!(c, '\u{e0000}'..='\u{e0fff}')
    })
}

#[test]
fn a_line_is_one_line_without_anything_that_acts() {
    let check = |text: &str, expected: &str| assert_eq!(line(text, 40), expected, "{text:?}");
    check("Major Tom", "Major Tom");
    check("", "");
    check(" \t\r\n ", "");
    check("  Major\n\tTom \u{a0} ", "Major Tom");
    check("a\u{2028}b\u{2029}c\u{85}d\u{b}e", "a b c d e");
    check("a\u{0}\u{1}\u{7f}\u{9f}b", "ab");
    check("\u{2800}\u{3164}\u{115f}", "");
    check("<b>&amp;</b>", "<b>&amp;</b>");
    check("evil\u{202e}gpj.exe\u{2066}\u{200f}\u{61c}", "evilgpj.exe");
    check("in\u{200b}vis\u{2060}ib\u{ad}le\u{feff}\u{e0041}\u{fffe}\u{fdd0}", "invisible");
    check("\u{600}١٢", "\u{600}١٢");
    check("שלום עולם", "שלום עולם");
    check("\u{e000}\u{fffd}", "\u{e000}\u{fffd}");
}

#[test]
fn escape_sequences_are_removed_whole() {
    let check = |text: &str, expected: &str| assert_eq!(line(text, 40), expected, "{text:?}");
    check("\u{1b}[1;31mred\u{1b}[0m", "red");
    check("\u{9b}31mred", "red");
    check("\u{1b}]0;title\u{7}text", "text");
    check("\u{1b}]8;;http://x\u{1b}\\link\u{1b}]8;;\u{1b}\\", "link");
    check("\u{1b}]0;no end", "0;no end");
    check("\u{1b}(B\u{1b}", "(B");
    check("\u{1b}\u{1b}[31\u{1b}[mx", "x");
    check("\u{1b}[31é", "é");
}

#[test]
fn a_text_made_of_beginnings_costs_no_more_than_its_length() {
    assert_eq!(line(&"\u{1b}]".repeat(32 * 1024), 40), "");
    assert_eq!(line(&"\u{1b}[".repeat(32 * 1024), 40), "");
    assert_eq!(line(&"\u{301}\u{200d}".repeat(32 * 1024), 40), "");
}

#[test]
fn emoji_and_the_spelling_of_words_stay_whole() {
    for text in ["👩🏽‍🚀", "🏳️‍🌈", "1️⃣", "❤️", "👨‍👩‍👧‍👦", "🇩🇪", "می‌خواهم", "ශ්‍රී", "नमस्ते", "☎︎", "e\u{301}"]
    {
        assert_eq!(line(text, 40), text);
    }
    assert_eq!(line("a\u{200d}b\u{200c}c 1\u{200d}2 x\u{fe0f} 👩\u{200d}x \u{200d}👩", 40), "abc 12 x 👩x 👩");
}

#[test]
fn flags_that_are_spelled_with_tags_stay_whole() {
    let flags = ["🏴󠁧󠁢󠁥󠁮󠁧󠁿", "🏴󠁧󠁢󠁳󠁣󠁴󠁿", "🏴󠁧󠁢󠁷󠁬󠁳󠁿"];
    for flag in flags {
        assert_eq!(line(&format!("come on {flag}!"), 40), format!("come on {flag}!"));
        assert_eq!(line(&format!("go {flag}"), 8), "go…", "not torn apart");
    }
    let england = flags[0];
    let tags = england.trim_start_matches('\u{1f3f4}');
    let check = |text: &str, expected: &str| assert_eq!(line(text, 80), expected, "{text:?}");
    check(tags, "");
    check(&format!("x{tags} 👍{tags}"), "x 👍");
    check(&format!("{england}{tags}"), england);
    check(tags.trim_end_matches('\u{e007f}'), "");
    check(england.trim_end_matches('\u{e007f}'), "\u{1f3f4}");
    check(&format!("\u{1f3f4}{}\u{e007f}", "\u{e0061}".repeat(7)), "\u{1f3f4}");
    check("\u{1f3f4}\u{e0041}\u{e007f}", "\u{1f3f4}");
}

#[test]
fn only_names_from_right_to_left_are_isolated() {
    let name = |name: &str| isolated(name.to_owned());
    assert_eq!(name("Major Tom"), "Major Tom");
    assert_eq!(name("שלום"), "\u{2068}שלום\u{2069}");
    assert_eq!(name("Tom مرحبا"), "\u{2068}Tom مرحبا\u{2069}");
    assert_eq!(without_isolates("a\u{2068}b\u{2069}".to_owned()), "ab");
}

#[test]
fn isolates_of_names_stay_and_are_always_closed() {
    let check = |text: &str, max_chars: usize, expected: &str| {
        assert_eq!(composed(text, max_chars, 2), expected, "{text:?} in {max_chars}");
        assert_eq!(line(text, max_chars), line(&expected.replace(['\u{2068}', '\u{2069}'], ""), max_chars));
    };
    check("\u{2068}שלום\u{2069} waves", 40, "\u{2068}שלום\u{2069} waves");
    check("\u{2069}a\u{2068}b", 40, "a\u{2068}b\u{2069}");
    check("\u{2068}a\u{2068}b\u{2069}c\u{2069}", 40, "\u{2068}ab\u{2069}c");
    assert_eq!(composed("\u{2068}שלום\u{2069} waves", 5, 1), "\u{2068}של…\u{2069}");
    assert_eq!(composed("\u{2068}שלום\u{2069} waves", 6, 1), "\u{2068}שלו…\u{2069}");
    assert_eq!(composed("\u{2068}שלום\u{2069} waves", 9, 1), "\u{2068}שלום\u{2069} w…");
}

#[test]
fn history_keeps_the_indentation_of_code() {
    let check = |text: &str, expected: &str| assert_eq!(history(text, 80, 10), expected, "{text:?}");
    check("fn main() {\n    let x;\n\n\tx  +  1;\n}\n  ", "fn main() {\n    let x;\n\n    x + 1;\n}");
    check("  first\n \u{200b} second \n   \n  third", "first\n  second\n\n  third");
    check(&format!("a\n{}b", " ".repeat(4000)), &format!("a\n{}b", " ".repeat(40)));
    assert_eq!(history("a\n    bcd", 7, 10), "a…");
    assert_eq!(history("a\n    bcd", 8, 10), "a\n    b…");
}

#[test]
fn combining_marks_are_limited_and_need_a_base() {
    let mark = "\u{301}";
    assert_eq!(line(&format!("Z{}a", mark.repeat(100)), 200), format!("Z{}a", mark.repeat(4)));
    assert_eq!(line(&format!("{mark}a {mark}b"), 200), "a b");
    let over_joiners = line(&format!("क{}", "\u{94d}\u{200d}".repeat(40)), 200);
    assert_eq!(over_joiners.matches('\u{94d}').count(), 4);
    assert_eq!(line(&format!("1{}", "\u{fe0f}\u{20e3}".repeat(40)), 200), "1\u{fe0f}\u{20e3}\u{20e3}\u{20e3}");
    assert_eq!(line("x\u{fe0f}\u{20e3}", 200), "x\u{20e3}");
}

#[test]
fn a_line_that_is_too_long_ends_in_an_ellipsis() {
    let check = |text: &str, max_chars: usize, expected: &str| {
        assert_eq!(line(text, max_chars), expected, "{text:?} in {max_chars}");
    };
    check("abcdef", 6, "abcdef");
    check("abcdef \n\u{200b}", 6, "abcdef");
    check("abcdefg", 6, "abcde…");
    check("abcd efg", 6, "abcd…");
    check("abcdef", 1, "…");
    check("abcdef", 0, "");
    check("", 0, "");
    check("abc👩🏽‍🚀def", 6, "abc…");
    check("abce\u{301}\u{301}de", 6, "abc…");
    check("ééééééé", 4, "ééé…");
}

#[test]
fn a_paragraph_keeps_its_lines_within_bounds() {
    let check = |text: &str, max_chars: usize, max_lines: usize, expected: &str| {
        assert_eq!(paragraph(text, max_chars, max_lines), expected, "{text:?} in {max_chars} x {max_lines}");
    };
    check("\n one \r\n  two\n\n\n\nthree \n", 80, 10, "one\ntwo\n\nthree");
    check("one\u{2028}two", 80, 10, "one\ntwo");
    check("one\ntwo\nthree", 80, 2, "one\ntwo…");
    check("one\n\ntwo", 80, 2, "one\ntwo");
    check("one\n\ntwo\n\nthree", 80, 3, "one\n\ntwo…");
    check("one\ntwo\nthree", 6, 10, "one\nt…");
    check("one\ntwo\nthree", 5, 10, "one…");
    check("one\ntwo", 80, 1, "one two");
}

#[test]
fn what_would_act_can_be_spelled_out() {
    let check = |text: &str, expected: &str| assert_eq!(spelled_out(text), expected);
    check("plain \"é\" 👍\n", "plain \"é\" 👍\n");
    check("\u{1b}[2J\u{9b}\u{202e}\u{2028}\r", r"\u{1b}[2J\u{9b}\u{202e}\u{2028}\u{d}");
    check("e\u{301}\u{301}\u{301}\u{301}\u{301}", "e\u{301}\u{301}\u{301}\u{301}\\u{301}");
}

#[test]
fn markup_is_escaped() {
    assert_eq!(escape_markup("<b>&amp; \"quotes\" 'x'</b>"), "&lt;b&gt;&amp;amp; \"quotes\" 'x'&lt;/b&gt;");
    assert!(matches!(escape_markup("it's \"plain\""), Cow::Borrowed("it's \"plain\"")));
}

proptest! {
    #[test]
    fn whatever_goes_in_what_comes_out_is_bounded_and_harmless(
        text in proptest::collection::vec(prop_oneof![any::<char>(), proptest::char::range('\u{0}', '\u{ff}'),
            proptest::char::range('\u{2000}', '\u{206f}'), proptest::char::range('\u{300}', '\u{36f}'),
            prop_oneof![Just('\u{1b}'), Just('['), Just('\u{fe0f}'), Just('👩'), Just('\n'), Just(' '), Just('\u{1f3f4}'),
                Just('\u{2068}'), Just('\u{2069}'), proptest::char::range('\u{e0060}', '\u{e007f}')]], 0..80)
            .prop_map(String::from_iter),
        max_chars in 0..50_usize,
        max_lines in 1..5_usize,
    ) {
        let one = line(&text, max_chars);
        prop_assert!(is_harmless(&one) && !one.contains('\n'));
        let many = paragraph(&text, max_chars, max_lines);
        prop_assert!(is_harmless(&many));
        prop_assert!(many.split('\n').count() <= max_lines);
        for text in [&one, &many] {
            prop_assert!(text.chars().count() <= max_chars);
            prop_assert_eq!(text.trim(), text);
            prop_assert!(!escape_markup(text).contains(['<', '>']));
        }
        let kept = composed(&text, max_chars, max_lines);
        prop_assert!(kept.chars().count() <= max_chars);
        prop_assert!(kept.matches('\u{2068}').count() == kept.matches('\u{2069}').count(), "{kept:?}");
        prop_assert_eq!(composed(&kept, max_chars, max_lines), kept.clone());
        let indented = history(&text, max_chars, max_lines);
        prop_assert!(indented.chars().count() <= max_chars && indented.split('\n').count() <= max_lines);
        prop_assert_eq!(history(&indented, max_chars, max_lines), indented.clone());
        prop_assert_eq!(line(&one, max_chars), one.clone());
        prop_assert_eq!(paragraph(&many, max_chars, max_lines), many.clone());
    }
}
