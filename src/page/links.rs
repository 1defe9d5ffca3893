//! Links in texts, and targets of redirects (pure).

use maud::{Markup, html};
use url::Url;

use crate::control::Section;

/// Maximum length of a link, in bytes.
const MAX_LINK: usize = 2048;

/// A text with its web addresses as links.
pub(super) fn linked(text: &str) -> Markup {
    let mut parts = Vec::new();
    let (mut plain, mut at) = (0, 0);
    while let Some(found) = ["https://", "http://"].iter().filter_map(|scheme| text[at..].find(scheme)).min() {
        let begin = at + found;
        let word = text[begin..].split(|c: char| c.is_whitespace() || c == '<').next().unwrap_or_default();
        let link = word.trim_end_matches(['.', ',', ';', ':', '!', '?', ')', ']', '}', '>', '"', '\'', '\u{2069}']);
        if is_web_address(link) {
            parts.push((&text[plain..begin], link));
            plain = begin + link.len();
        }
        at = begin + word.len();
    }
    html! {
        @for (before, link) in &parts {
            (before) a href=(link) target="_blank" rel="noopener noreferrer" { (link) }
        }
        (&text[plain..])
    }
}

fn is_web_address(link: &str) -> bool {
    link.len() <= MAX_LINK
        && Url::parse(link).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.username().is_empty())
}

/// The path, if it is a section's, else the inbox: a request cannot redirect to another site.
pub(super) fn own_path(path: &str) -> &'static str {
    let section = Section::ALL.into_iter().find(|section| section.path() == path);
    section.unwrap_or(Section::Inbox).path()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn web_addresses_become_links_and_nothing_else_does() {
        let check = |text: &str, expected: &[&str]| {
            let markup = linked(text).into_string();
            let found: Vec<_> = markup.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
            assert_eq!(found, expected, "{markup}");
            let shown = markup.split('<').map(|part| part.split_once('>').map_or(part, |(_, shown)| shown));
            let shown = shown.collect::<String>().replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"");
            assert_eq!(shown.replace("&amp;", "&"), text);
        };
        check("see https://example.org/a?b=1&c=2.", &["https://example.org/a?b=1&amp;c=2"]);
        check("(http://a.example), https://b.example", &["http://a.example", "https://b.example"]);
        check("https://a.example/?u=https://b.example", &["https://a.example/?u=https://b.example"]);
        check("javascript:alert(1) data:text/html,x file:///etc/passwd", &[]);
        check("https:// http://user:pw@evil.example <script>alert(1)</script>", &[]);
        check("https://a.example/\"onmouseover=\"x", &["https://a.example/&quot;onmouseover=&quot;x"]);
    }

    #[test]
    fn a_form_leads_back_to_the_page_alone() {
        assert_eq!(own_path("/settings"), "/settings");
        for other in ["", "//evil.example", "https://evil.example", "/events", "/inbox/../x"] {
            assert_eq!(own_path(other), "/inbox");
        }
    }
}
