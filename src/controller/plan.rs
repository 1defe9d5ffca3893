//! Which waiting notices are shown now, and how: room by room, or as one summary (pure).
//!
//! The bound, and why: a popup that nobody can read in time is worse than none, and notification services choke on
//! crowds. So at most [`NEW_POPUPS`] rooms pop up in a row and one a second afterwards; what more rooms would pop up
//! is told in one summary that changes at most once a second. Rooms with a highlight have a budget of their own.

use std::collections::HashSet;

use tokio::time::{Duration, Instant};

use super::budget::Budget;
use crate::{
    inbox::{News, WaitingRoom},
    notice::{NoticeId, RoomKey},
};

/// How many rooms may pop up in a row; one more a second.
pub(super) const NEW_POPUPS: u32 = 8;
/// How many rooms with a highlight may pop up in a row, beyond those.
const HIGHLIGHTS: u32 = 5;
/// How often popups that are up may change in a row; four times a second afterwards.
const UPDATES: u32 = 10;
/// So few rooms are worth waiting a moment for, instead of a summary.
const FEW: u64 = 3;
/// A summary changes no more often than this.
const SUMMARY_INTERVAL: Duration = Duration::from_secs(1);
/// A summary that has not changed for so long is history: the next flood begins a new one.
const SUMMARY_LIFE: Duration = Duration::from_mins(10);
/// How many highlights a summary names.
const NAMED_HIGHLIGHTS: usize = 3;

/// One popup to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// The room's popup, which tells of its notices up to this one.
    Room(RoomKey, NoticeId),
    /// One summary of what has arrived since `from`, which tells of all waiting notices up to `up_to`.
    Summary {
        from: NoticeId,
        up_to: NoticeId,
        /// Rooms whose highlight it names, so that no mention is folded away unseen.
        highlights: Vec<RoomKey>,
    },
}

/// What to do now, and when to ask again.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) steps: Vec<Step>,
    /// Something still waits for its turn: plan again then.
    pub(super) again_at: Option<Instant>,
}

/// What the plan has to know besides the news.
pub(super) struct Situation<'a> {
    pub(super) now: Instant,
    /// What waits has piled up while nothing could be shown: more rooms than this become one summary at once.
    pub(super) backlog: Option<u64>,
    /// Whether the room has a popup up.
    pub(super) is_open: &'a dyn Fn(&RoomKey) -> bool,
    /// Rooms whose popup is on its way to the notification service.
    pub(super) under_way: &'a HashSet<RoomKey>,
    /// Whether the summary is on its way.
    pub(super) summary_under_way: bool,
}

/// Decides what is shown when. Owns the budgets.
#[derive(Debug)]
pub(super) struct Planner {
    new_popups: Budget,
    highlights: Budget,
    updates: Budget,
    summary: Option<OpenSummary>,
}

#[derive(Debug, Clone, Copy)]
struct OpenSummary {
    from: NoticeId,
    changed_at: Instant,
}

impl Planner {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            new_popups: Budget::new(NEW_POPUPS, Duration::from_secs(1), now),
            highlights: Budget::new(HIGHLIGHTS, Duration::from_secs(2), now),
            updates: Budget::new(UPDATES, Duration::from_millis(250), now),
            summary: None,
        }
    }

    /// The person has seen the summary, or what it told of was read: the next one starts anew.
    pub(super) fn summary_is_over(&mut self) {
        self.summary = None;
    }

    pub(super) fn plan(&mut self, news: &News, situation: &Situation<'_>) -> Plan {
        let now = situation.now;
        let idle = situation.under_way.is_empty() && !situation.summary_under_way;
        if situation.backlog.is_some_and(|most| news.waiting_rooms > most) {
            // A summary settles everything that waits, so nothing else may be on its way.
            return if idle { self.summarise(news, now) } else { Plan::default() };
        }
        let mut plan = Plan::default();
        let candidates: Vec<&WaitingRoom> =
            news.waiting.iter().filter(|waiting| !situation.under_way.contains(&waiting.room)).collect();
        let (marked, plain): (Vec<_>, Vec<_>) =
            candidates.into_iter().partition(|waiting| waiting.newest_highlight.is_some());
        for waiting in marked {
            spend(&mut self.highlights, waiting, now, &mut plan);
        }
        let (open, new): (Vec<_>, Vec<_>) = plain.into_iter().partition(|waiting| (situation.is_open)(&waiting.room));
        for waiting in open {
            spend(&mut self.updates, waiting, now, &mut plan);
        }
        let unlisted = news.waiting_rooms.saturating_sub(news.waiting.len() as u64);
        let new_rooms = new.len() as u64 + unlisted;
        if new_rooms > u64::from(self.new_popups.available(now)) && (new_rooms > FEW || self.in_flood(now)) {
            if idle && plan.steps.is_empty() {
                return self.summarise(news, now);
            }
            // The answers to what is on its way lead here again.
            return plan;
        }
        for waiting in new {
            spend(&mut self.new_popups, waiting, now, &mut plan);
        }
        plan
    }

    fn in_flood(&self, now: Instant) -> bool {
        self.summary.is_some_and(|summary| now.saturating_duration_since(summary.changed_at) < 5 * SUMMARY_INTERVAL)
    }

    fn summarise(&mut self, news: &News, now: Instant) -> Plan {
        let open = self.summary.filter(|open| now.saturating_duration_since(open.changed_at) < SUMMARY_LIFE);
        if let Some(open) = open
            && now < open.changed_at + SUMMARY_INTERVAL
        {
            return Plan { steps: Vec::new(), again_at: Some(open.changed_at + SUMMARY_INTERVAL) };
        }
        let from = open.map_or(news.waiting_from, |open| open.from);
        self.summary = Some(OpenSummary { from, changed_at: now });
        let highlights = news
            .waiting
            .iter()
            .rev()
            .filter(|waiting| waiting.newest_highlight.is_some())
            .take(NAMED_HIGHLIGHTS)
            .map(|waiting| waiting.room.clone())
            .collect();
        Plan { steps: vec![Step::Summary { from, up_to: news.waiting_up_to, highlights }], again_at: None }
    }
}

/// Shows the room if the budget allows, else asks to come back when it does.
fn spend(budget: &mut Budget, waiting: &WaitingRoom, now: Instant, plan: &mut Plan) {
    if budget.take(now) {
        plan.steps.push(Step::Room(waiting.room.clone(), waiting.newest));
    } else {
        let next = budget.next();
        plan.again_at = Some(plan.again_at.map_or(next, |earlier| earlier.min(next)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting(number: i64) -> WaitingRoom {
        WaitingRoom {
            room: RoomKey { account: "home".into(), room_id: format!("!{number}") },
            count: 1,
            newest: NoticeId(number),
            newest_highlight: None,
            newest_sound: None,
        }
    }

    fn news(rooms: impl IntoIterator<Item = WaitingRoom>) -> News {
        let waiting: Vec<_> = rooms.into_iter().collect();
        News {
            waiting_rooms: waiting.len() as u64,
            waiting_notices: waiting.iter().map(|room| room.count).sum(),
            waiting_from: waiting.iter().map(|room| room.newest).min().unwrap_or(NoticeId(0)),
            waiting_up_to: waiting.iter().map(|room| room.newest).max().unwrap_or(NoticeId(0)),
            waiting,
            ..News::default()
        }
    }

    struct Bench {
        planner: Planner,
        now: Instant,
        under_way: HashSet<RoomKey>,
    }

    impl Bench {
        fn new() -> Self {
            let now = Instant::now();
            Self { planner: Planner::new(now), now, under_way: HashSet::new() }
        }

        fn plan(&mut self, news: &News, backlog: Option<u64>) -> Plan {
            let situation = Situation {
                now: self.now,
                backlog,
                is_open: &|_| false,
                under_way: &self.under_way,
                summary_under_way: false,
            };
            self.planner.plan(news, &situation)
        }
    }

    #[test]
    fn a_single_message_pops_up_at_once() {
        let plan = Bench::new().plan(&news([waiting(1)]), None);
        assert_eq!(plan.steps, [Step::Room(waiting(1).room, NoticeId(1))]);
        assert_eq!(plan.again_at, None);
    }

    #[test]
    fn messages_one_by_one_each_pop_up_within_a_second_however_many_they_are() {
        let mut bench = Bench::new();
        for number in 1..50 {
            let one = news([waiting(number)]);
            let mut plan = bench.plan(&one, None);
            if let Some(again_at) = plan.again_at {
                assert!(again_at <= bench.now + Duration::from_secs(1));
                bench.now = again_at;
                plan = bench.plan(&one, None);
            }
            assert_eq!(plan.steps, [Step::Room(waiting(number).room, NoticeId(number))]);
        }
    }

    #[test]
    fn a_flood_is_one_summary_that_changes_once_a_second() {
        let mut bench = Bench::new();
        let flood = news((1..=64).map(waiting));
        let plan = bench.plan(&flood, None);
        assert_eq!(
            plan.steps,
            [Step::Summary { from: NoticeId(1), up_to: NoticeId(64), highlights: vec![] }],
            "no popups besides it"
        );
        let more = news((65..=128).map(waiting));
        let plan = bench.plan(&more, None);
        assert_eq!((plan.steps.len(), plan.again_at), (0, Some(bench.now + Duration::from_secs(1))));
        bench.now += Duration::from_secs(1);
        let plan = bench.plan(&more, None);
        assert_eq!(plan.steps, [Step::Summary { from: NoticeId(1), up_to: NoticeId(128), highlights: vec![] }]);
    }

    #[test]
    fn a_highlight_in_a_flood_has_a_popup_of_its_own_and_the_summary_waits_for_it() {
        let mut bench = Bench::new();
        let marked = WaitingRoom { newest_highlight: Some(NoticeId(30)), ..waiting(30) };
        let flood = news((1..30).map(waiting).chain([marked.clone()]));
        assert_eq!(bench.plan(&flood, None).steps, [Step::Room(marked.room.clone(), NoticeId(30))]);
        bench.under_way.insert(marked.room);
        assert_eq!(bench.plan(&flood, None).steps, [], "the summary would settle what is on its way");
    }

    #[test]
    fn a_backlog_of_many_rooms_is_one_summary_that_names_its_highlights() {
        let mut bench = Bench::new();
        let marked = WaitingRoom { newest_highlight: Some(NoticeId(4)), ..waiting(4) };
        let backlog = news([waiting(1), waiting(2), waiting(3), marked.clone()]);
        assert_eq!(
            bench.plan(&backlog, Some(3)).steps,
            [Step::Summary { from: NoticeId(1), up_to: NoticeId(4), highlights: vec![marked.room] }]
        );
    }

    #[test]
    fn a_backlog_of_few_rooms_is_shown_room_by_room() {
        let mut bench = Bench::new();
        assert_eq!(bench.plan(&news([waiting(1), waiting(2)]), Some(3)).steps.len(), 2);
    }
}
