//! Who is connected, and who has to go when there is no more room.
//!
//! A newcomer is never refused: it may be a homeserver, and its refusal would cost a push. Whoever goes longest
//! without a valid push makes room instead; who never sent one goes first.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
};

use tracing::error;

use super::{
    limits::Limits,
    link::{Link, Stage},
};

/// The tick of a connection's last valid push, 0 before the first, and then its number: who has the least goes first.
type Freshness = (u64, u64);

/// The open connections.
#[derive(Debug)]
pub(super) struct Registry {
    limits: Limits,
    links: Mutex<BTreeMap<Freshness, Arc<Link>>>,
    connections: AtomicU64,
    listeners: AtomicU64,
    /// Counts valid pushes: the clock by which connections are stale.
    pushes: AtomicU64,
    /// Bytes of all bodies held.
    body_bytes: AtomicUsize,
}

impl Registry {
    pub(super) fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self {
            limits,
            links: Mutex::default(),
            connections: AtomicU64::new(0),
            listeners: AtomicU64::new(0),
            pushes: AtomicU64::new(0),
            body_bytes: AtomicUsize::new(0),
        })
    }

    fn links(&self) -> MutexGuard<'_, BTreeMap<Freshness, Arc<Link>>> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of a new listener.
    pub(super) fn listen(&self) -> u64 {
        self.listeners.fetch_add(1, Relaxed)
    }

    /// A new connection of this listener. Says too whether another one was told to close, to make room.
    pub(super) fn join(self: &Arc<Self>, listener: u64) -> (Membership, bool) {
        let crowded = self.links().len() >= self.limits.connections;
        let made_room = crowded && self.close_stalest();
        let link = Arc::new(Link::new(self.connections.fetch_add(1, Relaxed), listener));
        self.links().insert(freshness(&link), Arc::clone(&link));
        (Membership { registry: Arc::clone(self), link }, made_room)
    }

    /// Closes the connection that goes longest without a valid push. False if there is none.
    pub(super) fn close_stalest(&self) -> bool {
        self.close_stalest_of(|_| true)
    }

    fn close_stalest_of(&self, among: impl Fn(&Link) -> bool) -> bool {
        let mut links = self.links();
        let stalest = links.iter().find(|(_, link)| among(link)).map(|(freshness, _)| *freshness);
        let Some(link) = stalest.and_then(|freshness| links.remove(&freshness)) else { return false };
        drop(links);
        self.release(&link);
        link.close();
        true
    }

    /// Tells every connection of this listener to finish its request and close.
    pub(super) fn drain(&self, listener: u64) {
        self.links().values().filter(|link| link.listener == listener).for_each(|link| link.drain());
    }

    /// Tells every connection to finish its request and close.
    pub(super) fn drain_all(&self) {
        self.links().values().for_each(|link| link.drain());
    }

    /// Closes every connection of this listener.
    pub(super) fn close(&self, listener: u64) {
        self.links().values().filter(|link| link.listener == listener).for_each(|link| link.close());
    }

    /// How many connections of this listener are open.
    pub(super) fn connections_of(&self, listener: u64) -> usize {
        self.links().values().filter(|link| link.listener == listener).count()
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.limits
    }

    fn release(&self, link: &Link) {
        self.body_bytes.fetch_sub(link.body_bytes.swap(0, Relaxed), Relaxed);
    }
}

/// Changes only while the connections are locked: they are ordered by it.
fn freshness(link: &Link) -> Freshness {
    (link.last_push.load(Relaxed), link.id)
}

/// A connection's place in the registry, until dropped.
#[derive(Debug)]
pub(super) struct Membership {
    registry: Arc<Registry>,
    pub(super) link: Arc<Link>,
}

impl Membership {
    pub(super) fn limits(&self) -> &Limits {
        &self.registry.limits
    }

    /// It carries a push for an account.
    pub(super) fn note_valid_push(&self) {
        let mut links = self.registry.links();
        let listed = links.remove(&freshness(&self.link));
        self.link.last_push.store(self.registry.pushes.fetch_add(1, Relaxed) + 1, Relaxed);
        if let Some(link) = listed {
            links.insert(freshness(&link), link);
        }
    }

    /// Counts bytes of a body, until [`Self::release_body`]: what is parsed from it and what answers it is about as
    /// large. False if there is no room for them, and nobody staler who could make it.
    pub(super) fn hold_body(&self, bytes: usize) -> bool {
        let Registry { limits, body_bytes, .. } = &*self.registry;
        let mine = freshness(&self.link);
        let can_make_room = |other: &Link| {
            matches!(other.stage(), Stage::Body | Stage::Answering)
                && other.body_bytes.load(Relaxed) > 0
                && freshness(other) < mine
        };
        while body_bytes.load(Relaxed).saturating_add(bytes) > limits.all_body_bytes {
            if !self.registry.close_stalest_of(can_make_room) {
                return false;
            }
        }
        body_bytes.fetch_add(bytes, Relaxed);
        self.link.body_bytes.fetch_add(bytes, Relaxed);
        true
    }

    pub(super) fn release_body(&self) {
        self.registry.release(&self.link);
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        if std::thread::panicking() {
            error!("a connection was dropped after a panic; its client will try again");
        }
        self.registry.links().remove(&freshness(&self.link));
        self.release_body();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registry(connections: usize) -> Arc<Registry> {
        Registry::new(Limits { connections, all_body_bytes: 100, ..Limits::default() })
    }

    fn open(registry: &Registry) -> Vec<u64> {
        let mut open: Vec<_> = registry.links().values().map(|link| link.id).collect();
        open.sort_unstable();
        open
    }

    #[test]
    fn who_never_sent_a_valid_push_goes_first_and_then_whose_last_is_longest_ago() {
        let registry = registry(4);
        let members: Vec<_> = (0..4).map(|_| registry.join(0).0).collect();
        members[0].note_valid_push();
        members[3].note_valid_push();
        members[0].note_valid_push();

        let mut gone = Vec::new();
        while registry.close_stalest() {
            gone.push((0..4).find(|id| !open(&registry).contains(id) && !gone.contains(id)).unwrap());
        }

        assert_eq!(gone, [1, 2, 3, 0]);
    }

    #[test]
    fn a_newcomer_is_never_the_one_to_go() {
        let registry = registry(2);
        let members: Vec<_> = (0..2).map(|_| registry.join(0).0).collect();
        members.iter().for_each(Membership::note_valid_push);

        let (_newcomer, made_room) = registry.join(0);

        assert!(made_room);
        assert_eq!(open(&registry), [1, 2]);
    }

    #[test]
    fn a_connection_that_has_ended_is_forgotten_whether_it_ever_pushed_or_not() {
        let registry = registry(4);
        let members: Vec<_> = (0..4).map(|_| registry.join(0).0).collect();
        members[..2].iter().for_each(Membership::note_valid_push);
        registry.close_stalest();
        members[2].note_valid_push();
        assert_eq!(open(&registry), [0, 1, 3], "who was told to close stays forgotten");

        drop(members);

        assert!(open(&registry).is_empty());
    }

    #[test]
    fn memory_for_a_body_is_taken_from_staler_connections_that_send_one() {
        let registry = registry(8);
        let [idle, sends_slowly, newer, newest] = [(); 4].map(|()| registry.join(0).0);
        for sender in [&sends_slowly, &newer, &newest] {
            sender.link.enter(Stage::Body);
        }

        assert!(sends_slowly.hold_body(60) && newer.hold_body(30));
        assert!(newest.hold_body(50), "the stalest sender makes room");
        assert_eq!(open(&registry), [idle.link.id, newer.link.id, newest.link.id]);
        assert!(!newer.hold_body(21), "nobody staler sends a body");
        drop((newest, sends_slowly));
        assert!(newer.hold_body(70));
        newer.release_body();
        assert_eq!(registry.body_bytes.load(Relaxed), 0);
    }
}
