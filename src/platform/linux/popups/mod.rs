//! Popups on Linux: org.freedesktop.Notifications over the one connection to the session bus.
//!
//! Sends one call at a time to the service and reports its answer; the state of the screen is not known here. A call is
//! never abandoned while its service may still execute it: when it is overdue, popups are unavailable until the call is
//! answered or the service has gone. So a popup is neither lost nor shown twice.

mod wire;

use std::{env, future::Future, path::PathBuf, pin::pin, time::Duration};

use futures_util::StreamExt;
use tokio::{
    sync::mpsc,
    time::{sleep, timeout},
};
use zbus::{Connection, MatchRule, MessageStream, message::Type};

use self::wire::Signal;
use super::bus::{self, Bus, BusState, CALL_DEADLINE, DAEMON as BUS, NameWatch};
use crate::{
    app_info,
    backoff::Backoff,
    desktop::{Activation, DesktopEvent, PopupCall, PopupEvent, ServiceState, popup_services::PopupService},
    present::popup::TEXT_KEY,
};

pub(super) const NAME: &str = "org.freedesktop.Notifications";
pub(super) const PATH: &str = "/org/freedesktop/Notifications";

/// Deadline for starting a service.
const START_DEADLINE: Duration = Duration::from_secs(10);

/// First and longest delay after a service failed while showing a popup.
const FAILURE_BACKOFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// Longest activation token accepted, in bytes.
const MAX_TOKEN: usize = 4096;

/// Passes calls to the notification service. Its events are [`DesktopEvent::Popup`].
#[derive(Debug)]
pub(crate) struct Popups(mpsc::UnboundedSender<PopupCall>);

impl Popups {
    /// Starts the task. `icon` is the name of an icon of the desktop's theme, or a file's absolute path.
    #[must_use]
    pub(crate) fn start(bus: Bus, icon: String, events: mpsc::UnboundedSender<DesktopEvent>) -> Self {
        // Holds at most one call, since the caller waits for each answer.
        let (calls, receiver) = mpsc::unbounded_channel();
        let reporter = Reporter { events, reported: None, token: None };
        tokio::spawn(
            Client { calls: receiver, icon, reporter, rest: Backoff::new(FAILURE_BACKOFF.0, FAILURE_BACKOFF.1) }
                .run(bus),
        );
        Self(calls)
    }

    /// Makes a call.
    pub(crate) fn call(&self, call: PopupCall) {
        if self.0.send(call).is_err() {
            tracing::error!("popups have ended");
        }
    }
}

/// Why a call was not answered by its service.
enum Unanswered {
    /// The connection to the bus has ended.
    Bus,
    /// The name has another owner, or none.
    Service,
    /// The service failed while showing a popup, or never confirmed it: it gets no calls for a while.
    Failed,
    /// The receiver of popups is gone.
    Ended,
}

/// Why a call failed.
#[derive(Debug)]
enum CallError {
    /// The service returned an error.
    Refused(String),
    /// The service was not there to answer.
    Gone(String),
}

struct Client {
    calls: mpsc::UnboundedReceiver<PopupCall>,
    icon: String,
    reporter: Reporter,
    rest: Backoff,
}

struct Reporter {
    events: mpsc::UnboundedSender<DesktopEvent>,
    /// What was last reported.
    reported: Option<(Option<PopupService>, ServiceState)>,
    /// The activation token that preceded an action, with the popup's id.
    token: Option<(u32, String)>,
}

/// A connection to the bus, and the owner of the notification service's name.
struct Channel {
    connection: Connection,
    signals: MessageStream,
    name: NameWatch,
    owner: Option<String>,
    /// The bus can start a service.
    is_activatable: bool,
}

impl Client {
    async fn run(mut self, mut bus: Bus) {
        loop {
            match bus.state() {
                BusState::Connecting => {}
                BusState::Absent(reason) => self.report_no_bus(&reason),
                BusState::Present(connection) => match Channel::open(connection.clone()).await {
                    Ok(channel) => {
                        self.rest.reset();
                        if let Unanswered::Ended = self.serve(channel).await {
                            return;
                        }
                    }
                    Err(error) => {
                        self.report_no_bus(&error.to_string());
                        // The task of the bus reconnects.
                        drop(timeout(CALL_DEADLINE, connection.close()).await);
                    }
                },
            }
            tokio::select! {
                () = bus.changed() => {}
                call = self.calls.recv() => match call {
                    Some(_) => self.reporter.answer(Err("there is no session bus".to_owned())),
                    None => return,
                },
            }
        }
    }

    fn report_no_bus(&mut self, reason: &str) {
        self.reporter
            .unavailable(None, format!("there is no session bus: start Pushbell inside a desktop session ({reason})"));
    }

    /// Serves until the connection ends or the receiver of popups is gone.
    async fn serve(&mut self, mut channel: Channel) -> Unanswered {
        loop {
            let lost = match channel.owner.clone() {
                Some(owner) => self.serve_owner(&mut channel, &owner, None).await,
                None => self.wait_for_owner(&mut channel).await,
            };
            let lost = if let Unanswered::Failed = lost { self.rest(&mut channel).await } else { lost };
            if let Unanswered::Bus | Unanswered::Ended = lost {
                return lost;
            }
        }
    }

    /// Sends no calls for a while after a service has failed while showing a popup, even if the owner changes.
    async fn rest(&mut self, channel: &mut Channel) -> Unanswered {
        let reason = "the notification service failed over a popup and is left alone for a moment";
        self.reporter.unavailable(self.reporter.service(), reason.to_owned());
        let mut rest = pin!(sleep(self.rest.next()));
        loop {
            match self.refuse_calls(channel, rest.as_mut()).await {
                Ok(()) => return Unanswered::Service,
                Err(Unanswered::Service) => {}
                Err(lost) => return lost,
            }
        }
    }

    /// Without a service: lets the bus start one for the first popup, if it can.
    async fn wait_for_owner(&mut self, channel: &mut Channel) -> Unanswered {
        if !channel.is_activatable {
            let reason =
                "no notification service is running: install and start one, for example dunst or xfce4-notifyd";
            self.reporter.unavailable(None, reason.to_owned());
            return self.wait_for_change(channel).await;
        }
        let reason = "a notification service is started when the first popup comes";
        self.reporter.report(None, ServiceState { available: true, reason: Some(reason.into()) });
        let call = match channel.watch(&mut self.reporter, self.calls.recv()).await {
            Ok(Some(call)) => call,
            Ok(None) => return Unanswered::Ended,
            Err(lost) => return lost,
        };
        let failure = match timeout(START_DEADLINE, start(&channel.connection)).await {
            Ok(Ok(Some(owner))) => {
                channel.owner = Some(owner.clone());
                return self.serve_owner(channel, &owner, Some(call)).await;
            }
            Ok(Ok(None)) => "it ended at once".to_owned(),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "it takes too long".to_owned(),
        };
        let reason =
            format!("the notification service could not be started ({failure}): start it, or install another one");
        self.reporter.answer(Err(reason.clone()));
        self.reporter.unavailable(None, reason);
        self.wait_for_change(channel).await
    }

    /// Waits until the owner of the name changes.
    async fn wait_for_change(&mut self, channel: &mut Channel) -> Unanswered {
        match self.refuse_calls(channel, std::future::pending::<Unanswered>()).await {
            Ok(lost) | Err(lost) => lost,
        }
    }

    /// Makes calls while this service exists. `first`: a call that was received before.
    async fn serve_owner(&mut self, channel: &mut Channel, owner: &str, mut first: Option<PopupCall>) -> Unanswered {
        let service = match self.query_service(channel, owner).await {
            Ok(service) => service,
            Err(lost) => {
                if first.is_some() {
                    let reason = "the notification service ended before it took the popup";
                    self.reporter.answer(Err(reason.to_owned()));
                }
                return lost;
            }
        };
        loop {
            let call = match first.take() {
                Some(call) => Ok(Some(call)),
                None => channel.watch(&mut self.reporter, self.calls.recv()).await,
            };
            let outcome = match call {
                Ok(Some(call)) => self.perform(channel, owner, &service, call).await,
                Ok(None) => Err(Unanswered::Ended),
                Err(lost) => Err(lost),
            };
            if let Err(lost) = outcome {
                return lost;
            }
        }
    }

    /// Refuses calls until `until` is ready.
    async fn refuse_calls<T>(
        &mut self,
        channel: &mut Channel,
        until: impl Future<Output = T>,
    ) -> Result<T, Unanswered> {
        let mut until = pin!(until);
        loop {
            let next = async {
                tokio::select! {
                    done = &mut until => Ok(done),
                    call = self.calls.recv() => Err(call),
                }
            };
            match channel.watch(&mut self.reporter, next).await? {
                Ok(done) => return Ok(done),
                Err(Some(_)) => self.reporter.answer(Err("popups are unavailable".to_owned())),
                Err(None) => return Err(Unanswered::Ended),
            }
        }
    }

    /// Queries the service's name, version and capabilities.
    async fn query_service(&mut self, channel: &mut Channel, owner: &str) -> Result<PopupService, Unanswered> {
        let connection = channel.connection.clone();
        let asked = async {
            let (name, vendor, version) = match describe(&connection, owner).await {
                Err(CallError::Refused(_)) => {
                    ("a notification service without a name".to_owned(), String::new(), String::new())
                }
                described => described?,
            };
            let capabilities: Vec<String> = match request(&connection, owner, "GetCapabilities", &()).await {
                Err(CallError::Refused(_)) => Vec::new(),
                capabilities => capabilities?,
            };
            let has = |name| capabilities.iter().any(|capability| capability == name);
            let (reads_markup, has_actions) = (has("body-markup"), has("actions"));
            Ok(PopupService {
                id: String::new(),
                name,
                vendor,
                version,
                reads_markup,
                has_actions,
                has_text_input: has(TEXT_KEY),
                knows_app: has_desktop_entry(),
            })
        };
        let asked = self.wait_for_reply(channel, owner, "the notification service", asked).await?;
        let Ok(mut service) = asked.inspect_err(|error: &CallError| {
            tracing::debug!("the notification service: {error:?}");
        }) else {
            return Err(Unanswered::Failed);
        };
        service.id = wire::service_id(&channel.connection, owner, service.needs());
        self.reporter.available(&service);
        Ok(service)
    }

    async fn perform(
        &mut self,
        channel: &mut Channel,
        owner: &str,
        service: &PopupService,
        call: PopupCall,
    ) -> Result<(), Unanswered> {
        let (connection, icon) = (channel.connection.clone(), self.icon.clone());
        let is_show = matches!(call, PopupCall::Show { .. });
        let asked = async {
            match &call {
                PopupCall::Show { popup, replaces } => {
                    let arguments = wire::notify(popup, *replaces, &icon, service);
                    request(&connection, owner, "Notify", &arguments).await
                }
                PopupCall::Close(id) => request::<()>(&connection, owner, "CloseNotification", id).await.map(|()| *id),
            }
        };
        // A failed close does not count as a failure of the service.
        let lost_over = |lost| if is_show { Err(Unanswered::Failed) } else { lost };
        let (answer, outcome) = match self.wait_for_reply(channel, owner, &service.to_string(), asked).await {
            Ok(Ok(id)) => (Ok(id), Ok(())),
            Ok(Err(CallError::Refused(reason))) => {
                (Err(format!("the notification service refused the popup: {reason}")), Ok(()))
            }
            Ok(Err(CallError::Gone(reason))) => {
                (Err(format!("the notification service was gone: {reason}")), lost_over(Ok(())))
            }
            Err(Unanswered::Service) => {
                let reason = "the notification service ended before it confirmed the popup";
                (Err(reason.to_owned()), lost_over(Err(Unanswered::Service)))
            }
            Err(Unanswered::Failed) => {
                let reason = "the notification service took the popup but never confirmed it";
                (Err(reason.to_owned()), Err(Unanswered::Failed))
            }
            Err(lost) => (Err("the session bus ended before the popup was confirmed".to_owned()), Err(lost)),
        };
        self.reporter.answer(answer);
        if outcome.is_ok() {
            if is_show {
                self.rest.reset();
            }
            self.reporter.available(service);
        }
        outcome
    }

    /// Waits for the answer to a call. While it is overdue, popups are unavailable. It is given up one deadline after
    /// the service has answered a later query.
    async fn wait_for_reply<T>(
        &mut self,
        channel: &mut Channel,
        owner: &str,
        name: &str,
        asked: impl Future<Output = Result<T, CallError>>,
    ) -> Result<Result<T, CallError>, Unanswered> {
        let mut asked = pin!(asked);
        let deadline = async { timeout(CALL_DEADLINE, asked.as_mut()).await.ok() };
        if let Some(answer) = channel.watch(&mut self.reporter, deadline).await? {
            return Ok(answer);
        }
        let service = self.reporter.service();
        self.reporter.unavailable(service, format!("{name} does not answer: restart it if that lasts"));
        let connection = channel.connection.clone();
        let give_up = async {
            if let Err(CallError::Gone(_)) = describe(&connection, owner).await {
                std::future::pending::<()>().await;
            }
            sleep(CALL_DEADLINE).await;
        };
        let late = async {
            tokio::select! {
                biased;
                answer = asked => Ok(answer),
                () = give_up => Err(Unanswered::Failed),
            }
        };
        channel.watch(&mut self.reporter, late).await?
    }
}

impl Channel {
    /// Listens first and asks then, so that nothing is missed.
    async fn open(connection: Connection) -> zbus::Result<Self> {
        let rule = MatchRule::builder().msg_type(Type::Signal).interface(NAME)?.path(PATH)?.build();
        let signals = bus::signals(&connection, rule).await?;
        let name = NameWatch::start(&connection, NAME).await?;
        let is_activatable = bus::is_activatable(&connection, NAME).await?;
        Ok(Self { owner: name.owner.clone(), connection, signals, name, is_activatable })
    }

    /// Reads signals and the name's owner until `until` is ready.
    async fn watch<T>(&mut self, reporter: &mut Reporter, until: impl Future<Output = T>) -> Result<T, Unanswered> {
        let mut until = pin!(until);
        loop {
            // The answer to a call comes before the signals about it, and a change of owner before the new one's
            // signals.
            tokio::select! {
                biased;
                () = self.connection.closed() => return Err(Unanswered::Bus),
                done = &mut until => return Ok(done),
                owner = self.name.next() => {
                    if self.owner != owner {
                        self.owner = owner;
                        return Err(Unanswered::Service);
                    }
                }
                signal = next_signal(&mut self.signals, self.owner.as_deref()) => reporter.signal(signal),
            }
        }
    }
}

impl Reporter {
    fn available(&mut self, service: &PopupService) {
        let state = ServiceState { available: true, reason: Some(service.to_string()) };
        self.report(Some(service.clone()), state);
    }

    fn unavailable(&mut self, service: Option<PopupService>, reason: String) {
        self.report(service, ServiceState::unavailable(reason));
    }

    fn report(&mut self, service: Option<PopupService>, state: ServiceState) {
        let now = (service, state);
        if self.reported.as_ref() != Some(&now) {
            self.reported = Some(now.clone());
            let (service, state) = now;
            self.send(PopupEvent::Service { service, state });
        }
    }

    /// The service that was last reported.
    fn service(&self) -> Option<PopupService> {
        self.reported.as_ref().and_then(|(service, _)| service.clone())
    }

    fn answer(&self, answer: Result<u32, String>) {
        self.send(PopupEvent::Answer(answer));
    }

    fn signal(&mut self, signal: Signal) {
        match signal {
            Signal::Token { id, token } => self.token = (token.len() <= MAX_TOKEN).then_some((id, token)),
            Signal::Activated { id, key, text } => {
                let token = self.token.take_if(|(of, _)| *of == id).map(|(_, token)| token);
                self.send(PopupEvent::Activated { id, activation: Activation { key, text, token } });
            }
            Signal::Closed { id, reason } => self.send(PopupEvent::Closed { id, reason }),
        }
    }

    fn send(&self, event: PopupEvent) {
        if self.events.send(DesktopEvent::Popup(event)).is_err() {
            tracing::debug!("nobody listens to the desktop any more");
        }
    }
}

/// The next signal from the owner of the name: others on the bus could forge signals. Waits forever once the connection
/// has ended.
async fn next_signal(signals: &mut MessageStream, owner: Option<&str>) -> Signal {
    while let Some(Ok(message)) = signals.next().await {
        let is_owners = message.header().sender().is_some_and(|sender| Some(sender.as_str()) == owner);
        if let Some(signal) = wire::signal(&message).filter(|_| is_owners) {
            return signal;
        }
    }
    std::future::pending().await
}

/// Whether Pushbell is installed where the desktop looks for applications (XDG Base Directory Specification).
fn has_desktop_entry() -> bool {
    let home = || env::home_dir().map(|home| home.join(".local/share"));
    let own = env::var_os("XDG_DATA_HOME").map(PathBuf::from).or_else(home);
    let shared = env::var_os("XDG_DATA_DIRS").unwrap_or_else(|| "/usr/local/share:/usr/share".into());
    let entry = format!("applications/{}.desktop", app_info::APP_ID);
    own.into_iter().chain(env::split_paths(&shared)).any(|directory| directory.join(&entry).is_file())
}

async fn start(connection: &Connection) -> zbus::Result<Option<String>> {
    let (name, path, interface) = BUS;
    connection.call_method(Some(name), path, Some(interface), "StartServiceByName", &(NAME, 0_u32)).await?;
    bus::owner_of(connection, NAME).await
}

/// Name, vendor and version.
async fn describe(connection: &Connection, owner: &str) -> Result<(String, String, String), CallError> {
    let (name, vendor, version, _specification): (String, String, String, String) =
        request(connection, owner, "GetServerInformation", &()).await?;
    Ok((name, vendor, version))
}

/// Calls the owner's unique name, so that an id is never sent to another service.
async fn request<T>(
    connection: &Connection,
    owner: &str,
    method: &str,
    arguments: &(impl serde::Serialize + zbus::zvariant::DynamicType + Sync),
) -> Result<T, CallError>
where
    T: for<'d> zbus::zvariant::DynamicDeserialize<'d>,
{
    let reply = connection
        .call_method(Some(owner), PATH, Some(NAME), method, arguments)
        .await
        .map_err(|error| call_error(&error))?;
    reply.body().deserialize().map_err(|error| CallError::Refused(format!("{method}: odd answer: {error}")))
}

/// Distinguishes errors of the service from errors of the bus.
fn call_error(error: &zbus::Error) -> CallError {
    const BUS_SAYS: [&str; 5] = ["NoReply", "ServiceUnknown", "NameHasNoOwner", "Disconnected", "TimedOut"];
    if let zbus::Error::MethodError(name, description, _) = error {
        let from_bus = name.strip_prefix("org.freedesktop.DBus.Error.").is_some_and(|name| BUS_SAYS.contains(&name));
        // The description of a service's own error may quote the popup, which must not be logged.
        return if from_bus {
            CallError::Gone(description.clone().unwrap_or_else(|| name.to_string()))
        } else {
            CallError::Refused(name.to_string())
        };
    }
    if matches!(error, zbus::Error::InputOutput(_)) {
        return CallError::Gone(error.to_string());
    }
    CallError::Refused(error.to_string())
}
