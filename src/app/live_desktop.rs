//! The real desktop: popups and openers of the session, sounds, the tray icon.

use std::path::PathBuf;

use tokio::sync::mpsc::UnboundedSender;

use crate::{
    config::{Config, OpenWith, TrayStyle},
    desktop::{
        Desktop, DesktopEvent, LauncherCount, OpenTarget, PopupCall,
        popup_services::DoNotDisturb,
        tray_view::{Badge, TrayView},
    },
    notice::NoticeId,
    platform::{main_loop::TrayRemote, session::Session},
    push::notify::SoundTweak,
    sound::Player,
};

/// The desktop session of this user.
pub(super) struct LiveDesktop {
    session: Session,
    player: Player,
    tray: Option<TrayRemote>,
    shown: Option<TrayView>,
}

impl LiveDesktop {
    /// Connects the parts. `sounds` is the directory of the user's sounds.
    #[must_use]
    pub(super) fn new(
        session: Session,
        tray: Option<TrayRemote>,
        config: &Config,
        sounds: PathBuf,
        events: UnboundedSender<DesktopEvent>,
    ) -> Self {
        let player = Player::start(config.sound.clone(), sounds, events);
        let mut desktop = Self { session, player, tray, shown: None };
        desktop.configure(config);
        desktop
    }
}

impl Desktop for LiveDesktop {
    fn popup(&mut self, call: PopupCall) {
        self.session.popup(call);
    }

    fn play(&mut self, sound: &SoundTweak) {
        self.player.play(sound);
    }

    fn ring(&mut self, call: NoticeId, sound: &SoundTweak) {
        self.player.ring(call, sound);
    }

    fn stop_ringing(&mut self, call: NoticeId) {
        self.player.stop_ringing(call);
    }

    fn set_tray(&mut self, view: TrayView) {
        if self.shown.as_ref() == Some(&view) {
            return;
        }
        let Badge { unread, missed_calls } = view.badge;
        self.session.set_count(LauncherCount { count: unread.saturating_add(missed_calls), urgent: missed_calls > 0 });
        if let Some(tray) = &self.tray {
            tray.set(view.clone());
        }
        self.shown = Some(view);
    }

    fn renew(&mut self) {
        if let Some(tray) = &self.tray {
            tray.recreate();
        }
    }

    fn open(&mut self, target: OpenTarget, with: &OpenWith, activation_token: Option<String>) {
        self.session.open(&target, with, activation_token);
    }

    fn configure(&mut self, config: &Config) {
        self.session.watch_color_scheme(config.tray.style == TrayStyle::Symbolic);
        self.player.configure(config.sound.clone());
    }

    fn watch_screen_lock(&mut self, wanted: bool) {
        self.session.watch_screen_lock(wanted);
    }

    fn ask_do_not_disturb(&mut self, how: DoNotDisturb) {
        self.session.ask_do_not_disturb(how);
    }

    async fn close(self) {
        self.player.stop_all();
        self.session.close().await;
    }
}
