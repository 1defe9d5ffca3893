//! Popups on Linux: org.freedesktop.Notifications over the one connection of the session bus.
//!
//! `desk` decides (pure), `wire` translates; this is the task that carries calls out and signals in.

mod call;
mod desk;
mod queue;
mod shown;
mod wire;

use std::{future::Future, pin::Pin, time::Duration};

use futures_util::StreamExt;
use tokio::{
    sync::mpsc,
    task::JoinHandle,
    time::{Instant, sleep, sleep_until, timeout},
};
use zbus::{Connection, MatchRule, MessageStream, message::Type};

use self::{
    call::{Answer, Call, Failure},
    desk::Desk,
    shown::Signal,
};
use super::bus::{self, Bus, BusState, CALL_DEADLINE, DAEMON as BUS, NameWatch};
use crate::desktop::DesktopEvent;
use crate::present::popup::{Popup, PopupKey, PopupSerial, Standing};

pub(super) const NAME: &str = "org.freedesktop.Notifications";
pub(super) const PATH: &str = "/org/freedesktop/Notifications";

/// How long a service may take to start.
const START_DEADLINE: Duration = Duration::from_secs(10);

#[derive(Debug)]
enum Command {
    Show(PopupSerial, Popup),
    Withdraw(PopupKey),
    WithdrawAll,
    Adopt(Standing),
}

/// Shows popups. Every method returns at once; what became of it arrives as [`DesktopEvent`]s.
#[derive(Debug)]
pub struct Popups {
    // Emptied even while a call is in flight, into a queue with a bound.
    commands: mpsc::UnboundedSender<Command>,
    task: JoinHandle<Option<Standing>>,
}

impl Popups {
    /// Starts the task. `icon` is the name of an icon of the desktop's theme, or a file's absolute path.
    #[must_use]
    pub fn start(bus: Bus, icon: String, events: mpsc::UnboundedSender<DesktopEvent>) -> Self {
        let (commands, receiver) = mpsc::unbounded_channel();
        let desk = Desk::default();
        let worker = Worker { desk, left_up: None, commands: receiver, closing: false, icon, events };
        Self { commands, task: tokio::spawn(worker.run(bus)) }
    }

    /// Shows a popup, in place of the one with the same key. Answered by `Shown` or `NotShown`.
    pub fn show(&self, serial: PopupSerial, popup: Popup) {
        self.tell(Command::Show(serial, popup));
    }

    /// Withdraws the popup with this key, if there is one.
    pub fn withdraw(&self, key: &PopupKey) {
        self.tell(Command::Withdraw(key.clone()));
    }

    /// Withdraws every popup.
    pub fn withdraw_all(&self) {
        self.tell(Command::WithdrawAll);
    }

    /// Goes on with popups of an earlier run, if the service that shows them is still there; those are reported as
    /// [`DesktopEvent::Adopted`].
    pub fn adopt(&self, standing: Standing) {
        self.tell(Command::Adopt(standing));
    }

    /// Says what is still to be said, for as long as that is answered promptly. Returns the popups that are left up.
    pub async fn close(self) -> Option<Standing> {
        let Self { commands, mut task } = self;
        drop(commands);
        match timeout(CALL_DEADLINE, &mut task).await {
            Ok(Ok(standing)) => standing,
            Ok(Err(error)) => {
                tracing::error!("popups did not end well: {error}");
                None
            }
            Err(_) => {
                // Nobody notes any more what it shows: the next run shows it.
                task.abort();
                tracing::debug!("the last popups were not confirmed in time");
                None
            }
        }
    }

    fn tell(&self, command: Command) {
        if self.commands.send(command).is_err() {
            tracing::error!("popups have ended");
        }
    }
}

struct Worker {
    desk: Desk,
    /// What an earlier run has left up, until it is known whether its service is still there.
    left_up: Option<Standing>,
    commands: mpsc::UnboundedReceiver<Command>,
    /// No more commands will come.
    closing: bool,
    icon: String,
    events: mpsc::UnboundedSender<DesktopEvent>,
}

/// The service's side of one connection.
struct Line {
    connection: Connection,
    signals: MessageStream,
    name: NameWatch,
}

impl Worker {
    async fn run(mut self, mut bus: Bus) -> Option<Standing> {
        loop {
            let mut standing = None;
            match bus.state() {
                BusState::Connecting => {}
                BusState::Absent(reason) => self.desk.disconnected(&reason),
                BusState::Present(connection) => match Line::open(connection.clone()).await {
                    Ok((line, activatable)) => {
                        self.desk.connected(line.name.owner.clone(), activatable);
                        let guid = connection.server_guid().to_string();
                        self.serve(line, &guid).await;
                        standing = self.standing(&guid);
                    }
                    Err(error) => {
                        self.desk.disconnected(&error.to_string());
                        // Made anew by the bus's own task.
                        drop(timeout(CALL_DEADLINE, connection.close()).await);
                    }
                },
            }
            self.report();
            if self.closing {
                // An end before the service was known leaves what was left.
                return standing.or(self.left_up);
            }
            tokio::select! {
                () = bus.changed() => {}
                command = self.commands.recv() => self.obey(command),
            }
        }
    }

    /// Until the connection ends, or all is said after the last command.
    async fn serve(&mut self, mut line: Line, guid: &str) {
        let mut call: Option<Pending<Result<Answer, Failure>>> = None;
        let mut probe: Option<Pending<()>> = None;
        let mut deadline = None;
        loop {
            if let Some(left_up) = self.left_up.take() {
                self.adopt(left_up, guid);
            }
            if !self.desk.is_calling() {
                (call, deadline) = (None, None);
            }
            if let Some(next) = self.desk.next_call() {
                deadline = limit(&next).map(|limit| Instant::now() + limit);
                call = Some(line.perform(next, self.desk.owner(), &self.icon));
            }
            if !self.desk.wants_probe() {
                probe = None;
            } else if probe.is_none() {
                probe = Some(line.probe(self.desk.owner()));
            }
            self.report();
            if self.closing && (call.is_none() || self.desk.is_in_trouble()) {
                return;
            }
            // The answer to a call comes before the signals about it, and a change of owner before the new one's signals.
            tokio::select! {
                biased;
                () = line.connection.closed() => return,
                answer = pending(&mut call) => {
                    call = None;
                    self.desk.answered(answer);
                }
                owner = line.name.next() => self.desk.owner_changed(owner),
                signal = next_signal(&mut line.signals) => self.desk.signal(signal),
                command = self.commands.recv(), if !self.closing => self.obey(command),
                () = pending(&mut probe) => {
                    self.desk.probe_answered();
                    deadline = Some(Instant::now() + CALL_DEADLINE);
                }
                () = reached(deadline) => {
                    deadline = None;
                    self.desk.overdue();
                }
            }
        }
    }

    /// An id is good for as long as the service that gave it: the same owner of the name, on the same bus.
    fn adopt(&mut self, left_up: Standing, guid: &str) {
        if self.desk.owner().is_some_and(|owner| service(guid, owner) == left_up.service) {
            self.desk.adopt(left_up.popups);
        }
    }

    fn standing(&self, guid: &str) -> Option<Standing> {
        let popups = self.desk.standing();
        let service = service(guid, self.desk.owner()?);
        (!popups.is_empty()).then_some(Standing { service, popups })
    }

    /// Takes in a command and all that wait behind it, so that of a burst only the newest is sent.
    fn obey(&mut self, command: Option<Command>) {
        self.closing = command.is_none();
        let mut next = command;
        while let Some(command) = next {
            match command {
                Command::Show(serial, popup) => self.desk.show(serial, popup),
                Command::Withdraw(key) => self.desk.withdraw(&key),
                Command::WithdrawAll => self.desk.withdraw_all(),
                Command::Adopt(standing) => self.left_up = Some(standing),
            }
            next = self.commands.try_recv().ok();
        }
    }

    fn report(&mut self) {
        for event in self.desk.take_events() {
            if self.events.send(event).is_err() {
                tracing::debug!("nobody listens to the desktop any more");
            }
        }
    }
}

impl Line {
    /// Listens first and asks then, so that nothing is missed. Also returns whether the bus can start a service.
    async fn open(connection: Connection) -> zbus::Result<(Self, bool)> {
        let rule = MatchRule::builder().msg_type(Type::Signal).interface(NAME)?.path(PATH)?.build();
        let signals = bus::signals(&connection, rule).await?;
        let name = NameWatch::start(&connection, NAME).await?;
        let reply = bus::ask(&connection, BUS, "ListActivatableNames", &()).await?;
        let activatable = reply.body().deserialize::<Vec<String>>()?.iter().any(|name| name == NAME);
        Ok((Self { connection, signals, name }, activatable))
    }

    /// Calls go to the owner's unique name: an id is never given to a service that did not make it.
    fn perform(&self, call: Call, owner: Option<&str>, icon: &str) -> Pending<Result<Answer, Failure>> {
        let connection = self.connection.clone();
        let owner = owner.unwrap_or(NAME).to_owned();
        let icon = icon.to_owned();
        Box::pin(async move {
            match call {
                Call::Rest(length) => {
                    sleep(length).await;
                    Ok(Answer::Rested)
                }
                Call::Start => start(&connection).await.map(Answer::Started),
                Call::Describe => describe(&connection, &owner).await.map(Answer::Description),
                Call::AskAbilities => {
                    let capabilities: Vec<String> = request(&connection, &owner, "GetCapabilities", &()).await?;
                    Ok(Answer::Abilities(wire::abilities(&capabilities)))
                }
                Call::Notify { replaces, popup, abilities } => {
                    let arguments = wire::notify(&popup, replaces, &icon, abilities);
                    request(&connection, &owner, "Notify", &arguments).await.map(Answer::Id)
                }
                Call::Close(id) => {
                    request::<()>(&connection, &owner, "CloseNotification", &id).await.map(|()| Answer::Closed)
                }
            }
        })
    }

    /// Whether a service that owes an answer is alive: ready when it said anything at all, and never when it is gone.
    fn probe(&self, owner: Option<&str>) -> Pending<()> {
        let connection = self.connection.clone();
        let owner = owner.unwrap_or(NAME).to_owned();
        Box::pin(async move {
            if let Err(Failure::Gone(_)) = describe(&connection, &owner).await {
                std::future::pending::<()>().await;
            }
        })
    }
}

/// By what a notification service is known again: the bus's GUID and its unique name there, neither ever used anew.
fn service(guid: &str, owner: &str) -> String {
    format!("{guid} {owner}")
}

type Pending<T> = Pin<Box<dyn Future<Output = T> + Send>>;

async fn pending<T>(future: &mut Option<Pending<T>>) -> T {
    match future {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}

async fn reached(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// Waits forever once the connection has ended.
async fn next_signal(signals: &mut MessageStream) -> Signal {
    while let Some(Ok(message)) = signals.next().await {
        if let Some(signal) = wire::signal(&message) {
            return signal;
        }
    }
    std::future::pending().await
}

fn limit(call: &Call) -> Option<Duration> {
    match call {
        Call::Rest(_) => None,
        Call::Start => Some(START_DEADLINE),
        Call::Describe | Call::AskAbilities | Call::Notify { .. } | Call::Close(_) => Some(CALL_DEADLINE),
    }
}

async fn start(connection: &Connection) -> Result<Option<String>, Failure> {
    let (name, path, interface) = BUS;
    let call = connection.call_method(Some(name), path, Some(interface), "StartServiceByName", &(NAME, 0_u32));
    call.await.map_err(|error| failure(&error))?;
    bus::owner_of(connection, NAME).await.map_err(|error| failure(&error))
}

/// Name and version: "dunst 1.9.0".
async fn describe(connection: &Connection, owner: &str) -> Result<String, Failure> {
    let (name, _vendor, version, _specification): (String, String, String, String) =
        request(connection, owner, "GetServerInformation", &()).await?;
    Ok(format!("{name} {version}").trim().to_owned())
}

async fn request<T>(
    connection: &Connection,
    owner: &str,
    method: &str,
    arguments: &(impl serde::Serialize + zbus::zvariant::DynamicType + Sync),
) -> Result<T, Failure>
where
    T: for<'d> zbus::zvariant::DynamicDeserialize<'d>,
{
    let reply = connection
        .call_method(Some(owner), PATH, Some(NAME), method, arguments)
        .await
        .map_err(|error| failure(&error))?;
    reply.body().deserialize().map_err(|error| Failure::Refused(format!("{method}: odd answer: {error}")))
}

/// Tells what a service says from what the bus says in its place.
fn failure(error: &zbus::Error) -> Failure {
    const BUS_SAYS: [&str; 5] = ["NoReply", "ServiceUnknown", "NameHasNoOwner", "Disconnected", "TimedOut"];
    if let zbus::Error::MethodError(name, description, _) = error {
        let from_bus = name.strip_prefix("org.freedesktop.DBus.Error.").is_some_and(|name| BUS_SAYS.contains(&name));
        // What a service says of its own may quote the popup, which nobody else is to read.
        return if from_bus {
            Failure::Gone(description.clone().unwrap_or_else(|| name.to_string()))
        } else {
            Failure::Refused(name.to_string())
        };
    }
    if matches!(error, zbus::Error::InputOutput(_)) {
        return Failure::Gone(error.to_string());
    }
    Failure::Refused(error.to_string())
}
