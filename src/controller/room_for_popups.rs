//! For services that show one banner at a time and keep a limited number of popups: which popups are closed for a call
//! or for newer popups.

use tokio::time::Instant;

use super::{
    Controller,
    plan::{NAMED_HIGHLIGHTS, Step},
    refresh::Banner,
    screen::{About, Summary},
};
use crate::{
    desktop::Desktop,
    inbox::InboxError,
    notice::{CallState, RoomKey},
    present::popup::PopupKey,
};

impl<D: Desktop> Controller<D> {
    /// Whether other popups are withdrawn because a call rings: where one banner is shown at a time the call would wait
    /// behind them, and some lock screens hide the caller's name while popups with text are listed.
    pub(super) fn makes_way_for_call(&self) -> bool {
        self.screen.needs().one_banner && self.snapshot.calls.iter().any(|call| call.state == CallState::Ringing)
    }

    pub(super) fn set_others_aside(&mut self) {
        let others = self.screen.current().filter(|about| !matches!(about, About::Call { .. }));
        for about in others.cloned().collect::<Vec<_>>() {
            self.screen.withdraw(&about.key());
            self.set_aside.retain(|before| before.key() != about.key());
            self.set_aside.push(about);
        }
    }

    /// Shows again what was withdrawn for a call, as far as it is still unread.
    pub(super) async fn show_again(&mut self) -> Result<(), InboxError> {
        let set_aside = std::mem::take(&mut self.set_aside);
        if set_aside.is_empty() {
            return Ok(());
        }
        let rooms = set_aside.iter().filter(|about| matches!(about, About::Room { .. })).count();
        let mut rest = self.fold(&set_aside, self.screen.current().count() + rooms).await?;
        rest.retain(|about| self.screen.newest(&about.key()).is_none());
        for about in rest {
            match about {
                About::Room { room, .. } => self.show_room(room, Banner::Omitted).await?,
                About::Summary(Summary { from, up_to, highlights, .. }) => {
                    self.show_summary((from, up_to, highlights), false, Banner::Omitted).await?;
                }
                About::Own(own) => self.problems.show_again(own),
                About::Call { .. } => {}
            }
        }
        self.show_announcements();
        Ok(())
    }

    /// Moves the oldest popups into the summary before new rooms pop up, where the service would otherwise drop popups.
    pub(super) async fn make_room_for(&mut self, steps: &[Step], now: Instant) -> Result<(), InboxError> {
        let is_new = |step: &&Step| match step {
            Step::Room(room) => self.screen.newest(&PopupKey::Room(room.clone())).is_none(),
            Step::Summary { .. } => false,
        };
        let (new, told) = (steps.iter().filter(is_new).count(), self.screen.current().cloned().collect::<Vec<_>>());
        let changes = |room: &RoomKey| steps.iter().any(|step| matches!(step, Step::Room(changed) if changed == room));
        let stays = |about: &About| match about {
            About::Room { room, .. } => changes(room),
            About::Call { .. } | About::Summary(_) | About::Own(_) => false,
        };
        let candidates: Vec<_> = told.iter().filter(|about| !stays(about)).cloned().collect();
        if new > 0 && self.fold(&candidates, told.len() + new).await?.len() < candidates.len() {
            self.planner.folded(now);
        }
        Ok(())
    }

    /// Moves as many of these rooms, oldest first, into the summary as needed so that of `count` popups no more remain
    /// than the service keeps. Returns the others.
    async fn fold(&mut self, told: &[About], count: usize) -> Result<Vec<About>, InboxError> {
        let Some(most) = self.screen.needs().most_popups.filter(|most| count > *most) else { return Ok(told.to_vec()) };
        let up = self.screen.newest(&PopupKey::Summary);
        // A summary that is not up yet takes a place as well.
        let surplus = count - most + usize::from(up.is_none());
        let mut summary = up.into_iter().chain(told).find_map(About::summary).cloned();
        let (mut others, mut folded) = (Vec::new(), 0);
        for about in told {
            let larger = if folded < surplus { self.summary_with(about, summary.as_ref()).await? } else { None };
            if larger.is_some() {
                self.screen.withdraw(&about.key());
                (summary, folded) = (larger, folded + 1);
            } else {
                others.push(about.clone());
            }
        }
        if let Some(Summary { from, up_to, highlights, .. }) = summary.filter(|_| folded > 0) {
            self.show_summary((from, up_to, highlights), false, Banner::Omitted).await?;
        }
        Ok(others)
    }

    /// The summary extended by this popup. `None`: it cannot be extended.
    async fn summary_with(&self, about: &About, summary: Option<&Summary>) -> Result<Option<Summary>, InboxError> {
        let About::Room { room, up_to, .. } = about else { return Ok(None) };
        // A summary counts as covering everything up to its newest notice.
        if self.snapshot.waiting_notices > 0 && *up_to >= self.snapshot.waiting_from {
            return Ok(None);
        }
        let Some(digest) = self.parts.inbox.room_digest(room.clone(), 1).await? else { return Ok(None) };
        let mut summary = summary.cloned().unwrap_or_else(|| Summary {
            from: digest.oldest,
            up_to: *up_to,
            highlights: Vec::new(),
            show_text: false,
            is_cut_short: false,
            is_folded: true,
        });
        if digest.highlight.is_some() && !summary.highlights.contains(room) {
            if summary.highlights.len() >= NAMED_HIGHLIGHTS {
                return Ok(None);
            }
            summary.highlights.push(room.clone());
        }
        summary.from = summary.from.min(digest.oldest);
        summary.up_to = summary.up_to.max(*up_to);
        Ok(Some(summary))
    }
}
