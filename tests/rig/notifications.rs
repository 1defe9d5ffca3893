//! The traffic between the app and the notification service, monitored on the bus.

use std::{
    collections::BTreeMap,
    sync::{Arc, Condvar, Mutex},
    time::{Duration, Instant},
};

use futures_lite::StreamExt;
use serde_json::Value;
use zbus::{MatchRule, MessageStream, message};

use super::{SOON, bus};

pub(crate) const SERVICE: (&str, &str, &str) =
    ("org.freedesktop.Notifications", "/org/freedesktop/Notifications", "org.freedesktop.Notifications");

/// One `Notify` call.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Notify {
    /// The sender's unique bus name.
    pub(crate) sender: String,
    pub(crate) app_name: String,
    pub(crate) replaces_id: u32,
    pub(crate) app_icon: String,
    pub(crate) summary: String,
    pub(crate) body: String,
    /// ID and label of each action.
    pub(crate) actions: Vec<(String, String)>,
    pub(crate) hints: BTreeMap<String, Value>,
    /// `expire_timeout`: milliseconds, -1 for the service's default, 0 for never.
    pub(crate) timeout: i64,
    /// The ID that the service returned, or the name of its error; `None` while there is no answer.
    pub(crate) answer: Option<Result<u32, String>>,
    pub(crate) at: Instant,
}

impl Notify {
    /// The ID that the service assigned.
    #[track_caller]
    pub(crate) fn id(&self) -> u32 {
        match &self.answer {
            Some(Ok(id)) => *id,
            Some(Err(_)) | None => panic!("the service gave it no id: {self:#?}"),
        }
    }
}

/// Everything that was monitored, in order.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Traffic {
    Notify(Notify),
    /// The app withdraws a popup.
    CloseNotification(u32),
    /// The service reports a closed popup and the reason: 1 expired, 2 dismissed, 3 withdrawn, 4 other.
    NotificationClosed(u32, u32),
    /// The user chose an action.
    ActionInvoked(u32, String),
    ActivationToken(u32, String),
    /// The service appeared (its unique name) or disappeared (empty).
    Owner(String),
    /// `com.canonical.Unity.LauncherEntry.Update` for docks: the application's URI and its properties.
    Launcher(String, Value),
}

#[derive(Default)]
struct Record {
    traffic: Mutex<Vec<Traffic>>,
    grown: Condvar,
}

/// A record of the notification traffic of one bus.
#[derive(Clone, Default)]
pub(crate) struct Notifications(Arc<Record>);

impl Notifications {
    /// Monitors this bus from now on, until the bus ends.
    pub(crate) fn follow(&self, address: &str) {
        let record = Arc::clone(&self.0);
        let mut stream = bus::block_on(async {
            let connection = bus::connect(address).await;
            let rules = [
                "type='method_call',interface='org.freedesktop.Notifications'",
                "type='signal',interface='org.freedesktop.Notifications'",
                "type='signal',interface='com.canonical.Unity.LauncherEntry'",
                "type='signal',member='NameOwnerChanged',arg0='org.freedesktop.Notifications'",
                "type='method_return'",
                "type='error'",
            ]
            .map(|rule| MatchRule::try_from(rule).expect("a match rule"));
            let monitoring = zbus::fdo::MonitoringProxy::new(&connection).await.expect("the bus has monitoring");
            let stream = MessageStream::from(&connection);
            monitoring.become_monitor(&rules, 0).await.expect("the bus lets us monitor it");
            stream
        });
        bus::runtime().spawn(async move {
            // Unanswered calls: the sender and serial of the call, and its position in the record.
            let mut open = BTreeMap::new();
            while let Some(Ok(message)) = stream.next().await {
                record_message(&record, &mut open, &message);
            }
        });
    }

    /// The whole record.
    pub(crate) fn traffic(&self) -> Vec<Traffic> {
        self.0.traffic.lock().expect("no holder panics").clone()
    }

    /// The length of the record: a mark for [`Notifications::since`].
    pub(crate) fn len(&self) -> usize {
        self.0.traffic.lock().expect("no holder panics").len()
    }

    /// The traffic after the mark.
    pub(crate) fn since(&self, mark: usize) -> Vec<Traffic> {
        self.traffic().split_off(mark)
    }

    /// All `Notify` calls, in order.
    pub(crate) fn all(&self) -> Vec<Notify> {
        notifies(self.traffic())
    }

    /// The `Notify` calls after the mark.
    pub(crate) fn all_since(&self, mark: usize) -> Vec<Notify> {
        notifies(self.since(mark))
    }

    /// The popups that are open now, by ID, each as last shown.
    pub(crate) fn open(&self) -> BTreeMap<u32, Notify> {
        let mut open = BTreeMap::new();
        for traffic in self.traffic() {
            match traffic {
                Traffic::Notify(notify) => {
                    if let Some(Ok(id)) = notify.answer {
                        open.insert(id, notify);
                    }
                }
                Traffic::NotificationClosed(id, _) => {
                    open.remove(&id);
                }
                Traffic::Owner(_) => open.clear(),
                Traffic::CloseNotification(_)
                | Traffic::ActionInvoked(..)
                | Traffic::ActivationToken(..)
                | Traffic::Launcher(..) => {}
            }
        }
        open
    }

    /// The properties of the last `LauncherEntry.Update`.
    pub(crate) fn launcher(&self) -> Option<Value> {
        self.traffic().into_iter().rev().find_map(|traffic| match traffic {
            Traffic::Launcher(_, properties) => Some(properties),
            _ => None,
        })
    }

    /// Waits until the function finds something in the whole record.
    #[track_caller]
    pub(crate) fn wait<T>(&self, what: &str, timeout: Duration, find: impl FnMut(&Traffic) -> Option<T>) -> T {
        self.wait_since(0, what, timeout, find)
    }

    /// Waits until the function finds something after the mark.
    #[track_caller]
    pub(crate) fn wait_since<T>(
        &self,
        mark: usize,
        what: &str,
        timeout: Duration,
        mut find: impl FnMut(&Traffic) -> Option<T>,
    ) -> T {
        let deadline = Instant::now() + timeout;
        let mut traffic = self.0.traffic.lock().expect("no holder panics");
        loop {
            if let Some(found) = traffic.iter().skip(mark).find_map(&mut find) {
                return found;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let seen = traffic.clone();
                drop(traffic);
                panic!("waited {timeout:?} in vain: {what}. Seen: {seen:#?}");
            }
            traffic = self.0.grown.wait_timeout(traffic, left).expect("no holder panics").0;
        }
    }

    /// Waits for a `Notify` call that the service has answered and that matches.
    #[track_caller]
    pub(crate) fn wait_for_notify(&self, what: &str, fits: impl Fn(&Notify) -> bool) -> Notify {
        self.wait_for_notify_since(0, what, fits)
    }

    /// The same, after the mark.
    #[track_caller]
    pub(crate) fn wait_for_notify_since(&self, mark: usize, what: &str, fits: impl Fn(&Notify) -> bool) -> Notify {
        self.wait_since(mark, what, SOON, |traffic| match traffic {
            Traffic::Notify(notify) if matches!(notify.answer, Some(Ok(_))) && fits(notify) => Some(notify.clone()),
            _ => None,
        })
    }

    /// Waits until the service reports this popup as closed; returns the reason.
    #[track_caller]
    pub(crate) fn wait_for_closed(&self, id: u32) -> u32 {
        self.wait(&format!("popup {id} is closed"), SOON, |traffic| match traffic {
            Traffic::NotificationClosed(closed, reason) if *closed == id => Some(*reason),
            _ => None,
        })
    }
}

fn record_message(record: &Record, open: &mut BTreeMap<(String, u32), usize>, message: &zbus::Message) {
    let header = message.header();
    let name = |name: Option<String>| name.unwrap_or_default();
    let body = message.body();
    let fields = body.deserialize::<zbus::zvariant::Structure<'_>>().map(|body| bus::fields(&body)).unwrap_or_default();
    let mut traffic = record.traffic.lock().expect("no holder panics");
    let id = |index: usize| popup_id(&fields, index);
    match (message.message_type(), header.member().map_or("", |member| member.as_str())) {
        (message::Type::MethodCall, "Notify") => {
            let sender = name(header.sender().map(ToString::to_string));
            open.insert((sender.clone(), message.primary_header().serial_num().get()), traffic.len());
            traffic.push(Traffic::Notify(notify(sender, &fields)));
        }
        (message::Type::MethodCall, "CloseNotification") => traffic.push(Traffic::CloseNotification(id(0))),
        (message::Type::MethodReturn | message::Type::Error, _) => {
            let caller = name(header.destination().map(ToString::to_string));
            let Some(at) = header.reply_serial().and_then(|serial| open.remove(&(caller, serial.get()))) else {
                return;
            };
            if let Traffic::Notify(notify) = &mut traffic[at] {
                notify.answer = Some(match header.error_name() {
                    Some(error) => Err(error.to_string()),
                    None => Ok(id(0)),
                });
            }
        }
        (message::Type::Signal, "NotificationClosed") => traffic.push(Traffic::NotificationClosed(id(0), id(1))),
        (message::Type::Signal, "ActionInvoked") => traffic.push(Traffic::ActionInvoked(id(0), text(&fields, 1))),
        (message::Type::Signal, "ActivationToken") => traffic.push(Traffic::ActivationToken(id(0), text(&fields, 1))),
        (message::Type::Signal, "NameOwnerChanged") => traffic.push(Traffic::Owner(text(&fields, 2))),
        (message::Type::Signal, "Update") => {
            traffic.push(Traffic::Launcher(text(&fields, 0), fields.get(1).cloned().unwrap_or_default()));
        }
        _ => return,
    }
    record.grown.notify_all();
}

fn notify(sender: String, fields: &[Value]) -> Notify {
    let array = |index: usize| fields.get(index).and_then(Value::as_array).cloned().unwrap_or_default();
    let actions = array(5).iter().map(|text| text.as_str().unwrap_or_default().to_owned()).collect::<Vec<_>>();
    Notify {
        sender,
        app_name: text(fields, 0),
        replaces_id: popup_id(fields, 1),
        app_icon: text(fields, 2),
        summary: text(fields, 3),
        body: text(fields, 4),
        actions: actions.chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect(),
        hints: fields
            .get(6)
            .and_then(Value::as_object)
            .map(|hints| hints.clone().into_iter().collect())
            .unwrap_or_default(),
        timeout: number(fields, 7),
        answer: None,
        at: Instant::now(),
    }
}

fn text(fields: &[Value], index: usize) -> String {
    fields.get(index).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn popup_id(fields: &[Value], index: usize) -> u32 {
    u32::try_from(number(fields, index)).expect("ids are u32 on the bus")
}

fn number(fields: &[Value], index: usize) -> i64 {
    fields.get(index).and_then(Value::as_i64).unwrap_or_default()
}

fn notifies(traffic: Vec<Traffic>) -> Vec<Notify> {
    traffic
        .into_iter()
        .filter_map(|traffic| match traffic {
            Traffic::Notify(notify) => Some(notify),
            _ => None,
        })
        .collect()
}
