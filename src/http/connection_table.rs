//! The open connections, and which one is evicted when there are too many (pure).
//!
//! A new connection is never refused: it may be a homeserver's, and refusing it would cost a push. One that has
//! delivered no valid push is closed instead, the longest idle of the peer that has most of these, so that a flood from
//! one address closes its own connections. If all have delivered one, the one whose last is longest ago is closed.

use std::{
    cmp::Reverse,
    collections::{BTreeSet, HashMap},
    net::{IpAddr, Ipv6Addr},
};

/// Identifies a connection; never reused.
pub(super) type ConnectionId = u64;

/// Connections of one class; the one with the smallest rank is evicted first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Group {
    /// No valid push yet, by peer; ranked by when they last began a request.
    Unproven(IpAddr),
    /// At least one valid push; ranked by when the last was.
    Proven,
}

#[derive(Debug)]
struct Entry<H> {
    peer: IpAddr,
    group: Group,
    /// From the table's clock.
    rank: u64,
    /// Memory held for the request in progress.
    body_bytes: usize,
    handle: H,
}

/// The table. `H` is what closes a connection.
#[derive(Debug)]
pub(super) struct ConnectionTable<H> {
    connections: HashMap<ConnectionId, Entry<H>>,
    groups: HashMap<Group, BTreeSet<(u64, ConnectionId)>>,
    /// Sum of all `body_bytes`.
    body_bytes: usize,
    /// Counts events: the order of ids and ranks.
    clock: u64,
}

/// The body does not fit into the memory limit.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct OutOfMemory;

impl<H> ConnectionTable<H> {
    pub(super) fn new() -> Self {
        Self { connections: HashMap::new(), groups: HashMap::new(), body_bytes: 0, clock: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.connections.len()
    }

    fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }

    /// Adds a connection from this address; `open` makes its handle.
    pub(super) fn insert(&mut self, peer: IpAddr, open: impl FnOnce(ConnectionId) -> H) -> ConnectionId {
        let (id, peer) = (self.tick(), network(peer));
        let group = Group::Unproven(peer);
        self.groups.entry(group).or_default().insert((id, id));
        self.connections.insert(id, Entry { peer, group, rank: id, body_bytes: 0, handle: open(id) });
        id
    }

    /// Removes a connection, if it is still there.
    pub(super) fn remove(&mut self, id: ConnectionId) -> Option<H> {
        let connection = self.connections.remove(&id)?;
        self.body_bytes -= connection.body_bytes;
        self.leave(connection.group, connection.rank, id);
        Some(connection.handle)
    }

    fn leave(&mut self, group: Group, rank: u64, id: ConnectionId) {
        if let Some(members) = self.groups.get_mut(&group) {
            members.remove(&(rank, id));
            if members.is_empty() {
                self.groups.remove(&group);
            }
        }
    }

    /// The connection begins a request.
    pub(super) fn note_request(&mut self, id: ConnectionId) {
        if let Some(connection) = self.connections.get(&id)
            && connection.group != Group::Proven
        {
            self.rank_last(id, connection.group);
        }
    }

    /// The connection has delivered a valid push.
    pub(super) fn note_push(&mut self, id: ConnectionId) {
        self.rank_last(id, Group::Proven);
    }

    fn rank_last(&mut self, id: ConnectionId, group: Group) {
        let rank = self.tick();
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let before = (connection.group, connection.rank);
        (connection.group, connection.rank) = (group, rank);
        self.leave(before.0, before.1, id);
        self.groups.entry(group).or_default().insert((rank, id));
    }

    /// Evicts a connection: removes and returns it.
    pub(super) fn evict(&mut self) -> Option<H> {
        let unproven = self.groups.iter().filter(|(group, _)| **group != Group::Proven);
        let largest = unproven.max_by_key(|(_, members)| (members.len(), Reverse(members.first())));
        let members = largest.map(|(_, members)| members).or_else(|| self.groups.get(&Group::Proven))?;
        let (_, id) = *members.first()?;
        self.remove(id)
    }

    /// Counts bytes of a body of this connection until [`Self::release_body`]. If all bodies together then have more
    /// than `most`, removes others that hold one: first unproven ones, of the peer whose bodies are largest together,
    /// the longest idle first, then proven ones whose last push is longer ago. Returns the handles of those; there is
    /// no memory for a connection that would itself be the next.
    pub(super) fn hold_body(&mut self, id: ConnectionId, bytes: usize, most: usize) -> Result<Vec<H>, OutOfMemory> {
        let mut removed = Vec::new();
        while self.body_bytes.saturating_add(bytes) > most {
            let victim = self.body_to_drop(id).ok_or(OutOfMemory)?;
            removed.extend(self.remove(victim));
        }
        let connection = self.connections.get_mut(&id).ok_or(OutOfMemory)?;
        connection.body_bytes += bytes;
        self.body_bytes += bytes;
        Ok(removed)
    }

    fn body_to_drop(&self, claimant: ConnectionId) -> Option<ConnectionId> {
        let proven_rank = |connection: &Entry<H>| (connection.group == Group::Proven).then_some(connection.rank);
        let claimant_rank = proven_rank(self.connections.get(&claimant)?);
        let mut held: HashMap<IpAddr, usize> = HashMap::new();
        for connection in self.connections.values().filter(|connection| proven_rank(connection).is_none()) {
            *held.entry(connection.peer).or_default() += connection.body_bytes;
        }
        self.connections
            .iter()
            .filter(|(id, connection)| **id == claimant || connection.body_bytes > 0)
            .filter(|(_, other)| proven_rank(other).is_none_or(|rank| Some(rank) < claimant_rank))
            .min_by_key(|(_, other)| (proven_rank(other), Reverse(held.get(&other.peer)), other.rank))
            .map(|(id, _)| *id)
            .filter(|id| *id != claimant)
    }

    /// The body of this connection is no longer in memory.
    pub(super) fn release_body(&mut self, id: ConnectionId) {
        if let Some(connection) = self.connections.get_mut(&id) {
            self.body_bytes -= std::mem::take(&mut connection.body_bytes);
        }
    }
}

/// The owner of an IPv6 address usually controls its whole /64.
fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        v4 @ IpAddr::V4(_) => v4,
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & (!0 << 64)).into(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn peer(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    /// A table whose handles are the connections' own ids.
    fn table() -> ConnectionTable<ConnectionId> {
        ConnectionTable::new()
    }

    fn open(table: &mut ConnectionTable<ConnectionId>, peer: IpAddr) -> ConnectionId {
        table.insert(peer, |id| id)
    }

    fn all_evicted(table: &mut ConnectionTable<ConnectionId>) -> Vec<ConnectionId> {
        std::iter::from_fn(|| table.evict()).collect()
    }

    #[test]
    fn the_longest_idle_of_the_peer_with_most_unproven_goes_first() {
        let mut table = table();
        let [a1, b1, a2, b2, a3] = [1, 2, 1, 2, 1].map(|n| open(&mut table, peer(n)));
        let proven = [3, 1].map(|n| open(&mut table, peer(n)));
        for id in proven {
            table.note_push(id);
        }
        table.note_request(a1);
        table.note_push(proven[0]);
        table.note_request(proven[1]);
        assert_eq!(all_evicted(&mut table), [a2, b1, a3, b2, a1, proven[1], proven[0]]);
    }

    #[test]
    fn a_flood_closes_its_own_connections() {
        let mut table = table();
        let fresh: Vec<_> = (0..8).map(|_| open(&mut table, address("2001:db8::1"))).collect();
        for n in 0..10_000_u32 {
            if table.len() >= 64 {
                table.evict();
            }
            // One /64, written in all ways.
            open(&mut table, Ipv6Addr::from_bits(0x2001_0db8_0000_0001 << 64 | u128::from(n)).into());
        }
        assert!(fresh.iter().all(|id| table.remove(*id).is_some()));
    }

    #[test]
    fn an_ipv4_address_is_the_same_in_ipv6_notation() {
        assert_eq!(network(address("::ffff:192.0.2.1")), peer(1));
        assert_eq!(network(address("2001:db8:1:2:3:4:5:6")), address("2001:db8:1:2::"));
    }

    #[test]
    fn memory_for_a_body_is_taken_from_the_peer_that_holds_most() {
        let mut table = table();
        let [idle, flood1, flood2, fresh, homeserver] = [1, 1, 1, 2, 3].map(|n| open(&mut table, peer(n)));
        table.note_push(homeserver);
        for (id, bytes) in [(homeserver, 10), (fresh, 30), (flood1, 20), (flood2, 20)] {
            assert_eq!(table.hold_body(id, bytes, 100), Ok(vec![]));
        }
        assert_eq!(table.hold_body(fresh, 30, 100), Ok(vec![flood1]));
        assert_eq!(table.hold_body(idle, 40, 100), Ok(vec![fresh]), "now its peer holds most");
        assert_eq!(table.hold_body(idle, 40, 100), Err(OutOfMemory), "it is the longest idle itself");
        table.note_request(idle);
        assert_eq!(table.hold_body(idle, 40, 100), Ok(vec![flood2]));
        assert_eq!(table.hold_body(idle, 20, 100), Err(OutOfMemory), "a proven one is not closed for it");
        assert_eq!(table.hold_body(homeserver, 20, 100), Ok(vec![idle]));
        table.release_body(homeserver);
        assert_eq!((table.len(), table.body_bytes), (1, 0));
    }

    #[derive(Debug, Clone)]
    enum Step {
        Open(u8),
        Request(usize),
        Push(usize),
        Hold(usize, usize),
        Release(usize),
        Remove(usize),
        Evict,
    }

    fn step() -> impl Strategy<Value = Step> {
        let at = 0..12_usize;
        prop_oneof![
            4 => (0..4_u8).prop_map(Step::Open),
            1 => at.clone().prop_map(Step::Request),
            2 => at.clone().prop_map(Step::Push),
            2 => (at.clone(), 1..40_usize).prop_map(|(at, bytes)| Step::Hold(at, bytes)),
            1 => at.clone().prop_map(Step::Release),
            1 => at.prop_map(Step::Remove),
            2 => Just(Step::Evict),
        ]
    }

    /// Reference model of the table; the longest idle first.
    #[derive(Debug, Clone)]
    struct Plain {
        id: ConnectionId,
        peer: IpAddr,
        proven: bool,
        bytes: usize,
    }

    fn next_to_evict(plain: &[Plain]) -> Option<ConnectionId> {
        let unproven = |peer: IpAddr| plain.iter().filter(|other| !other.proven && other.peer == peer).count();
        let most = plain.iter().filter(|one| !one.proven).map(|one| unproven(one.peer)).max();
        let found = plain.iter().find(|one| !one.proven && Some(unproven(one.peer)) == most).or(plain.first());
        found.map(|one| one.id)
    }

    proptest! {
        #[test]
        fn it_does_what_a_plain_list_would(steps in prop::collection::vec(step(), 1..80)) {
            const MOST: usize = 100;
            let mut table = table();
            let mut plain: Vec<Plain> = Vec::new();
            let to_end = |plain: &mut Vec<Plain>, at: usize, proven: bool| {
                let mut moved = plain.remove(at);
                moved.proven |= proven;
                plain.push(moved);
            };
            for step in steps {
                match step {
                    Step::Open(n) => {
                        let id = open(&mut table, peer(n));
                        plain.push(Plain { id, peer: peer(n), proven: false, bytes: 0 });
                    }
                    Step::Request(at) if at < plain.len() => {
                        table.note_request(plain[at].id);
                        if !plain[at].proven {
                            to_end(&mut plain, at, false);
                        }
                    }
                    Step::Push(at) if at < plain.len() => {
                        table.note_push(plain[at].id);
                        to_end(&mut plain, at, true);
                    }
                    Step::Hold(at, bytes) if at < plain.len() => {
                        let claimant = plain[at].clone();
                        let outcome = table.hold_body(claimant.id, bytes, MOST);
                        let removed = |one: &Plain| !table.connections.contains_key(&one.id);
                        for gone in plain.iter().filter(|one| removed(one)) {
                            prop_assert!(gone.bytes > 0 && gone.id != claimant.id);
                            let is_staler = plain.iter().position(|one| one.id == gone.id).unwrap() < at;
                            prop_assert!(!gone.proven || claimant.proven && is_staler);
                        }
                        plain.retain(|one| table.connections.contains_key(&one.id));
                        let held: usize = plain.iter().map(|one| one.bytes).sum();
                        if outcome.is_ok() {
                            plain.iter_mut().find(|one| one.id == claimant.id).unwrap().bytes += bytes;
                            prop_assert!(held + bytes <= MOST);
                        } else {
                            prop_assert!(held + bytes > MOST);
                            let unproven = |one: &&Plain| !one.proven;
                            let held_by = |peer: IpAddr| -> usize {
                                plain.iter().filter(unproven).filter(|one| one.peer == peer).map(|one| one.bytes).sum()
                            };
                            let first = plain.iter().filter(unproven).filter(|one| one.bytes > 0 || one.id == claimant.id);
                            let first = first.min_by_key(|one| Reverse(held_by(one.peer)));
                            prop_assert!(first.is_none_or(|one| one.id == claimant.id), "there was somebody to close");
                        }
                    }
                    Step::Release(at) if at < plain.len() => {
                        table.release_body(plain[at].id);
                        plain[at].bytes = 0;
                    }
                    Step::Remove(at) if at < plain.len() => {
                        let id = plain.remove(at).id;
                        prop_assert_eq!(table.remove(id), Some(id));
                        prop_assert_eq!(table.remove(id), None);
                    }
                    Step::Evict => {
                        let expected = next_to_evict(&plain);
                        prop_assert_eq!(table.evict(), expected);
                        plain.retain(|one| Some(one.id) != expected);
                    }
                    // There are fewer connections.
                    Step::Request(_) | Step::Push(_) | Step::Hold(..) | Step::Release(_) | Step::Remove(_) => {}
                }
                prop_assert_eq!(table.len(), plain.len());
                prop_assert_eq!(table.body_bytes, plain.iter().map(|one| one.bytes).sum::<usize>());
                prop_assert_eq!(table.groups.values().map(BTreeSet::len).sum::<usize>(), plain.len());
            }
            all_evicted(&mut table);
            prop_assert_eq!(table.groups.len(), 0);
        }
    }
}
