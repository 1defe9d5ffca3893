//! Routes requests, and reads forms.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use http_body_util::{BodyExt as _, Limited};
use hyper::{
    Method, Request, StatusCode,
    body::{Bytes, Incoming},
    header::CONTENT_TYPE,
};
use tokio::{task::spawn_blocking, time::timeout};

use super::{
    Note, Page,
    access::{self, Access, Refused},
    answer::Answer,
    events,
    fields::{Fields, address},
    frame::{self, View},
    health, inbox, links,
    server::locked,
    settings, setup, sounds, words,
};
use crate::{control::Section, inbox::unread, sound::MAX_OWN_SIZE};

/// Maximum size of a form, in bytes. The longest is a reply.
const MAX_FORM: usize = 128 * 1024;
/// The same of a form with a sound; larger than a sound may be, so that the sound is refused with its own message.
const MAX_SOUND_FORM: usize = 2 * MAX_OWN_SIZE;
/// Time limit for receiving a form.
const FORM_TIME: Duration = Duration::from_secs(10);

/// The outcome of a form.
pub(super) struct Outcome {
    pub(super) note: Option<Note>,
    /// The path that the browser is redirected to.
    pub(super) to: String,
}

/// Answers one request of this user.
pub(super) async fn respond(page: &Arc<Page>, access: &Mutex<Access>, request: Request<Incoming>) -> Answer {
    answer(page, access, request).await.unwrap_or_else(frame::refused)
}

async fn answer(page: &Arc<Page>, access: &Mutex<Access>, request: Request<Incoming>) -> Result<Answer, Refused> {
    let (head, body) = request.into_parts();
    let path = head.uri.path();
    let query = Fields::parse(head.uri.query().unwrap_or_default().as_bytes());
    locked(access).check_host(&head.headers)?;
    match path {
        "/style.css" => return Ok(Answer::File("text/css; charset=utf-8", frame::STYLE)),
        "/page.js" => return Ok(Answer::File("text/javascript; charset=utf-8", frame::SCRIPT)),
        "/bell.svg" => return Ok(Answer::File("image/svg+xml", frame::BELL)),
        access::PATH if head.method == Method::GET => return enter(access, &query),
        _ => {}
    }
    let session = locked(access).session(&head.headers)?;
    if head.method == Method::POST {
        Access::check_origin(&head.headers)?;
        let content_type = head.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let Some(form) = read(path, content_type, body).await else {
            return Ok(frame::failed(StatusCode::PAYLOAD_TOO_LARGE, words::TOO_LONG));
        };
        session.check_form(form.get("token"))?;
        return Ok(act(page, path, &form).await);
    }
    if head.method != Method::GET {
        return Ok(frame::failed(StatusCode::METHOD_NOT_ALLOWED, words::NOTHING_HERE));
    }
    if path == "/events" {
        return Ok(Answer::Events(events::stream(page)));
    }
    let view = View {
        form_token: session.form_token,
        note: query.get("note").and_then(|number| page.noted(number)),
        unread: count_unread(page).await,
    };
    Ok(match path {
        "/" => Answer::SeeOther(Section::Inbox.path().to_owned()),
        "/inbox" => inbox::show(page, &view, &query).await,
        "/setup" => setup::show(page, &view).await,
        "/settings" => settings::show(page, &view).await,
        "/health" => health::show(page, &view).await,
        _ => frame::failed(StatusCode::NOT_FOUND, words::NOTHING_HERE),
    })
}

fn enter(access: &Mutex<Access>, query: &Fields) -> Result<Answer, Refused> {
    let token = query.get("token").unwrap_or_default();
    let entered = locked(access).redeem(token, Instant::now());
    let cookie = entered.ok().flatten().ok_or(Refused::NoSession)?;
    let wanted = query.get("to").unwrap_or_default();
    let section = Section::ALL.into_iter().find(|section| section.path().trim_start_matches('/') == wanted);
    Ok(Answer::SignedIn(section.unwrap_or(Section::Inbox).path().to_owned(), cookie))
}

/// Reads a form; `None` if it is too long, or takes too long.
async fn read(path: &str, content_type: &str, body: Incoming) -> Option<Fields> {
    if path == "/settings/sound" {
        let read = Fields::read_with_file(content_type, Limited::new(body, MAX_SOUND_FORM));
        return timeout(FORM_TIME, read).await.ok()?.ok();
    }
    let read = timeout(FORM_TIME, Limited::new(body, MAX_FORM).collect()).await.ok()?.ok()?;
    let bytes: Bytes = read.to_bytes();
    Some(Fields::parse(&bytes))
}

async fn count_unread(page: &Page) -> u64 {
    let database = page.paths.database.clone();
    let counted = spawn_blocking(move || unread(&database)).await;
    counted.ok().and_then(Result::ok).map_or(0, |unread| unread.notices)
}

/// Carries out a form, and redirects the browser back to where it was.
async fn act(page: &Arc<Page>, path: &str, form: &Fields) -> Answer {
    let outcome = match path {
        "/settings/check" => return Answer::Text(settings::check(page, form).await.err().unwrap_or_default()),
        "/settings/play" | "/settings/sound" | "/settings/sound-for" => Some(sounds::act(page, path, form).await),
        "/health/do" => Some(health::act(page, form).await),
        _ if path.starts_with("/inbox/") => inbox::act(page, path, form).await,
        _ if path.starts_with("/settings/") => settings::act(page, path, form).await,
        _ if path.starts_with("/setup/") => setup::act(page, path, form).await,
        _ => None,
    };
    let Some(outcome) = outcome else { return frame::failed(StatusCode::NOT_FOUND, words::NOTHING_HERE) };
    let number = outcome.note.map(|note| page.note(note).to_string()).unwrap_or_default();
    let (to, fragment) = outcome.to.split_once('#').unwrap_or((&outcome.to, ""));
    let (to, query) = to.split_once('?').unwrap_or((to, ""));
    let query = Fields::parse(query.as_bytes());
    let mut values: Vec<_> = query.iter().filter(|(name, _)| *name != "note").collect();
    values.push(("note", &number));
    let to = address(links::own_path(to), &values);
    Answer::SeeOther(if fragment.is_empty() { to } else { format!("{to}#{fragment}") })
}
