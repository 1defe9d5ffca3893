//! Assembles the parts, starts them and shuts them down.
//!
//! The main thread runs the tray; a second one runs tokio with everything asynchronous. The order matters: errors in
//! the user's files are reported before a socket is bound, and the backlog is read before the first push is accepted.

mod acting;
mod autostart;
mod call_watch;
mod catching_up;
mod certificate;
mod config_file;
mod listening;
mod live_desktop;
mod outbox;
mod page;
mod push_server;
mod relays;
mod sending;
mod start;
mod supervisor;
mod temporary_endpoint;

use std::{
    io::{self, Write},
    thread,
    time::Duration,
};

use tokio::{
    runtime::Runtime,
    sync::{mpsc, oneshot},
    task::JoinHandle,
};
use tracing::Level;

use crate::{
    app::live_desktop::LiveDesktop,
    control::{self, Command, Instance, InstanceError},
    controller::{Controller, Inputs, Parts, ProblemKind},
    desktop::DesktopEvent,
    encryption::Encryption,
    failure::Failure,
    inbox::Inbox,
    intake::Intake,
    logging,
    paths::Paths,
    platform::{console, control_socket::ControlListener, main_loop, session::Session, sound_server, watch::FileWatch},
    resume::ResumeWindow,
    secrets::Secrets,
    session::Sessions,
};
use acting::Acting;
use autostart::AutostartSwitch;
use call_watch::CallWatch;
use catching_up::CatchingUp;
pub(crate) use config_file::write_default_config;
pub(crate) use listening::explain as explain_listening;
use outbox::Outbox;
pub(crate) use page::{Page, PageParts, PageRequest};
use push_server::PushServer;
use relays::Relays;
use sending::Sending;
use start::Start;
use supervisor::Supervisor;
pub(crate) use temporary_endpoint::TemporaryEndpoint;

/// Capacity of the controller's command queue.
const WAITING_COMMANDS: usize = 16;

/// Time limit for closing the inbox; everything recorded is already on disk.
const CLOSE_TIME: Duration = Duration::from_secs(5);

/// How long the lock may be held by what is no running program.
const LOCK_TIME: Duration = Duration::from_millis(300);

/// Options of `run`.
pub(crate) struct RunOptions {
    /// Where everything is.
    pub(crate) paths: Paths,
    /// Run without a tray icon.
    pub(crate) no_tray: bool,
    /// The log level of the command line.
    pub(crate) log_level: Option<Level>,
    /// The page in the browser.
    pub(crate) page: Page,
}

/// Runs until the person or the system ends it. At the first start, prints to stdout how to register the new account,
/// once pushes are accepted.
///
/// # Errors
/// When it cannot start.
pub(crate) fn run(options: RunOptions) -> Result<(), Failure> {
    let RunOptions { paths, no_tray, log_level, page } = options;
    let instance = match Instance::acquire(&paths, LOCK_TIME) {
        Ok(instance) => instance,
        Err(error @ InstanceError::AlreadyRunning) => return say(&error.to_string()),
        Err(error @ InstanceError::Failed { .. }) => return Err(error.into()),
    };
    // Checked before the configuration is written.
    let is_first_start = paths.is_first_start();
    let in_force = config_file::load(&paths)?;
    let log = logging::start(log_level, in_force.config.log.level)?;
    if let Err(error) = sound_server::prepare(&paths.cache) {
        tracing::warn!("sounds may not work: {}: {error}", paths.cache.display());
    }
    let start = Start::prepare(paths, in_force, is_first_start)?;

    let (event_sender, events) = mpsc::unbounded_channel();
    let (tray, tray_commands) = main_loop::channel();
    let desktop_events = event_sender.clone();
    let worker =
        Worker { instance, log, tray: (!no_tray).then_some(tray), desktop_events: (event_sender, events), page };
    let worker = thread::Builder::new()
        .name("pushbell".to_owned())
        .spawn(move || runtime()?.block_on(worker.run(start)))
        .map_err(|error| Failure::Failed(format!("no thread could be started: {error}")))?;
    if !no_tray {
        main_loop::run(tray_commands, desktop_events);
    }
    worker.join().unwrap_or_else(|_| Err(Failure::Failed("a part of Pushbell has failed; its log says more".into())))
}

/// A single-threaded tokio runtime.
///
/// # Errors
/// When the system refuses to start it.
pub(crate) fn runtime() -> Result<Runtime, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| Failure::Failed(format!("the runtime cannot be started: {error}")))
}

/// Everything but the tray.
struct Worker {
    instance: Instance,
    log: logging::LogLevel,
    tray: Option<main_loop::TrayRemote>,
    desktop_events: (mpsc::UnboundedSender<DesktopEvent>, mpsc::UnboundedReceiver<DesktopEvent>),
    page: Page,
}

impl Worker {
    /// Runs until the program is to end.
    async fn run(self, start: Start) -> Result<(), Failure> {
        let Self { instance, log, tray, desktop_events: (event_sender, desktop), page } = self;
        let Start { paths, config, inbox, icon, welcome, config_problem } = start;
        // Files are watched, and commands accepted, before the files are read: a change missed in between would go
        // unnoticed, and the pushkey of a new account would be rejected.
        let files = FileWatch::new([paths.config.clone(), paths.accounts.clone()]);
        let (control, unreachable) = instance.listen(&paths);
        let unreachable = unreachable.map(|reason| (ProblemKind::ControlSocket, reason));
        let (accounts, accounts_problem) = start::accounts(&paths.accounts);
        let resume_window = ResumeWindow::default();
        let woken = resume_window.clone();
        let intake = Intake::new(inbox.clone(), accounts);
        let (mut server, problems) = PushServer::open(intake, resume_window.clone(), &config, &paths.config).await?;

        // The main thread's loop continues until everything is written: at the end of a session, some systems end the
        // process with the loop.
        let main_loop_goes_on = tray.clone();
        let has_tray = tray.is_some();
        let session = Session::start(icon, has_tray, &event_sender);
        let live_desktop = LiveDesktop::new(session, tray, &config, paths.sounds.clone(), event_sender);
        let (events, app) = mpsc::unbounded_channel();
        let (requests, app_requests) = mpsc::unbounded_channel();
        let mut controller = Controller::new(Parts {
            desktop: live_desktop,
            inbox: inbox.clone(),
            config: config.clone(),
            accounts: server.accounts(),
            requests,
            tray: has_tray,
            resume_window,
        });
        let problems = config_problem.into_iter().chain(accounts_problem).chain(problems).chain(unreachable);
        controller.prepare(server.status(&config), welcome.is_some(), problems).await;
        server.serve();
        if let Some(Err(error)) = welcome.map(|welcome| say(&welcome)) {
            tracing::warn!("the welcome could not be printed: {error}");
        }
        tracing::info!(listen = ?server.listening.addresses(), "ready");

        let (to_controller, controller_commands) = mpsc::channel(WAITING_COMMANDS);
        let inputs = Inputs { app, desktop, commands: controller_commands };
        let (command_sender, commands) = mpsc::channel(WAITING_COMMANDS);
        let tasks = Tasks::start(controller, inputs, control, command_sender.clone());
        let (page_requests, asked) = mpsc::channel(page::WAITING);
        let parts = PageParts { paths: paths.clone(), inbox: inbox.clone(), commands: command_sender, asked };
        let page = tokio::spawn(page(parts));
        let secrets = Secrets::new(&paths);
        let (call_news, calls) = mpsc::unbounded_channel();
        let (connection_news, connections) = mpsc::unbounded_channel();
        let accounts = server.accounts();
        let relays = Relays::new(inbox.clone(), secrets.clone(), connection_news.clone());
        let news = (call_news, connection_news);
        let encryption = Encryption::start(inbox.clone(), &paths, &accounts, events.clone(), news);
        let parts = catching_up::Parts {
            inbox: inbox.clone(),
            secrets: secrets.clone(),
            events: events.clone(),
            resume_window: woken,
            encryption: encryption.clone(),
            relays,
            connections,
        };
        let catching_up = CatchingUp::start(parts, &accounts, config.server.clone());
        let call_watch = CallWatch::start(inbox.clone(), secrets.clone(), encryption.clone(), calls);
        let autostart = AutostartSwitch::new(events.clone());
        let sending =
            Sending { inbox: inbox.clone(), sessions: Sessions::new(secrets), encryption: encryption.clone() };
        let acting = Acting::new(sending.clone(), events.clone());
        let outbox = Outbox::start(sending, server.accounts(), events.clone());
        let supervisor = Supervisor {
            paths,
            config,
            server,
            log,
            events,
            catching_up,
            encryption,
            call_watch,
            acting,
            outbox,
            autostart,
            page: page_requests,
        };
        let requests = supervisor::Requests { files, app: app_requests, commands };
        let server = supervisor.run(requests, to_controller).await;

        // Requests first: what they record is still presented, or waits for the next start.
        server.close().await;
        page.await.unwrap_or_else(|error| tracing::error!("the page did not end well: {error}"));
        tasks.end().await;
        close(inbox).await;
        drop((main_loop_goes_on, instance));
        Ok(())
    }
}

/// Tasks that run beside the supervisor and end after it.
struct Tasks {
    controller: JoinHandle<()>,
    control: JoinHandle<()>,
    end_control: oneshot::Sender<()>,
}

impl Tasks {
    /// Starts them. Requests of the control socket are sent to `commands`.
    fn start(
        controller: Controller<LiveDesktop>,
        inputs: Inputs,
        control: Option<ControlListener>,
        commands: mpsc::Sender<Command>,
    ) -> Self {
        let (end_control, control_ended) = oneshot::channel::<()>();
        let controller = tokio::spawn(controller.run(inputs));
        let control = tokio::spawn(async move {
            if let Some(control) = control {
                control::serve(control, commands, async { drop(control_ended.await) }).await;
            }
        });
        Self { controller, control, end_control }
    }

    /// Ends them. The controller ends when its channels are closed.
    async fn end(self) {
        drop(self.end_control);
        for (part, ended) in [("control socket", self.control.await), ("controller", self.controller.await)] {
            if let Err(error) = ended {
                tracing::error!("the {part} did not end well: {error}");
            }
        }
    }
}

async fn close(inbox: Inbox) {
    if tokio::time::timeout(CLOSE_TIME, inbox.close()).await.is_err() {
        tracing::warn!("the disk takes too long: the inbox is left to the next start, which loses nothing");
    }
    tracing::info!("ended");
}

/// Whether standard error goes to a log.
fn is_logged() -> bool {
    console::is_logged(&io::stdout())
}

fn say(words: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    writeln!(out, "{words}")?;
    Ok(out.flush()?)
}
