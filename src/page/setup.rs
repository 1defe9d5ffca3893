//! Set-up: a form to sign in, and the conversation of the command that it starts (`pushbell login`, `logout`, `verify`).

use std::{
    sync::{Arc, Mutex},
    thread,
};

use maud::{Markup, html};
use tokio::{sync::broadcast, task::spawn_blocking};

use super::{
    Note, Page, Topic,
    answer::Answer,
    conversation::{Conversation, Kind, Progress, Question, Step, Task},
    fields::Fields,
    frame::{self, View},
    health,
    routes::Outcome,
    server::locked,
    settings, way, words,
};
use crate::{
    accounts::{Account, Accounts, AccountsFile, Way},
    config::Config,
    control::{Request, Section},
    failure::Failure,
    paths::Paths,
    platform::autostart,
    push::text,
    registration,
};

/// The input of the sign-in form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SignInForm {
    /// The user ID, as it was entered.
    pub(crate) user: String,
    /// The homeserver's address, if it was entered.
    pub(crate) homeserver: Option<String>,
    /// The chosen way; `None` keeps the account's, or `auto` for a new one.
    pub(crate) way: Option<Way>,
    /// The relay's address, for that way.
    pub(crate) relay: Option<String>,
}

/// The commands that the page can start. Each blocks, so it gets a thread of its own.
#[derive(Clone, Copy)]
pub(crate) struct AccountCommands {
    /// Signs in, and waits for a push.
    pub(crate) sign_in: fn(Paths, SignInForm, &Conversation) -> Result<(), Failure>,
    /// Signs out of the account of this name.
    pub(crate) sign_out: fn(Paths, &str, &Conversation) -> Result<(), Failure>,
    /// Verifies the session of the account of this name; `true`: and enables its key backup.
    pub(crate) verify: fn(Paths, &str, bool, &Conversation) -> Result<(), Failure>,
}

/// The current or last conversation.
pub(super) struct Setup {
    commands: AccountCommands,
    changes: broadcast::Sender<Topic>,
    current: Mutex<Option<Conversation>>,
    /// The input of the last sign-in until it has succeeded; it fills in the form again.
    failed: Mutex<Option<SignInForm>>,
}

impl Setup {
    pub(super) fn new(commands: AccountCommands, changes: broadcast::Sender<Topic>) -> Self {
        Self { commands, changes, current: Mutex::default(), failed: Mutex::default() }
    }

    fn current(&self) -> Option<Conversation> {
        locked(&self.current).clone()
    }

    /// Cancels the current command.
    pub(super) fn cancel(&self) {
        if let Some(current) = self.current() {
            current.cancel();
        }
    }

    fn sign_in(&self, paths: &Paths, asked: SignInForm) -> Result<(), String> {
        let (sign_in, paths) = (self.commands.sign_in, paths.clone());
        *locked(&self.failed) = Some(asked.clone());
        self.begin(Task::SignIn, move |conversation| sign_in(paths, asked, conversation))
    }

    fn sign_out(&self, paths: &Paths, account: String) -> Result<(), String> {
        let (sign_out, paths) = (self.commands.sign_out, paths.clone());
        self.begin(Task::SignOut, move |conversation| sign_out(paths, &account, conversation))
    }

    pub(super) fn verify(&self, paths: &Paths, account: String, with_backup: bool) -> Result<(), String> {
        let (verify, paths) = (self.commands.verify, paths.clone());
        self.begin(Task::Verify, move |conversation| verify(paths, &account, with_backup, conversation))
    }

    fn begin(
        &self,
        task: Task,
        run: impl FnOnce(&Conversation) -> Result<(), Failure> + Send + 'static,
    ) -> Result<(), String> {
        let mut current = locked(&self.current);
        if current.as_ref().is_some_and(|current| current.with(|progress| progress.ended.is_none())) {
            return Err(words::IN_ONE_GO.to_owned());
        }
        let conversation = Conversation::new(self.changes.clone());
        conversation.with(|progress| progress.task = task);
        let own = conversation.clone();
        let thread = thread::Builder::new().name("sign-in".to_owned());
        let started = thread.spawn(move || {
            let ended = run(&own);
            own.end(ended);
        });
        started.map_err(|error| error.to_string())?;
        *current = Some(conversation);
        Ok(())
    }

    /// Forgets a conversation that has ended, and the input of the last sign-in unless it failed.
    fn forget(&self) {
        let ended = locked(&self.current).take_if(|current| current.with(|progress| progress.ended.is_some()));
        let is_signed_in = |progress: &mut Progress| matches!(progress.ended, Some(Ok(()) | Err(Failure::Reported(_))));
        if ended.is_some_and(|ended| ended.with(is_signed_in)) {
            *locked(&self.failed) = None;
        }
    }
}

pub(super) async fn show(page: &Arc<Page>, view: &View) -> Answer {
    let of = Arc::clone(page);
    // Both block.
    let asked = spawn_blocking(move || (autostart::status().ok().map(|state| state.on), of.accounts()));
    let (starts, accounts) = asked.await.unwrap_or_else(|_| (None, Accounts::empty()));
    let body = match page.setup.current() {
        Some(current) => current.with(|progress| in_progress(view, progress, starts)),
        None => sign_in_page(page, view, &accounts),
    };
    view.page(Section::Setup, &html! { h1 { (words::title(Section::Setup)) } div id="setup" data-live { (body) } })
}

fn steps(now: Step, is_done: bool) -> Markup {
    let steps = [(Step::Who, "Who are you?"), (Step::Way, "How notifications get here"), (Step::Proof, "Proof")];
    html! {
        ol .steps {
            @for (step, label) in steps {
                @let is_past = is_done || step < now;
                li .past[is_past] aria-current=[(!is_done && step == now).then_some("step")] {
                    (label) @if is_past { span .unseen { ", done" } }
                }
            }
        }
    }
}

fn sign_in_page(page: &Page, view: &View, accounts: &Accounts) -> Markup {
    let failed = locked(&page.setup.failed).clone();
    let entered = failed.as_ref();
    let homeserver = entered.and_then(|asked| asked.homeserver.as_deref());
    let (by_hand, signed_in): (Vec<&Account>, Vec<&Account>) =
        accounts.iter().partition(|account| account.sign_in.is_none());
    html! {
        (steps(Step::Who, false))
        @if !signed_in.is_empty() {
            ul .accounts {
                @for (number, account) in signed_in.iter().enumerate() { (of_account(view, number, account)) }
            }
            h2 .another { "Another account" }
        }
        p .lead { (words::SETUP_INTRO) }
        form .card method="post" action="/setup/begin" {
            (view.token())
            label for="user" { "Your Matrix user ID" }
            input id="user" name="user" required placeholder="@alice:example.org" autocomplete="username" spellcheck="false"
                autocapitalize="none" aria-describedby="user-hint" value=[entered.map(|asked| &asked.user)];
            p .hint id="user-hint" { (words::USER_ID_HINT) }
            details id="own-address" open[entered.is_some()] {
                summary { "Enter the homeserver's address" }
                label for="homeserver" { "Its address" }
                input id="homeserver" name="homeserver" autocomplete="off" spellcheck="false" inputmode="url"
                    aria-describedby="homeserver-hint" value=[homeserver];
                p .hint id="homeserver-hint" { (words::HOMESERVER_HINT) }
            }
            details id="ways" {
                summary { "Choose how notifications get here" }
                (way::choice("way", None))
            }
            button .primary { "Continue" }
        }
        (without_sign_in(page, view, &by_hand))
    }
}

/// A signed-in account with its forms.
fn of_account(view: &View, number: usize, account: &Account) -> Markup {
    let name = text::line(&account.name, 80);
    let sign_in = account.sign_in.as_ref();
    let (user, homeserver) = sign_in.map_or(("", ""), |sign_in| (&sign_in.user_id, &sign_in.homeserver));
    html! {
        li {
            strong { bdi { (name) } }
            span { "Signed in here" @if *user != *name { " as " bdi { (text::line(user, 80)) } } "." }
            span { "How notifications get here: " (way::name(account.way)) "." }
            details id={ "again-" (number) } {
                summary { "Sign in again, or choose another way" span .unseen { " for " (name) } }
                form method="post" action="/setup/begin" {
                    (view.token())
                    input type="hidden" name="user" value=(user);
                    input type="hidden" name="homeserver" value=(homeserver);
                    input type="hidden" name="again" value="yes";
                    (way::choice(&format!("way-{number}"), Some(account)))
                    button .primary { "Sign in again" }
                }
            }
            details id={ "out-" (number) } {
                summary { "Sign out" span .unseen { " " (name) } }
                p { (words::SIGNS_OUT) }
                (view.button("/setup/sign-out", "Sign out", &[("account", &account.name)]))
            }
        }
    }
}

fn without_sign_in(page: &Page, view: &View, accounts: &[&Account]) -> Markup {
    let url = Config::load(&page.paths.config).unwrap_or_default().server.base_url();
    html! {
        details .by-hand id="by-hand" {
            summary { "Without signing in" }
            p { (words::BY_HAND_INTRO) }
            @for (number, account) in accounts.iter().enumerate() {
                h2 { bdi { (text::line(&account.name, 80)) } }
                @match account.relay_address() {
                    Some(address) => p {
                        "Its pushes come through " (text::line(address, 200)) ". "
                        (frame::with_code(&format!("`pushbell account show {}` prints how to register it.", text::line(&account.name, 80))))
                    },
                    None => (frame::to_copy(&format!("by-hand-{number}"), &registration::describe(account, None, &url))),
                }
            }
            form .card method="post" action="/setup/by-hand" {
                (view.token())
                label for="name" { "Another account" }
                input id="name" name="name" required placeholder="work" autocomplete="off" spellcheck="false"
                    aria-describedby="name-hint";
                p .hint id="name-hint" { (words::NAME_HINT) }
                button { "Create account" }
            }
        }
    }
}

fn in_progress(view: &View, progress: &Progress, starts: Option<bool>) -> Markup {
    let is_proven = matches!(progress.ended, Some(Ok(()))) && progress.task == Task::SignIn;
    html! {
        @if progress.task == Task::SignIn { (steps(progress.step, is_proven)) }
        @match (&progress.ended, progress.task) {
            (None, _) => {}
            (Some(ended), Task::SignIn) => (end(view, ended, starts)),
            (Some(ended), Task::SignOut) => (done(view, ended, words::SIGNED_OUT, words::NOT_SIGNED_OUT)),
            (Some(ended), Task::Verify) => (done(view, ended, words::VERIFIED, words::NOT_VERIFIED)),
        }
        @if let Some(address) = &progress.sign_in_at {
            div .card {
                p { a .button .primary href=(address) target="_blank" rel="noopener noreferrer" { "Sign in at your homeserver" } }
                p .hint { (words::RETURN_HERE) }
            }
        }
        @if let Some(question) = &progress.question { (question_form(view, question)) }
        @if !progress.findings.is_empty() && !is_proven { (health::list(view, &progress.findings)) }
        @if !progress.findings.is_empty() && is_proven {
            details id="no-push" { summary { (words::NO_PUSH) } (health::list(view, &progress.findings)) }
        }
        @if !progress.said.is_empty() {
            section aria-labelledby="said" {
                h2 id="said" { "Details" }
                div .said { @for line in &progress.said { @if line.is_empty() { br; } @else { p { (frame::with_code(line)) } } } }
            }
        }
        @if progress.ended.is_none() {
            @if progress.question.is_none() { p .checking role="status" { "Please wait …" } }
            noscript { p { a href=(Section::Setup.path()) { "Look again" } } }
            (view.button("/setup/cancel", "Cancel", &[]))
        }
    }
}

fn done(view: &View, ended: &Result<(), Failure>, words: &str, failed: &str) -> Markup {
    html! {
        @match ended {
            Ok(()) => p .note .done role="status" { (words) },
            Err(failure) => div .note .failed role="alert" {
                p { (failed) }
                @for line in failure.to_string().lines() { p { (frame::with_code(line)) } }
            }
        }
        (view.button("/setup/forget", "Continue", &[]))
    }
}

fn end(view: &View, ended: &Result<(), Failure>, starts: Option<bool>) -> Markup {
    html! {
        @match ended {
            Ok(()) => {
                div .note .done role="status" {
                    p { (words::CONNECTED) }
                    div .buttons {
                        a .button .primary href="/inbox" { "Open the inbox" }
                        (health::test_popup(view))
                    }
                }
                @if starts == Some(false) { (settings::start_with_desktop(view, starts)) }
            }
            Err(Failure::Reported(_)) => {
                div .note .warned role="status" { p { (words::NOT_PROVEN) } p { a href="/health" { (words::title(Section::Health)) } } }
            }
            Err(failure) => div .note .failed role="alert" {
                @for line in text::capitalized(&failure.to_string()).lines() { p { (frame::with_code(line)) } }
            }
        }
        (view.button("/setup/forget", if ended.is_ok() { "Add another account" } else { "Try again" }, &[]))
    }
}

fn question_form(view: &View, question: &Question) -> Markup {
    let number = question.number.to_string();
    let answer = |label: &str, value: &str, is_likely: bool| {
        html! { button .primary[is_likely] name="answer" value=(value) { (label) } }
    };
    html! {
        form .card method="post" action="/setup/answer" {
            (view.token())
            input type="hidden" name="question" value=(number);
            @match question.kind {
                Kind::YesOrNo(likely) => {
                    p .question { (question.text) }
                    div .buttons { (answer("Yes", "yes", likely)) (answer("No", "no", !likely)) }
                }
                Kind::Secret => {
                    label for="answer" { (question.text.trim_end_matches(':')) }
                    input id="answer" name="answer" type="password" autocomplete="off" autofocus
                        aria-describedby=[question.again.is_some().then_some("again")];
                    @if let Some(again) = &question.again { p .error id="again" role="alert" { (again) } }
                    div .buttons { button .primary { "Continue" } }
                }
                Kind::Skip => {
                    p .question { (question.text) }
                    div .buttons { (answer("Skip", "skip", false)) }
                }
            }
        }
    }
}

pub(super) async fn act(page: &Page, path: &str, form: &Fields) -> Option<Outcome> {
    let note = match path {
        "/setup/by-hand" => Some(Note::of(add_by_hand(page, form).await, words::ACCOUNT_MADE)),
        "/setup/begin" => begin(page, form).err().map(Note::Failed),
        "/setup/sign-out" => {
            let account = form.get("account").unwrap_or_default().to_owned();
            page.setup.sign_out(&page.paths, account).err().map(Note::Failed)
        }
        "/setup/answer" => {
            let (number, answer) = (form.number("question"), form.get("answer").unwrap_or_default());
            if let (Some(number), Some(current)) = (number.and_then(|it| u64::try_from(it).ok()), page.setup.current())
            {
                current.answer(number, answer.to_owned());
            }
            None
        }
        "/setup/cancel" => {
            page.setup.cancel();
            None
        }
        "/setup/forget" => {
            page.setup.forget();
            None
        }
        _ => return None,
    };
    Some(Outcome { note, to: Section::Setup.path().to_owned() })
}

/// Makes an account that is registered by hand.
async fn add_by_hand(page: &Page, form: &Fields) -> Result<(), String> {
    let name = form.filled("name").ok_or("Enter a name for the account.")?;
    let account = Account::by_hand(name).map_err(|error| error.to_string())?;
    let path = page.paths.accounts.clone();
    let added = spawn_blocking(move || AccountsFile::new(&path).add(account));
    added.await.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
    page.ask(Request::ReloadAccounts).await.map(drop)
}

fn begin(page: &Page, form: &Fields) -> Result<(), String> {
    let user = form.filled("user").ok_or("Enter your user ID.")?.to_owned();
    let homeserver = form.filled("homeserver").map(ToOwned::to_owned);
    let accounts = page.accounts();
    let (way, relay) = way::chosen(form, accounts.of_user(&user))?;
    page.setup.sign_in(&page.paths, SignInForm { user, homeserver, way, relay })
}
