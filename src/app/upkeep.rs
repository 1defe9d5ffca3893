//! Keeping a running program in step with its files and with what it is asked: reloads, test pushes, the end.

use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    pin::pin,
    time::Duration,
};

use tokio::sync::mpsc;

use super::{
    autostart::AutostartSwitch,
    catching_up::{self, CatchingUp},
    certificate::Certificate,
    listening::Listening,
};
use crate::{
    accounts::Accounts,
    config::Config,
    control::{Command, Reply, Request},
    controller::{self, AppRequest, Event, ProblemKind},
    desktop::OpenTarget,
    http::{
        Endpoint, Settings,
        client::{self, Scheme},
    },
    inbox::Inbox,
    logging::LogLevel,
    paths::Paths,
    platform::{files, termination::termination, watch::FileWatch},
    push::notify,
    registration, sample,
};

/// How many changes of files may wait; what changes meanwhile is told with the next.
const WAITING_CHANGES: usize = 4;
/// How long a test push may take.
const TEST_TIME: Duration = Duration::from_secs(10);

/// What is kept in step.
pub(super) struct Upkeep {
    pub(super) paths: Paths,
    pub(super) config: Config,
    pub(super) endpoint: Endpoint<Inbox>,
    pub(super) log: LogLevel,
    pub(super) listening: Listening,
    /// Addresses that stand in for `server.listen`, if any.
    pub(super) inherited: Vec<SocketAddr>,
    pub(super) certificate: Option<Certificate>,
    pub(super) events: mpsc::UnboundedSender<Event>,
    pub(super) catching_up: CatchingUp,
    pub(super) autostart: AutostartSwitch,
}

/// What of the configuration concerns the endpoint.
pub(super) fn endpoint_settings(config: &Config) -> Settings {
    Settings { extra_paths: config.server.extra_paths.clone(), derive_missed_calls: config.calls.derive_missed }
}

/// What of it concerns catching up.
pub(super) fn catching_up_settings(config: &Config) -> catching_up::Settings {
    catching_up::Settings {
        public_url: config.server.public_url.clone(),
        listen: config.server.listen.clone(),
        scheme: config.server.scheme(),
        derive_missed_calls: config.calls.derive_missed,
    }
}

/// The configuration as it is in force where a service manager has said what to listen on.
pub(super) fn with_inherited(mut config: Config, inherited: &[SocketAddr]) -> Config {
    if !inherited.is_empty() {
        inherited.clone_into(&mut config.server.listen);
    }
    config
}

/// Where and how homeservers are listened to now.
pub(super) fn heard_where(
    config: &Config,
    listening: &Listening,
    certificate: Option<&Certificate>,
) -> controller::Listening {
    let in_the_clear = config.server.in_the_clear().into_iter().map(|address| {
        format!(
            "{address} speaks plain http: whoever is on the way can read pushes and the pushkeys in them. Set \
             server.tls, or know that a VPN or a tunnel encrypts this way"
        )
    });
    controller::Listening {
        addresses: listening.addresses(),
        tls: certificate.map(Certificate::status),
        warnings: in_the_clear.chain(certificate.and_then(Certificate::warning)).collect(),
    }
}

impl Upkeep {
    /// Runs until the program is to end, and gives back what is still listening. `files` watches the configuration
    /// and the accounts, since before the accounts were read.
    pub(super) async fn run(
        mut self,
        files: io::Result<FileWatch>,
        mut asked: mpsc::UnboundedReceiver<AppRequest>,
        mut commands: mpsc::Receiver<Command>,
        controller: mpsc::Sender<Command>,
    ) -> Listening {
        let (tell, mut told) = mpsc::channel(WAITING_CHANGES);
        // A task of its own: it waits until a file has come to rest, which commands that keep coming must not interrupt.
        tokio::spawn(watch(files, tell));
        let mut termination = pin!(termination());
        self.autostart.look();
        // It was read before it was watched.
        self.read_config().await;
        loop {
            tokio::select! {
                () = &mut termination => break,
                () = self.listening.retry_is_due() => {
                    let problem = self.listening.try_again().await;
                    self.tell(Event::Problem(ProblemKind::Listen, problem));
                    self.tell_listening();
                }
                () = Certificate::changed(&mut self.certificate) => self.tell_listening(),
                Some(changed) = told.recv() => self.files_changed(&changed).await,
                ask = asked.recv() => match ask {
                    Some(AppRequest::Quit) | None => break,
                    Some(AppRequest::SendTest { unread }) => self.send_test(unread),
                    Some(AppRequest::SetAutostart(on)) => self.autostart.set(on),
                    Some(AppRequest::CatchUp(missing)) => self.catching_up.missing(missing),
                    Some(AppRequest::Connect { token }) => self.connect(token),
                    Some(AppRequest::OpenConfiguration { token }) => {
                        self.tell(Event::Open(OpenTarget::File(self.paths.config.clone()), token));
                    }
                },
                Some((request, reply)) = commands.recv() => {
                    if matches!(request, Request::ReloadAccounts | Request::ReloadConfiguration) {
                        if request == Request::ReloadAccounts {
                            self.read_accounts();
                        } else {
                            self.read_config().await;
                        }
                        // A command that has gone does not want to know.
                        drop(reply.send(Reply::Done));
                    } else if request == Request::ReloadAutostart {
                        self.autostart.look();
                        drop(reply.send(Reply::Done));
                    } else if controller.send((request, reply)).await.is_err() {
                        break;
                    }
                }
            }
        }
        tracing::info!("ending");
        self.listening
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

    /// Takes up a changed configuration; a bad one keeps the last good one and tells the person.
    async fn read_config(&mut self) {
        let config = match Config::load(&self.paths.config) {
            Ok(config) => with_inherited(config, &self.inherited),
            Err(error) => return self.tell(Event::Problem(ProblemKind::Configuration, Some(error.to_string()))),
        };
        self.tell(Event::Problem(ProblemKind::Configuration, None));
        if config == self.config {
            return;
        }
        self.endpoint.set_settings(endpoint_settings(&config));
        self.catching_up.configure(catching_up_settings(&config));
        self.log.configure(config.log.level);
        if config.server.tls != self.config.server.tls {
            self.take_up_tls(&config);
        }
        let problem = match self.listening.open(&config.server.listen, &self.paths.config).await {
            Ok(problem) => problem.map(|(_, reason)| reason),
            Err(reason) => Some(reason),
        };
        self.tell(Event::Problem(ProblemKind::Listen, problem));
        self.tell(Event::Configured(Box::new(config.clone())));
        self.config = config;
        self.tell_listening();
        tracing::info!("the configuration has changed");
    }

    /// With `server.tls` set nothing is ever served without encryption, be the certificate as it may.
    fn take_up_tls(&mut self, config: &Config) {
        let before = self.certificate.take();
        let certificate = config.server.tls.clone().map(|files| Certificate::start(files, before)).transpose();
        match certificate {
            Ok(certificate) => {
                self.listening.set_tls(certificate.as_ref().map(Certificate::tls));
                self.certificate = certificate;
            }
            Err(error) => self.tell(Event::Problem(ProblemKind::Certificate, Some(error.to_string()))),
        }
    }

    /// Tells where and how homeservers are listened to, and what is wrong with the certificate.
    fn tell_listening(&mut self) {
        let problem = self.certificate.as_ref().and_then(Certificate::problem);
        self.tell(Event::Problem(ProblemKind::Certificate, problem));
        let heard = heard_where(&self.config, &self.listening, self.certificate.as_ref());
        self.tell(Event::Listening(heard));
    }

    /// Takes up changed accounts. While they cannot be read, those that were known still count, and no other pushkey
    /// is rejected.
    fn read_accounts(&mut self) {
        let (accounts, problem) = match Accounts::read(&self.paths.accounts) {
            Ok(accounts) => (accounts, None),
            Err(error) => (self.endpoint.accounts().keeping_known_after(&error), Some(error.to_string())),
        };
        self.endpoint.set_accounts(accounts);
        self.tell(Event::Accounts(self.endpoint.accounts()));
        self.catching_up.accounts(self.endpoint.accounts());
        self.tell(Event::Problem(ProblemKind::Accounts, problem));
    }

    fn tell(&self, event: Event) {
        // A controller that has gone means that the program ends.
        drop(self.events.send(event));
    }

    fn scheme(&self) -> Scheme {
        if self.certificate.is_some() { Scheme::Https } else { Scheme::Http }
    }

    /// Sends a test push. If it does not arrive, the person who asked for it is told why.
    fn send_test(&self, unread: u64) {
        let (address, body) = match self.test(unread) {
            Ok(test) => test,
            Err(reason) => return self.tell(Event::TestFailed(reason)),
        };
        let (events, scheme) = (self.events.clone(), self.scheme());
        let certificate = self.certificate.as_ref().and_then(Certificate::problem);
        tokio::spawn(async move {
            if let Err(reason) = post(scheme, address, body).await {
                let reason = [Some(reason), certificate].into_iter().flatten().collect::<Vec<_>>().join("\n");
                // A controller that has gone means that the program ends.
                drop(events.send(Event::TestFailed(reason)));
            }
        });
    }

    /// Where a test push goes, and its body.
    fn test(&self, unread: u64) -> Result<(SocketAddr, Vec<u8>), String> {
        let accounts = self.endpoint.accounts();
        let account = accounts.iter().next().ok_or(
            "There is no account to send it to: `pushbell login @you:example.org` or `pushbell account add` makes one",
        )?;
        let address = self.listening.addresses().first().copied();
        let address = address.ok_or("Pushbell listens nowhere: see server.listen in pushbell.toml")?;
        let body = sample::body(sample::Kind::Message, account, unread + 1).map_err(|error| error.to_string())?;
        Ok((address, body.to_string().into_bytes()))
    }

    /// Writes down how to connect a homeserver, and opens it.
    fn connect(&self, token: Option<String>) {
        let text = registration::instructions(&self.endpoint.accounts(), &self.config.server.base_url());
        let path = self.paths.data.join("connect.txt");
        match files::replace_private(&path, text.as_bytes()) {
            Ok(()) => self.tell(Event::Open(OpenTarget::File(path), token)),
            Err(error) => tracing::warn!("{}: {error}", path.display()),
        }
    }
}

async fn post(scheme: Scheme, address: SocketAddr, body: Vec<u8>) -> Result<(), String> {
    match client::post_json(scheme, address, notify::PATH, body, TEST_TIME).await {
        Ok((200, _)) => Ok(()),
        Ok((status, _)) => Err(format!("{scheme}://{address} answered with {status}")),
        Err(error) => Err(format!("{scheme}://{address}: {error}")),
    }
}

/// Tells which of the files have changed, for as long as the system tells us.
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
