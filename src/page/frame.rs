//! The layout of all pages.

use hyper::StatusCode;
use maud::{DOCTYPE, Markup, html};

use super::{Note, access::Refused, answer::Answer, words};
use crate::{app_info, control::Section, invocation};

/// The static files.
pub(super) const STYLE: &str = include_str!("../../assets/page/style.css");
pub(super) const SCRIPT: &str = include_str!("../../assets/page/page.js");
pub(super) const BELL: &str = include_str!("../../assets/icons/pushbell.svg");

/// What a page needs to know of its request.
pub(super) struct View {
    /// The CSRF token of its forms.
    pub(super) form_token: String,
    /// The result of the last form.
    pub(super) note: Option<Note>,
    /// How many notices are unread.
    pub(super) unread: u64,
}

impl View {
    /// The hidden field with the CSRF token.
    pub(super) fn token(&self) -> Markup {
        html! { input type="hidden" name="token" value=(self.form_token); }
    }

    /// A form with one button and these values.
    pub(super) fn button(&self, action: &str, label: &str, values: &[(&str, &str)]) -> Markup {
        html! {
            form method="post" action=(action) {
                (self.token())
                @for (name, value) in values { input type="hidden" name=(name) value=(value); }
                button { (label) }
            }
        }
    }

    /// A whole page.
    pub(super) fn page(&self, section: Section, body: &Markup) -> Answer {
        let title = words::title(section);
        let badge = if self.unread > 0 { format!("({}) ", self.unread) } else { String::new() };
        Answer::Page(
            StatusCode::OK,
            html! {
                (DOCTYPE)
                html lang="en" {
                    (head(&format!("{badge}{title}"), true))
                    body data-section=(section.path()) {
                        a .skip href="#main" { "To the content" }
                        header .top {
                            a .brand href="/inbox" { img src="/bell.svg" alt="" width="28" height="28"; (app_info::APP_NAME) }
                            nav aria-label="Parts of Pushbell" {
                                @for part in Section::ALL {
                                    a href=(part.path()) aria-current=[(part == section).then_some("page")] {
                                        (words::title(part))
                                        @if part == Section::Inbox {
                                            span .count id="count" data-live hidden[self.unread == 0] {
                                                (self.unread) span .unseen { " unread" }
                                            }
                                        }
                                    }
                                }
                            }
                        }
                        p .banner id="disconnected" role="alert" hidden {
                            (words::INTERRUPTED) " " code { (command()) } "."
                        }
                        main id="main" tabindex="-1" {
                            div id="note" role="status" {
                                @match &self.note {
                                    Some(Note::Done(text)) => p .note .done { (text) },
                                    Some(Note::Failed(text)) => p .note .failed { (text) },
                                    None => {}
                                }
                            }
                            (body)
                        }
                    }
                }
            },
        )
    }
}

fn head(title: &str, has_script: bool) -> Markup {
    html! {
        head {
            meta charset="utf-8";
            meta name="viewport" content="width=device-width, initial-scale=1";
            meta name="color-scheme" content="light dark";
            title { (title) " · " (app_info::APP_NAME) }
            link rel="icon" href="/bell.svg" type="image/svg+xml";
            link rel="stylesheet" href="/style.css";
            @if has_script { script src="/page.js" defer {} }
        }
    }
}

/// A page for an error.
fn plain(status: StatusCode, title: &str, body: &Markup) -> Answer {
    Answer::Page(
        status,
        html! {
            (DOCTYPE)
            html lang="en" {
                (head(title, false))
                body .alone {
                    main { img src="/bell.svg" alt="" width="72" height="72"; h1 { (title) } (body) }
                }
            }
        },
    )
}

/// The command that opens a new page.
fn command() -> String {
    words::OPEN_COMMAND.replacen("pushbell", invocation::command(), 1)
}

pub(super) fn refused(why: Refused) -> Answer {
    match why {
        Refused::NoSession => {
            let body = html! { p { (words::NO_SESSION) " " code { (command()) } "." } };
            plain(StatusCode::FORBIDDEN, "Not open any more", &body)
        }
        Refused::Host => failed(StatusCode::MISDIRECTED_REQUEST, words::ELSEWHERE),
        Refused::Origin => failed(StatusCode::FORBIDDEN, words::ELSEWHERE),
    }
}

/// An error page with another reason.
pub(super) fn failed(status: StatusCode, reason: &str) -> Answer {
    plain(status, "This did not work", &html! { p { (reason) } })
}

/// A text with a copy button, which the script reveals.
pub(super) fn to_copy(id: &str, text: &str) -> Markup {
    html! {
        div .copied {
            pre id=(id) tabindex="0" { (text) }
            button type="button" data-copy=(id) hidden { "Copy" }
        }
    }
}

/// A sentence; parts in backquotes become code.
pub(super) fn with_code(sentence: &str) -> Markup {
    html! {
        @for (number, part) in sentence.split('`').enumerate() {
            @if number % 2 == 1 { code { (part) } } @else { (part) }
        }
    }
}
