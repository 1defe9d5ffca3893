//! Sounds: play them, add files, and choose which is played for which name.

use std::{path::PathBuf, sync::Arc};

use maud::{Markup, html};
use tokio::task::spawn_blocking;

use super::{Note, Page, fields::Fields, frame::View, routes::Outcome, settings, words};
use crate::{
    config::{Config, with_sound},
    control::{Request, Section},
    push::text,
    sound::{self, lookup::Bundled},
};

/// The names that default push rules use, and what for.
const ASKED_FOR: [(&str, &str); 2] = [("default", "messages"), ("ring", "calls")];
/// Maximum length of a sound's name in a push rule, in characters.
const MAX_TWEAK: usize = 200;

/// The available sounds, and the mapping of names to them.
pub(super) struct Known {
    directory: String,
    names: Vec<String>,
    /// `[sound.tweaks]`
    table: Vec<(String, String)>,
}

impl Known {
    /// Reads the configuration and the directory. Blocks.
    pub(super) fn find(page: &Page) -> Self {
        let config = Config::load(&page.paths.config).unwrap_or_default().sound;
        let directory = directory(page, config.directory);
        let own = sound::own_sounds(&directory);
        let names = Bundled::names().map(str::to_owned).chain(own).collect();
        Self { directory: directory.display().to_string(), names, table: config.tweaks.into_iter().collect() }
    }

    fn of(&self, tweak: &str) -> Option<&str> {
        self.table.iter().find(|(known, _)| known == tweak).map(|(_, sound)| sound.as_str())
    }
}

/// The directory of the person's own sounds: `sound.directory`, else the default.
fn directory(page: &Page, configured: Option<PathBuf>) -> PathBuf {
    configured.unwrap_or_else(|| page.paths.sounds.clone())
}

pub(super) fn show(view: &View, known: &Known) -> Markup {
    let listed = ASKED_FOR.iter().map(|(tweak, of)| (*tweak, *of));
    let others = known.table.iter().map(|(tweak, _)| (tweak.as_str(), ""));
    let others = others.filter(|(tweak, _)| ASKED_FOR.iter().all(|(listed, _)| listed != tweak));
    html! {
        section .settings aria-labelledby="sounds" {
            h2 id="sounds" { "Sounds" }
            div id="the-sounds" data-live {
                div .setting {
                    span .label { "Hear them" }
                    div .buttons { @for sound in &known.names { (view.button("/settings/play", sound, &[("sound", sound)])) } }
                }
                @for (number, (tweak, of)) in listed.chain(others).enumerate() { (choice(view, known, number, tweak, of)) }
                form .setting method="post" action="/settings/sound-for" {
                    (view.token())
                    label for="tweak" { "For another name" }
                    div .entry {
                        input id="tweak" name="tweak" required maxlength=(MAX_TWEAK) autocomplete="off" spellcheck="false"
                            aria-describedby="tweak-hint";
                        select id="tweak-sound" name="sound" aria-label="Its sound" { @for sound in &known.names { option { (sound) } } }
                        button { "Save" span .unseen { " the sound of that name" } }
                    }
                    p .hint id="tweak-hint" { (words::SOUND_NAMES) }
                    div .sent role="status" {}
                }
                form .setting method="post" action="/settings/sound" enctype="multipart/form-data" data-drop {
                    (view.token())
                    label for="sound-file" { "Add one of your own" }
                    div .entry {
                        input id="sound-file" name="file" type="file" required accept="audio/*" aria-describedby="sound-hint";
                        button { "Add" span .unseen { " the sound" } }
                    }
                    p .hint id="sound-hint" { (words::SOUND_FILES) " " code { (known.directory) } "." }
                    div .sent role="status" {}
                }
            }
        }
    }
}

fn choice(view: &View, known: &Known, number: usize, tweak: &str, of: &str) -> Markup {
    let id = format!("sound-{number}");
    let now = known.of(tweak);
    // The file may name a path.
    let elsewhere = now.filter(|now| known.names.iter().all(|name| name != now));
    html! {
        form .setting method="post" action="/settings/sound-for" {
            (view.token())
            input type="hidden" name="tweak" value=(tweak);
            label for=(id) { "For " code { (text::line(tweak, MAX_TWEAK)) } @if !of.is_empty() { " (" (of) ")" } }
            div .entry {
                select id=(id) name="sound" {
                    option value="" selected[now.is_none()] { "the sound with the same name" }
                    @if let Some(elsewhere) = elsewhere { option selected { (elsewhere) } }
                    @for name in &known.names { option selected[now == Some(name)] { (name) } }
                }
                button { "Save" span .unseen { " the sound for " (text::line(tweak, MAX_TWEAK)) } }
            }
            div .sent role="status" {}
        }
    }
}

pub(super) async fn act(page: &Arc<Page>, path: &str, form: &Fields) -> Outcome {
    let note = match path {
        "/settings/play" => {
            let sound = form.get("sound").unwrap_or_default().to_owned();
            Note::of(page.ask(Request::Play { sound }).await, words::SOUND_PLAYS)
        }
        "/settings/sound" => match keep(page, form).await {
            Ok(name) => Note::Done(format!("{} “{name}”.", words::SOUND_KEPT)),
            Err(reason) => Note::Failed(reason),
        },
        _ => Note::of(choose(page, form).await, words::SETTINGS_SAVED),
    };
    Outcome { note: Some(note), to: format!("{}#sounds", Section::Settings.path()) }
}

/// Saves an added sound. Returns its file name.
async fn keep(page: &Arc<Page>, form: &Fields) -> Result<String, String> {
    let (called, bytes) = form.file.clone().filter(|(_, bytes)| !bytes.is_empty()).ok_or(words::NO_FILE)?;
    let page = Arc::clone(page);
    let kept = spawn_blocking(move || {
        let config = Config::load(&page.paths.config).unwrap_or_default();
        sound::keep(&directory(&page, config.sound.directory), &called, &bytes)
    });
    let kept = kept.await.map_err(|error| error.to_string())?;
    kept.map_err(|error| format!("{} {error}.", words::SOUND_NOT_KEPT))
}

/// Writes which sound is played for a name: a listed one, since paths are set in the file alone.
async fn choose(page: &Arc<Page>, form: &Fields) -> Result<(), String> {
    let (tweak, chosen) =
        (form.filled("tweak").unwrap_or_default().to_owned(), form.filled("sound").map(str::to_owned));
    if tweak.is_empty() || tweak.chars().count() > MAX_TWEAK || tweak.contains(char::is_control) {
        return Err(words::NO_TWEAK.to_owned());
    }
    let of = Arc::clone(page);
    let changed = spawn_blocking(move || {
        let known = Known::find(&of);
        let is_known = |chosen: &String| known.names.contains(chosen) || known.of(&tweak) == Some(chosen);
        if chosen.as_ref().is_some_and(|chosen| !is_known(chosen)) {
            return Err(words::SHOWN_ONLY.to_owned());
        }
        let changed = with_sound(&settings::text_of(&of)?, "", &tweak, chosen.as_deref());
        changed.map_err(|error| text::spelled_out(&error.to_string()))
    });
    let changed = changed.await.map_err(|error| error.to_string())??;
    settings::write(page, changed).await
}
