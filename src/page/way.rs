//! The choice of how an account's notifications get here.

use maud::{Markup, html};

use super::{fields::Fields, words};
use crate::accounts::{Account, Way};

/// The ways that this build supports, each with its name and description.
fn ways() -> impl Iterator<Item = (Way, &'static str, &'static str)> {
    let ways = [
        (Way::Auto, "Automatic (recommended)", words::WAY_AUTO),
        (Way::Push, "Pushed to this computer", words::WAY_PUSH),
        (Way::Listen, "Over a connection to the homeserver", words::WAY_LISTEN),
        (Way::Ntfy, "Through an ntfy server", words::WAY_NTFY),
    ];
    ways.into_iter().filter(|(way, ..)| cfg!(feature = "encryption") || *way != Way::Listen)
}

/// The name of a way.
pub(super) fn name(way: Way) -> &'static str {
    ways().find(|(known, ..)| *known == way).map_or("", |(_, name, _)| name)
}

/// The radio buttons; the account's own way is checked.
pub(super) fn choice(id: &str, account: Option<&Account>) -> Markup {
    let now = account.map_or(Way::Auto, |account| account.way);
    let address = account.and_then(Account::relay_address).unwrap_or_default();
    html! {
        fieldset .ways {
            legend { "How notifications get here" }
            @for (way, name, help) in ways() {
                @let id = format!("{id}-{}", way.as_str());
                div .way {
                    input id=(id) type="radio" name="way" value=(way.as_str()) checked[way == now]
                        aria-describedby={ (id) "-hint" };
                    div {
                        label for=(id) { (name) }
                        p .hint id={ (id) "-hint" } { (help) }
                        @if way == Way::Ntfy {
                            input id={ (id) "-address" } name="relay" value=(address) aria-label="Address of the ntfy server"
                                placeholder="https://ntfy.example.org" autocomplete="off" spellcheck="false" inputmode="url";
                        }
                    }
                }
            }
        }
    }
}

/// The chosen way and the address of its relay; no way if it is the one that the account has already, which login checks
/// less strictly than a new one.
pub(super) fn chosen(form: &Fields, account: Option<&Account>) -> Result<(Option<Way>, Option<String>), String> {
    let way = ways().map(|(way, ..)| way).find(|way| form.get("way") == Some(way.as_str()));
    let relay = form.filled("relay").filter(|_| way == Some(Way::Ntfy)).map(str::to_owned);
    if way == Some(Way::Ntfy) && relay.is_none() {
        return Err(words::NO_RELAY.to_owned());
    }
    let is_kept = match account {
        Some(account) if form.get("again").is_some() => {
            let is_same = |before: &str| relay.as_deref().is_some_and(|relay| relay.trim_end_matches('/') == before);
            way == Some(account.way) && account.relay_address().map_or(relay.is_none(), is_same)
        }
        // `auto` is preselected in the form for a new account.
        Some(_) | None => way == Some(Way::Auto),
    };
    Ok((way.filter(|_| !is_kept), relay))
}
