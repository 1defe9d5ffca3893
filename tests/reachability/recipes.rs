//! Tests use the recipes of `docs/connect.md` verbatim, as people copy them.

use std::fs;

use pushbell::config::Config;

pub(crate) const DOCUMENT: &str = include_str!("../../docs/connect.md");
/// The placeholder in the recipes that a test replaces.
pub(crate) const ENDPOINT: &str = "127.0.0.1:7874";

/// The code blocks in this language under this heading.
#[track_caller]
pub(crate) fn blocks(heading: &str, language: &str) -> Vec<&'static str> {
    let (_, section) =
        DOCUMENT.split_once(&format!("\n## {heading}\n")).unwrap_or_else(|| panic!("there is no section {heading}"));
    let section = section.split("\n## ").next().unwrap_or(section);
    let blocks: Vec<_> = section
        .split(&format!("```{language}\n"))
        .skip(1)
        .map(|block| block.split("```").next().unwrap_or(block))
        .collect();
    assert!(!blocks.is_empty(), "{heading} has no {language}");
    blocks
}

/// A recipe with replacements for the test. Each replaced text must occur in it.
#[track_caller]
pub(crate) fn adapt(recipe: &str, changes: &[(&str, &str)]) -> String {
    changes.iter().fold(recipe.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "there is no {from:?} in: {text}");
        text.replace(from, to)
    })
}

#[test]
fn what_homeservers_are_told_is_what_each_recipe_says() {
    let check = |heading: &str, expected: &[&str]| {
        let told: Vec<_> = blocks(heading, "toml")
            .into_iter()
            .map(|block| Config::parse(block, heading).unwrap_or_else(|error| panic!("{error}")).server.base_url())
            .collect();
        assert_eq!(told, expected, "{heading}");
    };
    check("Same network", &["http://192.168.1.20:7874", "http://desk.home.arpa:7874"]);
    check("WireGuard", &["http://10.8.0.2:7874"]);
    check("Tailscale", &["http://100.101.102.103:7874", "https://desk.tail1234.ts.net:7874"]);
    for proxy in ["Caddy", "nginx"] {
        check(proxy, &["https://push.example.org"]);
    }
    check("SSH reverse tunnel", &["http://127.0.0.1:7874"]);
    check("TLS", &["https://push.example.org:7874", "https://192.168.1.20:7874"]);
}

/// Synapse must be allowed to push to the address of the URL.
#[test]
fn each_recipes_whitelist_has_the_pusher_urls_address() {
    for heading in ["Same network", "WireGuard", "Tailscale", "SSH reverse tunnel"] {
        let config = Config::parse(blocks(heading, "toml")[0], heading).unwrap_or_else(|error| panic!("{error}"));
        let url = config.server.base_url();
        let ip = url.trim_start_matches("http://").split(':').next().expect("there is an address");
        assert_eq!(blocks(heading, "yaml"), [format!("ip_range_whitelist: ['{ip}/32']\n")], "{heading}");
    }
    assert_eq!(blocks("Same machine", "yaml"), ["ip_range_whitelist: ['127.0.0.1/32']\n"]);
}

#[test]
fn every_recipe_can_be_found() {
    let anchor = |heading: &str| heading.to_lowercase().replace(' ', "-").replace('\'', "");
    let anchors: Vec<_> = DOCUMENT.lines().filter_map(|line| line.strip_prefix("## ")).map(anchor).collect();
    for link in DOCUMENT.split("](#").skip(1) {
        let link = link.split(')').next().unwrap_or(link);
        assert!(anchors.iter().any(|anchor| anchor == link), "#{link} leads nowhere");
    }
    let readme = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).expect("it is there");
    assert!(readme.contains("(docs/connect.md)"));
}
