//! The text of a `formatted_body` (pure). Only a client that shows HTML needs more of it.

use html5gum::{StartTag, Token, Tokenizer};

/// Whether something in this HTML is hidden until it is clicked.
pub(crate) fn has_spoiler(html: &str) -> bool {
    html.as_bytes().windows(SPOILER.len()).any(|window| window.eq_ignore_ascii_case(SPOILER.as_bytes()))
}

/// Whether this HTML begins with the quotation of what it replies to.
pub(crate) fn has_reply_fallback(html: &str) -> bool {
    html.trim_start().get(..REPLY.len() + 1).is_some_and(|begin| begin[1..].eq_ignore_ascii_case(REPLY))
}

/// The text without tags. Spoilers are replaced by their reason, and what a reply quotes is left out.
pub(crate) fn text(html: &str) -> String {
    let mut text = String::new();
    // The element that is left out, and how many of its name are open.
    let mut hidden: Option<(Vec<u8>, usize)> = None;
    let mut preformatted = 0_usize;
    for Ok(token) in Tokenizer::new(html) {
        match (&mut hidden, token) {
            (Some((name, depth)), Token::StartTag(tag)) => *depth += usize::from(*name == *tag.name),
            (Some((name, depth)), Token::EndTag(tag)) => {
                *depth -= usize::from(*name == *tag.name);
                if *depth == 0 {
                    hidden = None;
                }
            }
            (None, Token::StartTag(tag)) => {
                let spoiler = attribute(&tag, SPOILER);
                if is_block(&tag.name) {
                    break_line(&mut text);
                }
                if let Some(reason) = &spoiler {
                    text.push_str(&spoiler_text(reason));
                }
                match &**tag.name {
                    b"br" | b"hr" => text.push('\n'),
                    b"img" if spoiler.is_none() => text.extend(attribute(&tag, "alt")),
                    b"img" => {}
                    b"li" => text.push_str("- "),
                    b"pre" => preformatted += 1,
                    b"script" | b"style" => hidden = Some((tag.name.to_vec(), 1)),
                    name if spoiler.is_some() || name == REPLY.as_bytes() => hidden = Some((name.to_vec(), 1)),
                    _ => {}
                }
            }
            (None, Token::EndTag(tag)) => {
                if is_block(&tag.name) {
                    break_line(&mut text);
                }
                if **tag.name == *b"pre" {
                    preformatted = preformatted.saturating_sub(1);
                }
            }
            (None, Token::String(piece)) => {
                let piece = String::from_utf8_lossy(&piece);
                if preformatted > 0 { text.push_str(&piece) } else { flow(&mut text, &piece) }
            }
            (Some(_) | None, Token::String(_) | Token::Comment(_) | Token::Doctype(_) | Token::Error(_)) => {}
        }
    }
    text
}

const SPOILER: &str = "data-mx-spoiler";
const REPLY: &str = "mx-reply";

/// The replacement of a spoiler.
fn spoiler_text(reason: &str) -> String {
    match reason.trim() {
        "" => "(spoiler)".to_owned(),
        reason => format!("(spoiler: {reason})"),
    }
}

fn attribute(tag: &StartTag<()>, name: &str) -> Option<String> {
    tag.attributes.get(name.as_bytes()).map(|value| String::from_utf8_lossy(value).into_owned())
}

fn is_block(name: &[u8]) -> bool {
    let blocks: [&[u8]; 18] = [
        b"blockquote",
        b"details",
        b"div",
        b"h1",
        b"h2",
        b"h3",
        b"h4",
        b"h5",
        b"h6",
        b"li",
        b"ol",
        b"p",
        b"pre",
        b"summary",
        b"table",
        b"td",
        b"tr",
        b"ul",
    ];
    blocks.contains(&name)
}

fn break_line(text: &mut String) {
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
}

/// Appends text in which white space of any kind and length is one space, and none at the beginning of a line.
fn flow(text: &mut String, piece: &str) {
    for character in piece.chars() {
        let is_space = matches!(character, ' ' | '\t' | '\n' | '\r' | '\u{c}');
        if !is_space {
            text.push(character);
        } else if !text.is_empty() && !text.ends_with([' ', '\n']) {
            text.push(' ');
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn tags_go_and_entities_are_decoded() {
        let check = |html: &str, expected: &str| assert_eq!(text(html).trim_end(), expected, "{html}");
        check("<b>Deploy</b> &amp; tests finished", "Deploy & tests finished");
        check("a\n  b<br>c<br/>d", "a b\nc\nd");
        check("<p>one</p>\n<p>two</p>", "one\ntwo");
        check("<ul><li>one</li><li>two</li></ul>after", "- one\n- two\nafter");
        check("<pre><code>fn x() {\n    1\n}\n</code></pre>", "fn x() {\n    1\n}");
        check("hi <img src='mxc://x' alt=':cat:'>", "hi :cat:");
        check("1 < 2 &lt;b&gt; &#x41;&eacute;&hellip;", "1 < 2 <b> Aé…");
        check("<!-- no --><style>no</style><script>no</script>yes", "yes");
        check("<mx-reply><blockquote>old</blockquote></mx-reply>new", "new");
        check("<a href='>'>link</a", "link");
    }

    #[test]
    fn a_spoiler_is_replaced_by_its_reason() {
        let check = |html: &str, expected: &str| assert_eq!(text(html).trim_end(), expected, "{html}");
        check("<span data-mx-spoiler>secret</span>", "(spoiler)");
        check("a <span data-mx-spoiler=\"the &amp; end\">secret</span> b", "a (spoiler: the & end) b");
        check("<SPAN class='>' DATA-MX-SPOILER=x>secret</SPAN>!", "(spoiler: x)!");
        check("<span data-mx-spoiler><span>secret</span> secret</span> b", "(spoiler) b");
        check("<span data-mx-spoiler><b>secret</span></b>b", "(spoiler)b");
        check("<span data-mx-spoiler>secret", "(spoiler)");
        check("<span data-mx-spoiler/>secret</span>b", "(spoiler)b");
        check("<div data-mx-spoiler>secret</div>b", "(spoiler)b");
        check("<img data-mx-spoiler alt=secret>b", "(spoiler)b");
        assert!(has_spoiler("<span Data-MX-Spoiler>"));
        assert!(!has_spoiler("<span>data-mx"));
    }

    #[test]
    fn a_reply_fallback_stands_at_the_beginning() {
        assert!(has_reply_fallback(" <MX-reply>x"));
        for none in ["", "<mx", "x<mx-reply>", "<blockquote>"] {
            assert!(!has_reply_fallback(none), "{none}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics_and_what_is_hidden_stays_so(html in "[<>/a-c \"'=&;#\\PC]{0,60}") {
            let _ = text(&html);
            let hidden = format!("{html}<span data-mx-spoiler>SECRET</span>");
            prop_assert!(!text(&hidden).contains("SECRET") || html.contains(['<', '"', '\'', '&']));
        }
    }
}
