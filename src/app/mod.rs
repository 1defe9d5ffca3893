//! Puts the parts together, starts them and ends them.
//!
//! The main thread belongs to the tray; a second one runs tokio with everything asynchronous. The order matters: what
//! can be wrong with the person's files is said before anything is bound, and what waits in the inbox is looked at
//! before the first push comes.

mod autostart;
mod catching_up;
mod certificate;
mod interim;
mod listening;
mod live_desktop;
mod start;
mod upkeep;

use std::{
    io::{self, Write},
    sync::Arc,
    thread,
    time::Duration,
};

use tokio::sync::{Notify, mpsc};
use tracing::Level;

use crate::{
    app::live_desktop::LiveDesktop,
    control::{self, Instance, InstanceError},
    controller::{Controller, Inputs, Parts, ProblemKind},
    desktop::DesktopEvent,
    failure::Failure,
    http::Endpoint,
    logging,
    paths::Paths,
    platform::{console, main_loop, memory, session::Session, sound_server, watch::FileWatch},
    secrets::Secrets,
    wake::WakeWindow,
};
use autostart::AutostartSwitch;
use catching_up::CatchingUp;
use certificate::Certificate;
pub use interim::Interim;
use listening::{Inherited, Listening};
use start::Start;
use upkeep::Upkeep;

/// How many commands may wait for the controller.
const WAITING_COMMANDS: usize = 16;

/// How long closing the inbox may take: all that was recorded is on disk already.
const CLOSE_TIME: Duration = Duration::from_secs(5);

/// How to run.
#[derive(Debug)]
pub struct RunOptions {
    /// Where everything is.
    pub paths: Paths,
    /// Without a tray icon.
    pub no_tray: bool,
    /// The level that the command line names.
    pub log_level: Option<Level>,
}

/// Runs until the person or the system ends it. Prints, on stdout and once, how to register the account that a first
/// start makes.
///
/// # Errors
/// When it cannot start.
pub fn run(options: RunOptions) -> Result<(), Failure> {
    let RunOptions { paths, no_tray, log_level } = options;
    let inherited = Inherited::take().map_err(|error| Failure::Failed(error.to_string()))?;
    let instance = match Instance::acquire(&paths) {
        Ok(instance) => instance,
        Err(error @ InstanceError::AlreadyRunning) => return say(&error.to_string()),
        Err(error @ InstanceError::Failed { .. }) => return Err(Failure::Failed(error.to_string())),
    };
    let config = upkeep::with_inherited(start::configuration(&paths)?, inherited.addresses());
    let log = logging::start(log_level, config.log.level).map_err(|error| Failure::Failed(error.to_string()))?;
    memory::keep_little();
    if let Err(error) = sound_server::prepare(&paths.cache) {
        tracing::warn!("sounds may not work: {}: {error}", paths.cache.display());
    }
    let news = Arc::new(Notify::new());
    let start = Start::prepare(paths, config, &news)?;

    let (desktop_events, heard) = mpsc::unbounded_channel();
    let (tray, tray_commands) = main_loop::channel();
    let tray = (!no_tray).then_some(tray);
    let worker = thread::Builder::new().name("pushbell".to_owned()).spawn({
        let desktop_events = desktop_events.clone();
        move || -> Result<(), Failure> {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .map_err(|error| Failure::Failed(format!("the runtime cannot be started: {error}")))?;
            runtime.block_on(serve(start, inherited, &instance, log, tray, news, (desktop_events, heard)))
        }
    });
    let worker = worker.map_err(|error| Failure::Failed(format!("no thread could be started: {error}")))?;
    if !no_tray {
        main_loop::run(tray_commands, desktop_events);
    }
    worker.join().unwrap_or_else(|_| Err(Failure::Failed("a part of Pushbell has failed; its log says more".into())))
}

/// Runs everything but the tray, until it is told to end.
async fn serve(
    start: Start,
    inherited: Inherited,
    instance: &Instance,
    log: logging::LogLevel,
    tray: Option<main_loop::TrayRemote>,
    news: Arc<Notify>,
    (desktop_events, heard): (mpsc::UnboundedSender<DesktopEvent>, mpsc::UnboundedReceiver<DesktopEvent>),
) -> Result<(), Failure> {
    let Start { paths, config, inbox, icon, is_first_run } = start;
    // Whoever changes a file is noticed or can tell us before it is read. A change that is missed while the program
    // starts would stay so, and the pushkey of an account that was added meanwhile would be rejected.
    let changes = FileWatch::new([paths.config.clone(), paths.accounts.clone()]);
    let control = instance.listen(&paths).map_err(|error| Failure::Failed(error.to_string()))?;
    let (accounts, problem) = start::accounts(&paths.accounts);
    let wake_window = WakeWindow::default();
    let replayed = wake_window.clone();
    let settings = upkeep::endpoint_settings(&config);
    let endpoint = Endpoint::new(inbox.clone(), accounts, settings, move || replayed.is_open());
    let handed_over = inherited.addresses().to_vec();
    let mut listening = Listening::new(endpoint.clone(), inherited);
    let missing = listening.open(&config.server.listen, &paths.config).await.map_err(Failure::Failed)?;
    let certificate = config.server.tls.clone().map(|files| Certificate::start(files, None)).transpose();
    let certificate = certificate.map_err(|error| Failure::Failed(error.to_string()))?;
    listening.set_tls(certificate.as_ref().map(Certificate::tls));
    let unusable = certificate.as_ref().and_then(Certificate::problem).map(|reason| (ProblemKind::Certificate, reason));
    let heard_where = upkeep::heard_where(&config, &listening, certificate.as_ref());

    let has_tray = tray.is_some();
    // The main thread's loop lasts until all is written: when a session ends, some systems end the process with the loop.
    let loop_goes_on = tray.clone();
    let session = Session::start(icon, has_tray, &desktop_events);
    let desktop = LiveDesktop::new(session, tray, &config, paths.sounds.clone(), desktop_events);
    let (events, app_events) = mpsc::unbounded_channel();
    let (requests, asked) = mpsc::unbounded_channel();
    let (commands, waiting_commands) = mpsc::channel(WAITING_COMMANDS);
    let mut controller = Controller::new(Parts {
        desktop,
        inbox: inbox.clone(),
        inbox_changed: news,
        config: config.clone(),
        accounts: endpoint.accounts(),
        requests,
        tray: has_tray,
        wake_window,
    });
    let problems = problem.into_iter().chain(missing).chain(unusable);
    controller.prepare(heard_where, is_first_run, problems).await;
    listening.serve();
    tracing::info!(listen = ?listening.addresses(), "ready");

    let (passed_on, controller_commands) = mpsc::channel(WAITING_COMMANDS);
    let controller =
        tokio::spawn(controller.run(Inputs { app: app_events, desktop: heard, commands: controller_commands }));
    let (end_control, control_ended) = tokio::sync::oneshot::channel::<()>();
    let control = tokio::spawn(control::serve(control, commands, async { drop(control_ended.await) }));

    let catching_up = CatchingUp::start(
        inbox.clone(),
        Secrets::new(&paths),
        &endpoint.accounts(),
        upkeep::catching_up_settings(&config),
        events.clone(),
    );
    let autostart = AutostartSwitch::new(events.clone());
    let upkeep = Upkeep {
        paths,
        config,
        endpoint,
        log,
        listening,
        inherited: handed_over,
        certificate,
        events,
        catching_up,
        autostart,
    };
    let listening = upkeep.run(changes, asked, waiting_commands, passed_on).await;

    // Requests in progress first: what they record is still presented, or waits for the next start.
    listening.close().await;
    drop(end_control);
    for (part, ended) in [("control socket", control.await), ("controller", controller.await.map(drop))] {
        if let Err(error) = ended {
            tracing::error!("the {part} did not end well: {error}");
        }
    }
    if tokio::time::timeout(CLOSE_TIME, inbox.close()).await.is_err() {
        tracing::warn!("the disk takes too long: the inbox is left to the next start, which loses nothing");
    }
    tracing::info!("ended");
    drop(loop_goes_on);
    Ok(())
}

/// Whether what is said goes to a log.
fn is_logged() -> bool {
    console::is_logged(&io::stdout())
}

fn say(words: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    writeln!(out, "{words}")?;
    Ok(out.flush()?)
}
