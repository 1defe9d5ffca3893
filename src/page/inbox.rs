//! The inbox: notices by time or by room, with search, filters and actions.

use std::sync::Arc;

use jiff::{Timestamp, tz::TimeZone};
use maud::{Markup, html};
use tokio::task::spawn_blocking;

use super::{
    Note, Page,
    answer::Answer,
    fields::{Fields, address},
    frame::View,
    links::linked,
    routes::Outcome,
    words,
};
use crate::{
    accounts::Accounts,
    control::{Request, Section},
    inbox::{self, InboxError, ListPage, Listed, ListedRoom},
    notice::{CallState, Notice, NoticeId, Room, RoomKey},
    present::{self, RenderOptions},
    push::text,
};

/// Maximum number of notices on a page, and of rooms in the list.
const ON_A_PAGE: usize = 50;
const MAX_ROOMS: usize = 200;
/// Maximum lengths of a name and of a search, in characters.
const MAX_NAME_CHARS: usize = 80;
const MAX_SEARCH_CHARS: usize = 200;

/// What is shown, by the query of the address.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Shown {
    Notices(Listed),
    Rooms,
}

impl Shown {
    fn of(query: &Fields) -> Self {
        match (query.get("show"), query.get("account"), query.get("room")) {
            (Some("unread"), ..) => Self::Notices(Listed::Unread),
            (Some("calls"), ..) => Self::Notices(Listed::MissedCalls),
            (Some("rooms"), ..) => Self::Rooms,
            (_, Some(account), Some(room)) => {
                let (account, room) = (account.to_owned(), Room::from_stored(room.to_owned()));
                Self::Notices(Listed::Room(RoomKey { account, room }))
            }
            _ => Self::Notices(Listed::All),
        }
    }

    /// The query that leads to it.
    fn values(&self) -> Vec<(&str, &str)> {
        match self {
            Self::Notices(Listed::All) => Vec::new(),
            Self::Notices(Listed::Unread) => vec![("show", "unread")],
            Self::Notices(Listed::MissedCalls) => vec![("show", "calls")],
            Self::Notices(Listed::Room(RoomKey { account, room })) => {
                vec![("account", account), ("room", room.as_str())]
            }
            Self::Rooms => vec![("show", "rooms")],
        }
    }
}

/// The data of a page.
struct Read {
    page: ListPage,
    rooms: Vec<ListedRoom>,
    unread: inbox::Unread,
    accounts: Accounts,
}

pub(super) async fn show(page: &Arc<Page>, view: &View, query: &Fields) -> Answer {
    let shown = Shown::of(query);
    let search: String = query.filled("q").unwrap_or_default().chars().take(MAX_SEARCH_CHARS).collect();
    let before = query.number("before").map(NoticeId);
    let (of, words) = (Arc::clone(page), search.to_lowercase());
    let wanted = shown.clone();
    let read = spawn_blocking(move || read(&of, &wanted, &words, before)).await;
    let body = match read {
        Ok(Ok(read)) => body(view, &shown, &search, before, &read),
        Ok(Err(error)) => html! { p .note .failed { (error) } },
        Err(error) => html! { p .note .failed { (error) } },
    };
    view.page(Section::Inbox, &body)
}

fn read(page: &Page, shown: &Shown, search: &str, before: Option<NoticeId>) -> Result<Read, InboxError> {
    let (path, seals) = (&page.paths.database, page.inbox.seals());
    let list = |listed| inbox::list(path, seals, listed, before, ON_A_PAGE, |notice| matches(notice, search));
    let (listed, rooms) = match shown {
        Shown::Notices(listed) => (list(listed)?, Vec::new()),
        Shown::Rooms if search.is_empty() => (ListPage::default(), inbox::rooms(path, seals, MAX_ROOMS)?),
        Shown::Rooms => (list(&Listed::All)?, Vec::new()),
    };
    Ok(Read { page: listed, rooms, unread: inbox::unread(path)?, accounts: page.accounts() })
}

/// Whether a notice's names and text contain all words of a lower-case search.
fn matches(notice: &Notice, search: &str) -> bool {
    if search.is_empty() {
        return true;
    }
    let names = [&notice.sender_display_name, &notice.sender, &notice.room_name, &notice.room_alias];
    let mut all = present::body(notice);
    for name in names.into_iter().flatten() {
        all.push('\n');
        all.push_str(name);
    }
    let all = all.to_lowercase();
    search.split_whitespace().all(|word| all.contains(word))
}

fn body(view: &View, shown: &Shown, search: &str, before: Option<NoticeId>, read: &Read) -> Markup {
    let names_account = read.accounts.iter().len() > 1;
    html! {
        h1 { (words::title(Section::Inbox)) }
        (filters(shown, read))
        form .search role="search" action="/inbox" method="get" {
            @for (name, value) in shown.values() { @if *shown != Shown::Rooms { input type="hidden" name=(name) value=(value); } }
            label .unseen for="q" { "Search the inbox" }
            input id="q" type="search" name="q" value=(search) placeholder="Search" autocomplete="off"
                aria-describedby="searches" maxlength=(MAX_SEARCH_CHARS);
            button { "Search" }
        }
        p .hint id="searches" hidden[search.is_empty()] { (words::SEARCHES) }
        div id="list" data-live[before.is_none()] {
            @if *shown == Shown::Rooms && search.is_empty() {
                (rooms(&read.rooms, names_account))
            } @else {
                (notices(view, shown, read, names_account))
                @if read.page.notices.is_empty() { p .empty { (empty(shown, search)) } }
                @if read.page.leaves_out_sealed { p .hint { (words::SEALED_LEFT_OUT) } }
                (older(shown, search, &read.page))
            }
        }
        (keys())
    }
}

fn filters(shown: &Shown, Read { unread, page, .. }: &Read) -> Markup {
    let filters = [
        (Shown::Notices(Listed::All), "All", 0),
        (Shown::Notices(Listed::Unread), "Unread", unread.notices),
        (Shown::Notices(Listed::MissedCalls), "Missed calls", unread.missed_calls),
        (Shown::Rooms, "Rooms", 0),
    ];
    html! {
        nav .filters id="filters" aria-label="What is listed" data-live {
            @for (filter, label, count) in &filters {
                a href=(address("/inbox", &filter.values())) aria-current=[(filter == shown).then_some("page")] {
                    (label) @if *count > 0 { span .count { (count) } }
                }
            }
            @if let (Shown::Notices(Listed::Room(_)), Some(newest)) = (shown, page.notices.first()) {
                a href=(address("/inbox", &shown.values())) aria-current="page" {
                    bdi { (text::line(&present::room_name(newest), MAX_NAME_CHARS)) }
                }
            }
        }
    }
}

fn empty(shown: &Shown, search: &str) -> &'static str {
    match shown {
        _ if !search.is_empty() => words::NOTHING_FOUND,
        Shown::Notices(Listed::Unread) => words::ALL_READ,
        Shown::Notices(Listed::MissedCalls) => words::NO_MISSED_CALLS,
        Shown::Notices(Listed::All | Listed::Room(_)) | Shown::Rooms => words::NOTHING_YET,
    }
}

/// Notices, grouped by day.
fn notices(view: &View, shown: &Shown, read: &Read, names_account: bool) -> Markup {
    let now = Timestamp::now();
    let days = read.page.notices.chunk_by(|one, other| day(one.received_at, now) == day(other.received_at, now));
    let back = address("/inbox", &shown.values());
    html! {
        @for notices in days {
            @if let Some(first) = notices.first() { h2 .day { (day(first.received_at, now)) } }
            @for notice in notices { (card(view, notice, &read.accounts, names_account, &back)) }
        }
    }
}

/// "Today", "Yesterday", "Monday, 23 November 2026"
fn day(time: Timestamp, now: Timestamp) -> String {
    let zone = TimeZone::system();
    let (date, today) = (time.to_zoned(zone.clone()).date(), now.to_zoned(zone).date());
    if date == today {
        return "Today".to_owned();
    }
    if today.yesterday().is_ok_and(|yesterday| yesterday == date) {
        return "Yesterday".to_owned();
    }
    date.strftime("%A, %-d %B %Y").to_string()
}

fn card(view: &View, notice: &Notice, accounts: &Accounts, names_account: bool, back: &str) -> Markup {
    let id = notice.id.0.to_string();
    let is_missed = notice.call_state == Some(CallState::Missed);
    let sign_in = accounts.find(&notice.account).and_then(|account| account.sign_in.as_ref());
    let user = sign_in.map(|sign_in| sign_in.user_id.as_str());
    let can_reply =
        user.is_some() && notice.room_id.is_some() && notice.event_id.is_some() && notice.call_state.is_none();
    let values = [("notice", id.as_str()), ("back", back)];
    let text = text_of(notice, user);
    html! {
        article .notice .unread[!notice.read] .important[notice.highlight || is_missed] id={ "n" (id) } tabindex="-1"
            aria-labelledby={ "w" (id) } {
            header {
                strong .who id={ "w" (id) } { bdi { (who(notice)) } }
                @if let Some(place) = place(notice) { span .where { "in " bdi { (place) } } }
                @if names_account { span .account { bdi { (text::line(&notice.account, MAX_NAME_CHARS)) } } }
                span .marks {
                    @if !notice.read { span .mark .new { "unread" } }
                    @if notice.highlight { span .mark { "highlight" } }
                    @if is_missed { span .mark { "missed call" } }
                    @if notice.sample { span .mark { "test" } }
                }
                time datetime=(notice.received_at) { (clock(notice.received_at)) }
            }
            p .text dir="auto" id={ "t" (id) } { (linked(&text)) }
            div .actions {
                @if can_reply {
                    details .reply id={ "d" (id) } {
                        summary { "Reply" }
                        form method="post" action="/inbox/reply" {
                            (view.token())
                            @for (name, value) in values { input type="hidden" name=(name) value=(value); }
                            label for={ "r" (id) } { "Reply to " bdi { (who(notice)) } }
                            textarea id={ "r" (id) } name="text" rows="3" required dir="auto" {}
                            p .hint { (words::REPLY_SENDS) }
                            button .primary { "Send" }
                        }
                    }
                }
                @if !notice.read { (view.button("/inbox/read", "Mark as read", &values)) }
                @if notice.room_id.is_some() { (view.button("/inbox/open", "Open in client", &values)) }
                button type="button" data-copy={ "t" (id) } hidden { "Copy text" }
            }
        }
    }
}

/// The text of a notice.
fn text_of(notice: &Notice, user: Option<&str>) -> String {
    if notice.call_state.is_some() {
        return present::menu_line(notice, user, RenderOptions::default());
    }
    match present::body(notice) {
        _ if notice.redacted => words::DELETED.to_owned(),
        body if body.is_empty() => words::NO_TEXT.to_owned(),
        body => body,
    }
}

fn who(notice: &Notice) -> String {
    let name = notice.sender_display_name.as_ref().or(notice.sender.as_ref());
    let name = name.map(|name| text::line(name, MAX_NAME_CHARS)).filter(|name| !name.is_empty());
    name.unwrap_or_else(|| "Somebody".to_owned())
}

fn place(notice: &Notice) -> Option<String> {
    let name = notice.room_name.as_ref().or(notice.room_alias.as_ref())?;
    Some(text::line(name, MAX_NAME_CHARS)).filter(|name| !name.is_empty())
}

fn clock(time: Timestamp) -> String {
    time.to_zoned(TimeZone::system()).strftime("%H:%M").to_string()
}

fn rooms(rooms: &[ListedRoom], names_account: bool) -> Markup {
    let now = Timestamp::now();
    html! {
        @if rooms.is_empty() { p .empty { (words::NOTHING_YET) } }
        ul .rooms {
            @for ListedRoom { room, newest, unread } in rooms {
                li {
                    a .room .unread[*unread > 0] href=(address("/inbox", &Shown::Notices(Listed::Room(room.clone())).values())) {
                        span .name { bdi { (text::line(&present::room_name(newest), MAX_NAME_CHARS)) } }
                        @if *unread > 0 { span .count { (unread) span .unseen { " unread" } } }
                        @if names_account { span .account { bdi { (text::line(&room.account, MAX_NAME_CHARS)) } } }
                        span .last dir="auto" { bdi { (who(newest)) } ": " (text::line(&text_of(newest, None), 120)) }
                        time datetime=(newest.received_at) { (day(newest.received_at, now)) ", " (clock(newest.received_at)) }
                    }
                }
            }
        }
    }
}

fn older(shown: &Shown, search: &str, page: &ListPage) -> Markup {
    let Some(next) = page.next else { return html! {} };
    let next = next.0.to_string();
    let mut values = shown.values();
    values.extend([("q", search), ("before", next.as_str())]);
    html! {
        @if !search.is_empty() && page.notices.len() < ON_A_PAGE { p .hint { (words::FOUND_SO_FAR) } }
        p .more { a .button href=(address("/inbox", &values)) { "Older" } }
    }
}

/// The list of keyboard shortcuts, which the script reveals.
fn keys() -> Markup {
    let keys = [
        ("j", "next"),
        ("k", "previous"),
        ("r", "reply"),
        ("e", "mark as read"),
        ("Escape", "leave the reply or the search"),
        ("?", "this list"),
    ];
    html! {
        details .keys id="keys" hidden {
            summary { "Keyboard shortcuts" }
            dl { @for (key, does) in keys { div { dt { kbd { (key) } } dd { (does) } } } }
        }
    }
}

/// Carries out a form: marks a notice as read, opens it, or replies.
pub(super) async fn act(page: &Page, path: &str, form: &Fields) -> Option<Outcome> {
    let notice = NoticeId(form.number("notice")?);
    let note = match path {
        "/inbox/read" => Some(Note::of(page.ask(Request::ReadNotice { notice }).await, words::READ)),
        "/inbox/open" => page.ask(Request::OpenNotice { notice }).await.err().map(Note::Failed),
        "/inbox/reply" => match form.filled("text").map(str::to_owned) {
            Some(text) => Some(Note::of(page.ask(Request::ReplyToNotice { notice, text }).await, words::REPLIED)),
            None => None,
        },
        _ => return None,
    };
    Some(Outcome { note, to: form.get("back").unwrap_or_default().to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_says_what_is_shown() {
        let room = Listed::Room(RoomKey::with_id("home", "!a&b=c:d"));
        let notices = [Listed::All, Listed::Unread, Listed::MissedCalls, room].map(Shown::Notices);
        for shown in notices.into_iter().chain([Shown::Rooms]) {
            let address = address("/inbox", &shown.values());
            let query = address.split_once('?').map_or("", |(_, query)| query);
            assert_eq!(Shown::of(&Fields::parse(query.as_bytes())), shown, "{address}");
        }
    }
}
