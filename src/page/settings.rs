//! The settings: a form for each key of `pushbell.toml`. Commands and file paths are only shown.

use std::{fs, sync::Arc};

use clap::ValueEnum as _;
use maud::{Markup, html};
use tokio::task::spawn_blocking;
use toml::Table;

use super::{Note, Page, answer::Answer, fields::Fields, frame::View, routes::Outcome, sounds, words};
use crate::{
    accounts::Accounts,
    app::write_default_config,
    config::{self, Config, Kind, Setting, with_value},
    control::{Reply, Request, Section},
    platform::{autostart, files},
    push::text,
    sample,
};

pub(super) async fn show(page: &Arc<Page>, view: &View) -> Answer {
    let of = Arc::clone(page);
    let read = spawn_blocking(move || {
        let starts = autostart::status();
        (text_of(&of), sounds::Known::find(&of), starts.map(|state| state.on), of.accounts())
    });
    let body = match read.await {
        Ok((text, sounds, starts, accounts)) => html! {
            h1 { (words::title(Section::Settings)) }
            p .lead { (words::SETTINGS_INTRO) }
            @match text {
                Ok(text) => (sections(page, view, &text, &sounds)),
                Err(reason) => div .note .failed { p { (words::FILE_FAULTY) } pre { (reason) } },
            }
            section aria-labelledby="file" {
                h2 id="file" { "The file" }
                p { (words::SHOWN_ONLY) }
                p { code { (page.paths.config.display()) } }
                (view.button("/settings/edit", "Open the file", &[]))
            }
            (tests(view, &accounts))
            (start_with_desktop(view, starts.ok()))
        },
        Err(error) => html! { p .note .failed { (error) } },
    };
    view.page(Section::Settings, &body)
}

/// The text of the configuration file; the default text if there is no file.
///
/// # Errors
/// The faults of the file, in words.
pub(super) fn text_of(page: &Page) -> Result<String, String> {
    let path = &page.paths.config;
    let text = match fs::read_to_string(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(config::default_text()),
        read => read.map_err(|error| format!("{}: {error}", path.display())),
    }?;
    Config::parse(&text, &path.display().to_string()).map_err(|error| text::spelled_out(&error.to_string()))?;
    Ok(text)
}

fn sections(page: &Page, view: &View, text: &str, sounds: &sounds::Known) -> Markup {
    let table: Table = text.parse().unwrap_or_default();
    let settings = config::settings();
    html! {
        @for settings in settings.chunk_by(|one, other| one.section == other.section) {
            @if let Some(first) = settings.first() {
                section .settings aria-labelledby={ "s-" (first.section) } {
                    h2 id={ "s-" (first.section) } { (capitalized(&first.section)) }
                    @for setting in settings { (form(page, view, setting, &table)) }
                }
                @if first.section == "sound" { (sounds::show(view, sounds)) }
            }
        }
    }
}

fn form(page: &Page, view: &View, setting: &Setting, table: &Table) -> Markup {
    let Setting { section, key, help, kind, default } = setting;
    let value = table.get(section).and_then(|table| table.get(key)).or(default.as_ref());
    let shown = value.map(Setting::shown).unwrap_or_default();
    let id = format!("{section}-{key}");
    let (help_id, list_id, error_id) = (format!("h-{id}"), format!("l-{id}"), format!("e-{id}"));
    let described = format!("{help_id} {error_id}");
    let suggestions: &[String] = match kind {
        Kind::Text(words) | Kind::List(words) => words,
        Kind::Switch | Kind::Choice(_) | Kind::Number | Kind::FileOnly => &[],
    };
    // Values and their labels.
    let options: Vec<(&str, &str)> = match kind {
        Kind::Switch => vec![("true", "On"), ("false", "Off")],
        Kind::Choice(words) => words.iter().map(|word| (word.as_str(), word.as_str())).collect(),
        Kind::Number | Kind::Text(_) | Kind::List(_) | Kind::FileOnly => Vec::new(),
    };
    html! {
        @if *kind == Kind::FileOnly {
            div .setting {
                span .label { (capitalized(key)) }
                p .value { code { @if shown.is_empty() { "not set" } @else { (shown) } } }
                p .hint {
                    (help)
                    @if section == "sound" && key == "directory" && shown.is_empty() {
                        "; in use: " code { (page.paths.sounds.display()) }
                    }
                }
            }
        } @else {
            form .setting method="post" action="/settings/set" data-checked {
                (view.token())
                input type="hidden" name="section" value=(section);
                input type="hidden" name="key" value=(key);
                label for=(id) { (capitalized(key)) }
                div .entry {
                    @if !options.is_empty() {
                        select id=(id) name="value" aria-describedby=(described) {
                            @for (value, label) in options { option value=(value) selected[value == shown] { (label) } }
                        }
                    } @else {
                        input id=(id) name="value" value=(shown) aria-describedby=(described) autocomplete="off" spellcheck="false"
                            list=[(!suggestions.is_empty()).then_some(&list_id)]
                            inputmode=[(*kind == Kind::Number).then_some("decimal")];
                        @if !suggestions.is_empty() { datalist id=(list_id) { @for word in suggestions { option value=(word) {} } } }
                    }
                    button { "Save" span .unseen { " " (capitalized(key)) } }
                }
                p .hint id=(help_id) {
                    (help)
                    @if matches!(kind, Kind::List(_)) { @if !help.is_empty() { "; " } "separate several by commas" }
                }
                p .error id=(error_id) role="status" {}
                div .sent role="status" {}
            }
        }
    }
}

fn tests(view: &View, accounts: &Accounts) -> Markup {
    html! {
        section aria-labelledby="tests" {
            h2 id="tests" { "Test notifications" }
            @if accounts.iter().len() == 0 {
                p { "There is no account yet: " a href="/setup" { "connect a homeserver" } "." }
            } @else {
                div .buttons {
                    @for kind in sample::Kind::value_variants() {
                        @if let Some(value) = kind.to_possible_value() {
                            (view.button("/settings/test", &capitalized(value.get_name()), &[("kind", value.get_name())]))
                        }
                    }
                }
            }
        }
    }
}

/// Whether Pushbell starts with the desktop, and a button to change that. Also shown at the end of a set-up.
pub(super) fn start_with_desktop(view: &View, starts: Option<bool>) -> Markup {
    html! {
        section aria-labelledby="autostart" {
            h2 id="autostart" { "Start with the desktop" }
            @match starts {
                Some(true) => {
                    p { (words::AUTOSTART_ON) }
                    (view.button("/settings/autostart", "No longer", &[("on", "no")]))
                }
                Some(false) => {
                    p { (words::AUTOSTART_OFF) }
                    (view.button("/settings/autostart", "Start with the desktop", &[("on", "yes")]))
                }
                None => p { "This desktop cannot be asked." }
            }
        }
    }
}

/// A key or section as a heading: "Follow desktop", "Public URL".
fn capitalized(key: &str) -> String {
    let words =
        key.split('_').map(|word| if ["url", "tls"].contains(&word) { word.to_uppercase() } else { word.to_owned() });
    text::capitalized(&words.collect::<Vec<_>>().join(" "))
}

/// The file's text with the value of a form; else why the value is not valid.
pub(super) async fn check(page: &Arc<Page>, form: &Fields) -> Result<String, String> {
    let text = |name: &str| form.get(name).unwrap_or_default().to_owned();
    let (section, key, entered, page) = (text("section"), text("key"), text("value"), Arc::clone(page));
    let checked = spawn_blocking(move || {
        let settings = config::settings();
        let setting = settings.iter().find(|it| it.section == section && it.key == key && it.kind != Kind::FileOnly);
        let setting = setting.ok_or_else(|| words::SHOWN_ONLY.to_owned())?;
        let changed = with_value(&text_of(&page)?, "", &section, &key, &setting.written(&entered));
        changed.map_err(|error| {
            let said = text::spelled_out(&error.to_string());
            // Without the line number.
            said.trim_start_matches(|c: char| c == ':' || c.is_ascii_digit()).trim().to_owned()
        })
    });
    checked.await.map_err(|error| error.to_string())?
}

async fn set(page: &Arc<Page>, form: &Fields) -> Result<(), String> {
    let text = check(page, form).await?;
    write(page, text).await
}

/// Writes the file, and has the program reload it.
pub(super) async fn write(page: &Page, text: String) -> Result<(), String> {
    let path = page.paths.config.clone();
    let written = spawn_blocking(move || {
        write_default_config(&path)?;
        files::replace_private(&path, text.as_bytes())
    });
    let written = written.await.map_err(|error| error.to_string())?;
    written.map_err(|error| format!("{}: {error}", page.paths.config.display()))?;
    page.ask(Request::ReloadConfiguration).await.map(drop)
}

pub(super) async fn act(page: &Arc<Page>, path: &str, form: &Fields) -> Option<Outcome> {
    let field = |name: &str| form.get(name).unwrap_or_default();
    let (note, fragment) = match path {
        "/settings/set" => {
            let saved = set(page, form).await;
            (Some(Note::of(saved, words::SETTINGS_SAVED)), format!("{}-{}", field("section"), field("key")))
        }
        "/settings/edit" => (page.ask(Request::EditConfiguration).await.err().map(Note::Failed), "file".to_owned()),
        "/settings/test" => {
            let sent = match sample::Kind::from_str(field("kind"), false) {
                Ok(kind) => test(page, kind).await,
                Err(reason) => Err(reason),
            };
            (Some(Note::of(sent, words::SAMPLE_SENT)), "tests".to_owned())
        }
        "/settings/autostart" => {
            let on = field("on") == "yes";
            let words = if on { words::AUTOSTART_ON } else { words::AUTOSTART_OFF };
            (Some(Note::of(autostart(page, on).await, words)), "autostart".to_owned())
        }
        _ => return None,
    };
    Some(Outcome { note, to: format!("{}#{fragment}", Section::Settings.path()) })
}

pub(super) async fn autostart(page: &Page, on: bool) -> Result<(), String> {
    let turned = spawn_blocking(move || autostart::set(on)).await.map_err(|error| error.to_string())?;
    turned.map_err(|error| format!("starting with the desktop: {error}"))?;
    page.ask(Request::ReloadAutostart).await.map(drop)
}

/// Sends a sample push.
pub(super) async fn test(page: &Page, kind: sample::Kind) -> Result<(), String> {
    let Reply::Status(status) = page.ask(Request::Status).await? else { return Err(words::BUSY.to_owned()) };
    let Reply::Sample { number } = page.ask(Request::BeginSample).await? else { return Err(words::BUSY.to_owned()) };
    let accounts = page.accounts();
    let account = accounts.iter().next().ok_or("There is no account yet.")?;
    sample::send(kind, account, &number, &status.listen, status.tls.is_some()).await.map(drop)
}
