//! Applies changed files to the running program and handles requests: reloads, test pushes, the end.

use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    pin::pin,
    time::Duration,
};

use tokio::sync::{
    mpsc::{self, error::TrySendError},
    oneshot,
};

use super::{
    acting::Acting,
    autostart::AutostartSwitch,
    call_watch::CallWatch,
    catching_up::{CatchUpCommand, CatchingUp},
    certificate::Certificate,
    config_file,
    outbox::Outbox,
    page::PageRequest,
    push_server::PushServer,
};
use crate::{
    accounts::Accounts,
    config::{self, Config},
    control::{Command, Reply, Request, Section},
    controller::{AppRequest, Event, Missing, ProblemKind, RingingCall},
    desktop::OpenTarget,
    encryption::Encryption,
    http_client,
    logging::LogLevel,
    paths::Paths,
    platform::{termination::termination, watch::FileWatch},
    present::words,
    push::notify,
    sample,
};

/// Capacity of the queue of file changes; further changes are reported with the next.
const WAITING_CHANGES: usize = 4;
/// Time limit of a test push.
const TEST_TIME: Duration = Duration::from_secs(10);

/// Owns the parts that depend on the configuration and the accounts.
pub(super) struct Supervisor {
    pub(super) paths: Paths,
    pub(super) config: Config,
    pub(super) server: PushServer,
    pub(super) log: LogLevel,
    pub(super) events: mpsc::UnboundedSender<Event>,
    pub(super) catching_up: CatchingUp,
    pub(super) encryption: Encryption,
    pub(super) call_watch: CallWatch,
    pub(super) acting: Acting,
    pub(super) outbox: Outbox,
    pub(super) autostart: AutostartSwitch,
    pub(super) page: mpsc::Sender<PageRequest>,
}

/// Sources of requests.
pub(super) struct Requests {
    /// Changes of the configuration and the accounts. Watched since before the accounts were read.
    pub(super) files: io::Result<FileWatch>,
    /// From the tray menu and the popups.
    pub(super) app: mpsc::UnboundedReceiver<AppRequest>,
    /// From the command line.
    pub(super) commands: mpsc::Receiver<Command>,
}

/// Why a test push failed.
#[derive(Debug, thiserror::Error)]
enum TestError {
    #[error("There is no account to send it to: `pushbell login @you:example.org` or `pushbell account add` makes one")]
    NoAccount,
    #[error("Pushbell listens nowhere: see server.listen in pushbell.toml")]
    NotListening,
    #[error("{0}")]
    NoRandomness(#[from] getrandom::Error),
    #[error("{scheme}://{address} answered with {status}")]
    Refused { scheme: &'static str, address: SocketAddr, status: u16 },
    #[error("{scheme}://{address}: {reason}")]
    NotDelivered { scheme: &'static str, address: SocketAddr, reason: String },
}

impl Supervisor {
    /// Runs until the program is to end, and returns the push server. Requests for the controller are forwarded to it.
    pub(super) async fn run(mut self, requests: Requests, controller: mpsc::Sender<Command>) -> PushServer {
        let Requests { files, app: mut asked, mut commands } = requests;
        let (change_sender, mut changed) = mpsc::channel(WAITING_CHANGES);
        // A separate task: it waits until a file has settled, which a stream of commands must not interrupt.
        tokio::spawn(watch(files, change_sender));
        let mut termination = pin!(termination());
        self.autostart.look();
        // The configuration was read before it was watched.
        self.read_config().await;
        loop {
            tokio::select! {
                () = &mut termination => break,
                () = self.server.listening.retry_is_due() => {
                    let problem = self.server.listening.try_again().await;
                    self.tell(Event::Problem(ProblemKind::Listen, problem));
                    self.tell_listening();
                }
                () = Certificate::changed(&mut self.server.certificate) => self.tell_listening(),
                Some(paths) = changed.recv() => self.files_changed(&paths).await,
                ask = asked.recv() => match ask {
                    Some(AppRequest::Quit) | None => break,
                    Some(AppRequest::SendTest) => self.send_test(),
                    Some(AppRequest::SetAutostart(on)) => self.autostart.set(on),
                    Some(AppRequest::CatchUp(missing)) => {
                        self.catching_up.send(CatchUpCommand::Missing(missing));
                        self.encryption.upkeep();
                    }
                    Some(AppRequest::LookForRead { account }) => {
                        self.catching_up.send(CatchUpCommand::LookForRead(account));
                    }
                    Some(AppRequest::LookAtSessions) => {
                        self.catching_up.send(CatchUpCommand::Look);
                        self.encryption.look();
                    }
                    Some(AppRequest::WatchCalls(calls)) => {
                        let room = |call: &RingingCall| (call.account.clone(), call.room_id.clone());
                        self.encryption.ringing(calls.iter().map(room).collect());
                        self.call_watch.watch(calls, &self.server.accounts());
                    }
                    Some(AppRequest::Act(act)) => self.acting.begin(act, &self.server.accounts()),
                    Some(AppRequest::SendReplies) => self.outbox.look(self.server.accounts()),
                    Some(AppRequest::OpenPage { section, token }) => self.open_page(section, token),
                    Some(AppRequest::OpenConfiguration { token }) => {
                        self.tell(Event::Open(OpenTarget::File(self.paths.config.clone()), token));
                    }
                },
                Some((request, mut reply)) = commands.recv() => {
                    let mut answer = Reply::Done;
                    match request {
                        Request::BeginSample => answer = self.begin_sample(),
                        Request::ReloadAccounts => self.read_accounts(),
                        Request::ReloadConfiguration => self.read_config().await,
                        Request::ReloadAutostart => self.autostart.look(),
                        Request::Reconnect => {
                            self.catching_up.send(CatchUpCommand::Missing(Missing::Anywhere));
                            self.encryption.upkeep();
                        }
                        Request::OpenPage { section } => match self.page.try_send((section, reply)) {
                            Ok(()) => continue,
                            Err(TrySendError::Full((_, back)) | TrySendError::Closed((_, back))) => {
                                reply = back;
                                answer = Reply::Failed { reason: words::no_page().to_owned() };
                            }
                        },
                        Request::Status
                        | Request::Clear
                        | Request::ClearAccount { .. }
                        | Request::Pause { .. }
                        | Request::Resume
                        | Request::Unmute
                        | Request::OpenNotice { .. }
                        | Request::ReadNotice { .. }
                        | Request::ReplyToNotice { .. }
                        | Request::EditConfiguration
                        | Request::Play { .. }
                        | Request::WaitForPush { .. } => {
                            if controller.send((request, reply)).await.is_err() {
                                break;
                            }
                            continue;
                        }
                    }
                    // The command may have disconnected.
                    drop(reply.send(answer));
                }
            }
        }
        tracing::info!("ending");
        self.server
    }

    async fn files_changed(&mut self, changed: &[PathBuf]) {
        let is = |path: &Path| changed.iter().any(|changed| changed.file_name() == path.file_name());
        if is(&self.paths.config) {
            self.read_config().await;
        }
        if is(&self.paths.accounts) {
            self.read_accounts();
        }
    }

    /// Applies a changed configuration; if it is invalid, the last valid one stays in force and the fault is reported.
    async fn read_config(&mut self) {
        let (config, text) = match config::in_force(&self.paths) {
            Ok(config::InForce { config, text: Some(text), .. }) => (config, text),
            Ok(config::InForce { fault, .. }) => {
                let problem = fault.map(|fault| config_file::problem(&self.paths, &fault));
                return self.tell(Event::Problem(ProblemKind::Configuration, problem));
            }
            Err(error) => return self.tell(Event::Problem(ProblemKind::Configuration, Some(error.to_string()))),
        };
        self.tell(Event::Problem(ProblemKind::Configuration, None));
        config_file::keep(&self.paths, &text);
        if config == self.config {
            return;
        }
        self.catching_up.send(CatchUpCommand::Server(config.server.clone()));
        self.log.configure(config.log.level);
        for (topic, problem) in self.server.configure(&self.config, &config, &self.paths.config).await {
            self.tell(Event::Problem(topic, problem));
        }
        self.tell(Event::Configured(Box::new(config.clone())));
        self.config = config;
        self.tell_listening();
        tracing::info!("the configuration has changed");
    }

    /// Reports the listening addresses and problems of the certificate.
    fn tell_listening(&mut self) {
        let problem = self.server.certificate.as_ref().and_then(Certificate::problem);
        self.tell(Event::Problem(ProblemKind::Certificate, problem));
        self.tell(Event::Listening(self.server.status(&self.config)));
    }

    /// Applies changed accounts. While the file cannot be read, known accounts remain valid, and no other pushkey is
    /// rejected.
    fn read_accounts(&mut self) {
        let accounts = Accounts::read(&self.paths.accounts);
        let accounts = accounts.unwrap_or_else(|error| self.server.accounts().keeping_known_after(&error));
        let problem = accounts.unreadable().map(str::to_owned);
        self.server.set_accounts(accounts);
        self.tell(Event::Accounts(self.server.accounts()));
        self.catching_up.send(CatchUpCommand::Accounts(self.server.accounts()));
        self.encryption.accounts(self.server.accounts());
        self.outbox.look(self.server.accounts());
        self.tell(Event::Problem(ProblemKind::Accounts, problem));
    }

    fn tell(&self, event: Event) {
        // A closed channel means that the program is ending.
        drop(self.events.send(event));
    }

    fn begin_sample(&self) -> Reply {
        match self.server.begin_sample() {
            Ok(number) => Reply::Sample { number },
            Err(error) => Reply::Failed { reason: error.to_string() },
        }
    }

    /// Sends a test push. If it does not arrive, the reason is shown to the person.
    fn send_test(&self) {
        let (address, body) = match self.test_push() {
            Ok(test) => test,
            Err(error) => return self.tell(Event::TestFailed(error.to_string())),
        };
        let (events, scheme) = (self.events.clone(), self.server.scheme());
        let certificate = self.server.certificate.as_ref().and_then(Certificate::problem);
        tokio::spawn(async move {
            if let Err(error) = post(scheme, address, body).await {
                let reason =
                    [Some(error.to_string()), certificate].into_iter().flatten().collect::<Vec<_>>().join("\n");
                // A closed channel means that the program is ending.
                drop(events.send(Event::TestFailed(reason)));
            }
        });
    }

    /// Address and body of a test push.
    fn test_push(&self) -> Result<(SocketAddr, Vec<u8>), TestError> {
        let accounts = self.server.accounts();
        let account = accounts.iter().next().ok_or(TestError::NoAccount)?;
        let address = self.server.listening.addresses().first().copied().ok_or(TestError::NotListening)?;
        let body = sample::body(sample::Kind::Message, account, &self.server.begin_sample()?)?;
        Ok((address, body.to_string().into_bytes()))
    }

    /// Opens the page in the browser.
    fn open_page(&self, section: Section, token: Option<String>) {
        let (reply, answer) = oneshot::channel();
        // If the page cannot accept the request, the reply channel closes.
        drop(self.page.try_send((section, reply)));
        let events = self.events.clone();
        tokio::spawn(async move {
            let event = match answer.await {
                Ok(Reply::Page { address }) => Event::Open(OpenTarget::Page(address), token),
                Ok(Reply::Failed { reason }) => Event::NotDone(format!("{}: {reason}", words::no_page())),
                Ok(_) | Err(_) => Event::NotDone(words::no_page().to_owned()),
            };
            // A closed channel means that the program is ending.
            drop(events.send(event));
        });
    }
}

async fn post(scheme: &'static str, address: SocketAddr, body: Vec<u8>) -> Result<(), TestError> {
    match http_client::post_to_own_endpoint(scheme, address, notify::PATH, body, TEST_TIME).await {
        Ok((200, _)) => Ok(()),
        Ok((status, _)) => Err(TestError::Refused { scheme, address, status }),
        Err(error) => Err(TestError::NotDelivered { scheme, address, reason: error.reason }),
    }
}

/// Reports which of the files have changed.
async fn watch(watch: io::Result<FileWatch>, changes: mpsc::Sender<Vec<PathBuf>>) {
    let watched = async {
        let mut watch = watch?;
        while changes.send(watch.changed().await?).await.is_ok() {}
        io::Result::Ok(())
    };
    if let Err(error) = watched.await {
        tracing::warn!("changes of the configuration are no longer noticed: {error}");
    }
}
