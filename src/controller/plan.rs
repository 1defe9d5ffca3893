//! Which waiting notices are shown now: room by room, or as one summary (pure).
//!
//! Token buckets limit new popups, which are useless if they appear faster than a person can read: [`NEW_POPUPS`] rooms
//! in a row, then one a second. Further rooms go into one summary that is updated at most once a second. Rooms with a
//! highlight have a bucket of their own, and a summary covers only highlights that it names. Calls have a bucket of
//! their own and are never part of a summary.

use std::collections::{HashSet, VecDeque};

use tokio::time::{Duration, Instant};

use super::{screen::Summary, token_bucket::TokenBucket};
use crate::{
    inbox::{Snapshot, WaitingRoom},
    notice::{NoticeId, RoomKey},
};

/// Rooms that may pop up in a row; then one a second.
pub(super) const NEW_POPUPS: u32 = 8;
/// Rooms with a highlight that may pop up in a row, in addition; then one every two seconds.
pub(super) const HIGHLIGHTS: u32 = 5;
/// Updates of popups that are up in a row; then four a second.
pub(super) const UPDATES: u32 = 10;
/// Popups of calls in a row; then one every two seconds.
pub(super) const CALLS: u32 = 5;
/// Up to this many rooms wait for tokens instead of becoming a summary.
const FEW: u64 = 3;
/// Minimum interval between changes of the summary.
const SUMMARY_INTERVAL: Duration = Duration::from_secs(1);
/// A summary that has not changed for this long is final: the next flood begins a new one.
const SUMMARY_LIFE: Duration = Duration::from_secs(10 * 60);
/// A summary also covers rooms that popped up within this time before it: after it, all tokens have come back.
const FLOOD_BEGINS_WITHIN: Duration = Duration::from_secs(NEW_POPUPS as u64);
/// Highlights that a summary names, one line each.
pub(super) const NAMED_HIGHLIGHTS: usize = 6;

/// A popup to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// The room's popup.
    Room(RoomKey),
    /// One summary of what has arrived since `from`, covering all waiting notices up to `up_to`.
    Summary {
        from: NoticeId,
        up_to: NoticeId,
        /// Rooms whose highlight it names.
        highlights: Vec<RoomKey>,
    },
}

/// What to show now, and when to plan again. What depends on a call in flight is planned when the answer arrives.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) steps: Vec<Step>,
    /// When to plan again, if something is still waiting for a token.
    pub(super) again_at: Option<Instant>,
}

impl Plan {
    fn plan_again(&mut self, at: Instant) {
        self.again_at = Some(self.again_at.map_or(at, |earlier| earlier.min(at)));
    }
}

/// Inputs of the plan besides the snapshot.
pub(super) struct PlanInput<'a> {
    pub(super) now: Instant,
    /// If set, a backlog: more waiting rooms than this become one summary at once.
    pub(super) backlog: Option<u64>,
    /// Whether the room has a popup up.
    pub(super) is_up: &'a dyn Fn(&RoomKey) -> bool,
    /// Rooms whose popup is up and outdated.
    pub(super) outdated: Vec<RoomKey>,
    /// Rooms that cannot be shown now: their popup is being sent, or is held back.
    pub(super) under_way: HashSet<RoomKey>,
    /// Whether the summary is being sent.
    pub(super) summary_under_way: bool,
    /// The summary that is up.
    pub(super) summary: Option<&'a Summary>,
    /// Whether the summary that is up is outdated.
    pub(super) summary_outdated: bool,
    /// The number of popups that the service keeps, if it is limited.
    pub(super) most_popups: Option<usize>,
}

/// Decides what is shown when. Owns the token buckets.
#[derive(Debug)]
pub(super) struct Planner {
    new_popups: TokenBucket,
    highlights: TokenBucket,
    updates: TokenBucket,
    calls: TokenBucket,
    /// When a summary was last planned.
    summarised_at: Option<Instant>,
    /// When rooms popped up recently, with the oldest notice that waited then.
    popped_up: VecDeque<(Instant, NoticeId)>,
}

impl Planner {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            new_popups: TokenBucket::new(NEW_POPUPS, Duration::from_secs(1), now),
            highlights: TokenBucket::new(HIGHLIGHTS, Duration::from_secs(2), now),
            updates: TokenBucket::new(UPDATES, Duration::from_millis(250), now),
            calls: TokenBucket::new(CALLS, Duration::from_secs(2), now),
            summarised_at: None,
            popped_up: VecDeque::new(),
        }
    }

    /// Takes a token for the popup of a call, or returns when there will be one.
    pub(super) fn take_call(&mut self, now: Instant) -> Result<(), Instant> {
        if self.calls.take(now) { Ok(()) } else { Err(self.calls.next()) }
    }

    pub(super) fn plan(&mut self, snapshot: &Snapshot, input: &PlanInput<'_>) -> Plan {
        let now = input.now;
        let mut plan = Plan::default();
        while self.popped_up.front().is_some_and(|(at, _)| now.saturating_duration_since(*at) > FLOOD_BEGINS_WITHIN) {
            self.popped_up.pop_front();
        }
        if input.summary_under_way {
            // It covers everything that waited; newer notices are planned when the call has been answered.
            return plan;
        }
        let candidates = snapshot.waiting.iter().filter(|waiting| !input.under_way.contains(&waiting.room));
        let (marked, others): (Vec<_>, Vec<_>) = candidates.partition(|waiting| waiting.newest_highlight.is_some());
        // A summary covers everything that waits: nothing else may be in flight, and each highlight must fit.
        let can_summarise = input.under_way.is_empty() && marked.len() <= NAMED_HIGHLIGHTS;
        let is_backlog = input.backlog.is_some_and(|most| snapshot.waiting_rooms > most);
        if is_backlog && can_summarise {
            return self.summarise(snapshot, snapshot.waiting_from, &marked, input);
        }
        if !is_backlog || marked.len() > NAMED_HIGHLIGHTS {
            take_tokens(&mut self.highlights, marked.iter().map(|waiting| &waiting.room), now, &mut plan);
        }
        if is_backlog {
            return plan;
        }
        let (up, new): (Vec<_>, Vec<_>) = others.into_iter().partition(|waiting| (input.is_up)(&waiting.room));
        let is_waiting = |room: &RoomKey| snapshot.waiting.iter().any(|waiting| waiting.room == *room);
        let outdated = input.outdated.iter().filter(|room| !is_waiting(room));
        take_tokens(&mut self.updates, up.iter().map(|waiting| &waiting.room).chain(outdated), now, &mut plan);
        // Waiting notices come first: they may lead to a new summary.
        if let Some(Summary { from, up_to, highlights, .. }) = input.summary
            && input.summary_outdated
            && snapshot.waiting_rooms == 0
        {
            if self.updates.take(now) {
                plan.steps.push(Step::Summary { from: *from, up_to: *up_to, highlights: highlights.clone() });
            } else {
                plan.plan_again(self.updates.next());
            }
        }
        let unlisted = snapshot.waiting_rooms.saturating_sub(snapshot.waiting.len() as u64);
        let new_rooms = new.len() as u64 + unlisted;
        let is_flood =
            new_rooms > u64::from(self.new_popups.available(now)) && (new_rooms > FEW || self.in_flood(input));
        // The summary takes one of the places that the service has.
        if is_flood || input.most_popups.is_some_and(|most| new_rooms >= most as u64) {
            if can_summarise && plan.steps.is_empty() {
                let flood = self.popped_up.iter().map(|(_, from)| *from);
                let from = flood.fold(snapshot.waiting_from, NoticeId::min);
                return self.summarise(snapshot, from, &marked, input);
            }
            return plan;
        }
        let other_steps = plan.steps.len();
        take_tokens(&mut self.new_popups, new.iter().map(|waiting| &waiting.room), now, &mut plan);
        if plan.steps.len() > other_steps {
            self.popped_up.push_back((now, snapshot.waiting_from));
        }
        plan
    }

    /// The summary now covers popups that were closed to make room; a flood that follows continues the same summary.
    pub(super) fn folded(&mut self, now: Instant) {
        self.summarised_at = Some(now);
    }

    /// When the summary that is up was planned.
    fn summarised_at(&self, input: &PlanInput<'_>) -> Option<Instant> {
        self.summarised_at.filter(|_| input.summary.is_some())
    }

    fn in_flood(&self, input: &PlanInput<'_>) -> bool {
        self.summarised_at(input).is_some_and(|at| input.now.saturating_duration_since(at) < 5 * SUMMARY_INTERVAL)
    }

    fn summarise(
        &mut self,
        snapshot: &Snapshot,
        from: NoticeId,
        marked: &[&WaitingRoom],
        input: &PlanInput<'_>,
    ) -> Plan {
        let now = input.now;
        let last = self.summarised_at(input).filter(|at| now.saturating_duration_since(*at) < SUMMARY_LIFE);
        if let Some(next) = last.map(|at| at + SUMMARY_INTERVAL).filter(|next| now < *next) {
            return Plan { steps: Vec::new(), again_at: Some(next) };
        }
        let open = input.summary.filter(|_| last.is_some());
        let from = open.map_or(from, |open| open.from.min(from));
        let highlights = marked.iter().rev().map(|waiting| waiting.room.clone()).collect();
        self.summarised_at = Some(now);
        Plan { steps: vec![Step::Summary { from, up_to: snapshot.waiting_up_to, highlights }], again_at: None }
    }
}

/// Shows the rooms for which there are tokens. Returns when the next token comes, if rooms are left.
fn take_tokens<'a>(bucket: &mut TokenBucket, rooms: impl Iterator<Item = &'a RoomKey>, now: Instant, plan: &mut Plan) {
    for room in rooms {
        if bucket.take(now) {
            plan.steps.push(Step::Room(room.clone()));
        } else {
            plan.plan_again(bucket.next());
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inbox::Snapshot;

    fn waiting(number: i64) -> WaitingRoom {
        WaitingRoom {
            room: RoomKey::with_id("home", format!("!{number}")),
            count: 1,
            newest: NoticeId(number),
            newest_highlight: None,
        }
    }

    fn snapshot(rooms: impl IntoIterator<Item = WaitingRoom>) -> Snapshot {
        let waiting: Vec<_> = rooms.into_iter().collect();
        Snapshot {
            waiting_rooms: waiting.len() as u64,
            waiting_notices: waiting.iter().map(|room| room.count).sum(),
            waiting_from: waiting.iter().map(|room| room.newest).min().unwrap_or(NoticeId(0)),
            waiting_up_to: waiting.iter().map(|room| room.newest).max().unwrap_or(NoticeId(0)),
            waiting,
            ..Snapshot::default()
        }
    }

    #[derive(Debug)]
    struct Bench {
        planner: Planner,
        now: Instant,
        up: HashSet<RoomKey>,
        outdated: Vec<RoomKey>,
        under_way: HashSet<RoomKey>,
        summary: Option<Summary>,
        summary_under_way: bool,
        most_popups: Option<usize>,
    }

    impl Bench {
        fn new() -> Self {
            let now = Instant::now();
            Self {
                planner: Planner::new(now),
                now,
                up: HashSet::new(),
                outdated: Vec::new(),
                under_way: HashSet::new(),
                summary: None,
                summary_under_way: false,
                most_popups: None,
            }
        }

        fn plan(&mut self, snapshot: &Snapshot, backlog: Option<u64>) -> Plan {
            let up = &self.up;
            let input = PlanInput {
                now: self.now,
                backlog,
                is_up: &|room| up.contains(room),
                outdated: self.outdated.clone(),
                under_way: self.under_way.clone(),
                summary_under_way: self.summary_under_way,
                summary: self.summary.as_ref(),
                summary_outdated: false,
                most_popups: self.most_popups,
            };
            let plan = self.planner.plan(snapshot, &input);
            if let [Step::Summary { from, up_to, highlights }] = &plan.steps[..] {
                let (from, up_to, highlights) = (*from, *up_to, highlights.clone());
                self.summary =
                    Some(Summary { from, up_to, highlights, show_text: true, is_cut_short: false, is_folded: false });
            }
            plan
        }
    }

    fn marked(number: i64) -> WaitingRoom {
        WaitingRoom { newest_highlight: Some(NoticeId(number)), ..waiting(number) }
    }

    #[test]
    fn a_single_message_pops_up_at_once() {
        let plan = Bench::new().plan(&snapshot([waiting(1)]), None);
        assert_eq!(plan.steps, [Step::Room(waiting(1).room)]);
        assert_eq!(plan.again_at, None);
    }

    #[test]
    fn single_messages_each_pop_up_within_a_second() {
        let mut bench = Bench::new();
        for number in 1..50 {
            let one = snapshot([waiting(number)]);
            let mut plan = bench.plan(&one, None);
            if let Some(again_at) = plan.again_at {
                assert!(again_at <= bench.now + Duration::from_secs(1));
                bench.now = again_at;
                plan = bench.plan(&one, None);
            }
            assert_eq!(plan.steps, [Step::Room(waiting(number).room)]);
        }
    }

    #[test]
    fn a_flood_is_one_summary_that_changes_once_a_second() {
        let mut bench = Bench::new();
        let flood = snapshot((1..=64).map(waiting));
        let plan = bench.plan(&flood, None);
        assert_eq!(
            plan.steps,
            [Step::Summary { from: NoticeId(1), up_to: NoticeId(64), highlights: vec![] }],
            "no popups besides it"
        );
        let more = snapshot((65..=128).map(waiting));
        let plan = bench.plan(&more, None);
        assert_eq!((plan.steps.len(), plan.again_at), (0, Some(bench.now + Duration::from_secs(1))));
        bench.now += Duration::from_secs(1);
        let plan = bench.plan(&more, None);
        assert_eq!(plan.steps, [Step::Summary { from: NoticeId(1), up_to: NoticeId(128), highlights: vec![] }]);
    }

    #[test]
    fn a_flood_covers_the_rooms_that_popped_up_as_it_began() {
        let from = |seconds, backlog| {
            let mut bench = Bench::new();
            assert_eq!(bench.plan(&snapshot([waiting(1)]), None).steps, [Step::Room(waiting(1).room)]);
            bench.now += Duration::from_secs(seconds);
            match &bench.plan(&snapshot((2..=64).map(waiting)), backlog).steps[..] {
                [Step::Summary { from, .. }] => from.0,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(from(1, None), 1);
        assert_eq!(from(60, None), 2, "it had nothing to do with it");
        assert_eq!(from(1, Some(3)), 2, "a backlog is no flood");
    }

    #[test]
    fn more_rooms_than_a_service_keeps_popups_are_one_summary() {
        let mut bench = Bench::new();
        bench.most_popups = Some(3);
        assert_eq!(bench.plan(&snapshot([waiting(1), waiting(2)]), None).steps.len(), 2);
        let plan = bench.plan(&snapshot([waiting(3), waiting(4), waiting(5)]), None);
        assert!(matches!(plan.steps[..], [Step::Summary { .. }]), "{plan:?}");
    }

    #[test]
    fn the_next_flood_begins_a_summary_of_its_own() {
        let mut bench = Bench::new();
        let from = |bench: &mut Bench, first: i64| match &bench
            .plan(&snapshot((first..first + 64).map(waiting)), None)
            .steps[..]
        {
            [Step::Summary { from, .. }] => from.0,
            other => panic!("{other:?}"),
        };
        assert_eq!(from(&mut bench, 1), 1);
        bench.now += SUMMARY_LIFE / 2;
        assert_eq!(from(&mut bench, 65), 1, "it goes on");
        bench.now += SUMMARY_LIFE;
        assert_eq!(from(&mut bench, 129), 129, "it is history");
        bench.summary = None;
        assert_eq!(from(&mut bench, 193), 193, "it was seen");
    }

    #[test]
    fn a_summary_waits_for_the_popup_of_a_highlight() {
        let mut bench = Bench::new();
        let marked = marked(30);
        let flood = snapshot((1..30).map(waiting).chain([marked.clone()]));
        assert_eq!(bench.plan(&flood, None).steps, [Step::Room(marked.room.clone())]);
        bench.under_way.insert(marked.room);
        assert_eq!(bench.plan(&flood, None).steps, [], "the summary would settle what is on its way");
    }

    #[test]
    fn a_large_backlog_is_one_summary_with_its_highlights() {
        let mut bench = Bench::new();
        let marked = marked(4);
        let backlog = snapshot([waiting(1), waiting(2), waiting(3), marked.clone()]);
        assert_eq!(
            bench.plan(&backlog, Some(3)).steps,
            [Step::Summary { from: NoticeId(1), up_to: NoticeId(4), highlights: vec![marked.room] }]
        );
    }

    #[test]
    fn a_backlog_of_few_rooms_is_shown_room_by_room() {
        let mut bench = Bench::new();
        assert_eq!(bench.plan(&snapshot([waiting(1), waiting(2)]), Some(3)).steps.len(), 2);
    }

    #[test]
    fn a_summary_in_flight_keeps_its_rooms_from_popping_up() {
        let mut bench = Bench::new();
        let flood = snapshot((1..=9).map(waiting).chain([marked(10)]));
        bench.planner.highlights = TokenBucket::new(0, Duration::from_secs(2), bench.now);
        assert!(matches!(bench.plan(&flood, None).steps[..], [Step::Summary { .. }]));
        bench.summary_under_way = true;
        bench.now += Duration::from_secs(9);
        let fewer = snapshot((1..=3).map(waiting).chain([marked(10)]));
        assert_eq!(bench.plan(&fewer, None), Plan::default());
    }

    #[test]
    fn surplus_highlights_pop_up_before_the_summary() {
        for backlog in [None, Some(1)] {
            let mut bench = Bench::new();
            let mut waiting: Vec<_> = (1..=20).map(waiting).chain((21..=40).map(marked)).collect();
            let mut shown = 0;
            let named = loop {
                let plan = bench.plan(&snapshot(waiting.iter().cloned()), backlog);
                if let [Step::Summary { highlights, .. }] = &plan.steps[..] {
                    break highlights.clone();
                }
                shown += plan.steps.len();
                waiting.retain(|waiting| !plan.steps.contains(&Step::Room(waiting.room.clone())));
                bench.now = plan.again_at.unwrap_or(bench.now);
            };
            assert_eq!(shown + named.len(), 20, "each is shown or named");
            assert_eq!(waiting.len(), 20 + named.len(), "no other room pops up");
        }
    }

    #[test]
    fn edits_change_popups_no_more_often_than_messages_do() {
        let mut bench = Bench::new();
        bench.up.insert(waiting(1).room);
        bench.outdated = vec![waiting(1).room];
        let mut changes = 0;
        let end = bench.now + Duration::from_secs(10);
        while bench.now < end {
            changes += bench.plan(&snapshot([]), None).steps.len();
            bench.now += Duration::from_millis(20);
        }
        assert!((40..=10 + 40).contains(&changes), "{changes}");
        bench.now += Duration::from_secs(10);
        assert_eq!(bench.plan(&snapshot([waiting(1)]), None).steps.len(), 1, "a message and an edit are one change");
    }

    #[test]
    fn calls_have_a_bucket_of_their_own() {
        let mut bench = Bench::new();
        let taken = (0..100).take_while(|_| bench.planner.take_call(bench.now).is_ok()).count();
        assert_eq!(taken, CALLS as usize);
        assert_eq!(bench.planner.take_call(bench.now), Err(bench.now + Duration::from_secs(2)));
        assert_eq!(bench.plan(&snapshot([waiting(1)]), None).steps.len(), 1);
    }
}
