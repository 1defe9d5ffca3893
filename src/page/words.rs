//! Sentences, and words that several pages share. Labels of a single page are in its file.

use crate::control::Section;

pub(super) const INTERRUPTED: &str = "This page is no longer connected to Pushbell. To open a new one, choose “Open inbox” \
                                      in the menu of the tray icon, or run";
pub(super) const OPEN_COMMAND: &str = "pushbell open";
pub(super) const NO_SESSION: &str = "This address was good once, and for two minutes. To open a new page, choose “Open inbox” \
                                   in the menu of Pushbell's tray icon, or run";
pub(super) const ELSEWHERE: &str = "This request did not come from Pushbell's page, and nothing was done.";
pub(super) const NOTHING_HERE: &str = "There is nothing at this address.";
pub(super) const ENDING: &str = "Pushbell is ending";
pub(super) const BUSY: &str = "Pushbell is too busy to answer: try again in a moment";
pub(super) const TOO_LONG: &str = "That is too long.";

pub(super) const NOTHING_YET: &str = "Nothing has come yet. What arrives is listed here at once.";
pub(super) const ALL_READ: &str = "Nothing is unread.";
pub(super) const NO_MISSED_CALLS: &str = "No call was missed.";
pub(super) const NOTHING_FOUND: &str = "Nothing was found.";
pub(super) const SEARCHES: &str = "Searches names and texts, newest first. Texts of encrypted messages are \
                                   searched if their key is on this computer.";
pub(super) const FOUND_SO_FAR: &str = "The newest 20,000 messages were searched. Older ones may match, too.";
pub(super) const SEALED_LEFT_OUT: &str = "Only the newest 5,000 texts of encrypted messages were searched; older \
                                   messages are found by sender and room.";
pub(super) const DELETED: &str = "Deleted message";
pub(super) const NO_TEXT: &str = "New message";
pub(super) const REPLY_SENDS: &str = "Encrypted if the room is.";
pub(super) const REPLIED: &str = "Your reply is on its way.";
pub(super) const READ: &str = "Marked as read.";

pub(super) const SETTINGS_SAVED: &str = "Saved. The change is in effect.";
pub(super) const SETTINGS_INTRO: &str = "These are the lines of your configuration file; comments in it are kept. \
                                   Changes take effect at once.";
pub(super) const SHOWN_ONLY: &str = "Commands and file paths can be changed only in the file.";
pub(super) const FILE_FAULTY: &str = "The file has an error. Correct it before you change anything here:";
pub(super) const SAMPLE_SENT: &str = "A test notification is on its way.";
pub(super) const SOUND_PLAYS: &str = "Playing the sound.";
pub(super) const SOUND_NAMES: &str = "The name that a push rule gives its sound, such as bing.wav. A name that is \
                                   not listed here plays the sound of the same name, or else the chime.";
pub(super) const SOUND_FILES: &str =
    "WAV, Ogg, FLAC or MP3, up to 2 MB and two minutes; you can drop it here. It is kept in";
pub(super) const SOUND_KEPT: &str = "The sound is kept as";
pub(super) const SOUND_NOT_KEPT: &str = "The sound is not kept:";
pub(super) const NO_FILE: &str = "Choose a file first.";
pub(super) const NO_TWEAK: &str = "Enter the name that the push rule uses.";
pub(super) const AUTOSTART_ON: &str = "Pushbell starts with the desktop.";
pub(super) const AUTOSTART_OFF: &str = "Pushbell does not start with the desktop.";

pub(super) const RESUMED: &str = "Popups are shown again.";
pub(super) const RECONNECTING: &str = "Setting pushers and connecting again.";
pub(super) const VERIFIED: &str = "This session is verified: it gets the keys of encrypted messages.";
pub(super) const NOT_VERIFIED: &str = "This session is not verified.";
pub(super) const HEALTH_CHECKING: &str = "Each part is being checked. That takes up to ten seconds.";
pub(super) const REPORT_HINT: &str =
    "It has no passwords, tokens or messages in it, but names of accounts and homeservers.";

pub(super) const SETUP_INTRO: &str = "Sign in to your homeserver, and it tells this desktop when something happens. You see \
                                      that it works before you are done.";
pub(super) const USER_ID_HINT: &str = "It looks like @alice:example.org. Your client shows it in its settings.";
pub(super) const HOMESERVER_HINT: &str = "Needed only if Pushbell cannot find it, for example \
                                   http://127.0.0.1:8008 for one on this computer.";
pub(super) const WAY_AUTO: &str = "By pushes if your homeserver can reach this computer, otherwise over a \
                                   connection to it. Right for most people.";
pub(super) const WAY_PUSH: &str = "Your homeserver has to reach this computer. Nothing else is used.";
pub(super) const WAY_LISTEN: &str = "Works behind any router: Pushbell keeps a connection to your homeserver open.";
pub(super) const WAY_NTFY: &str = "Your homeserver pushes there, and Pushbell keeps a connection to it.";
pub(super) const NO_RELAY: &str = "Enter the address of the ntfy server.";
pub(super) const RETURN_HERE: &str = "Sign in there, then come back: this page goes on by itself.";
pub(super) const CONNECTED: &str = "You are connected: new messages appear on this desktop.";
pub(super) const NO_PUSH: &str = "Why no push has arrived";
pub(super) const NOT_PROVEN: &str = "You are signed in, but no notification has arrived yet. Health shows what may \
                                   keep them away.";
pub(super) const SIGNS_OUT: &str = "Your homeserver stops notifying this desktop, and the session and its keys are \
                                   deleted. Messages in the inbox are kept.";
pub(super) const SIGNED_OUT: &str = "You are signed out. Messages in the inbox are kept.";
pub(super) const NOT_SIGNED_OUT: &str = "Signing out did not succeed entirely.";
pub(super) const BY_HAND_INTRO: &str = "If you cannot sign in, tell your homeserver yourself where to send \
                                   notifications. It needs these three values, or the request below them.";
pub(super) const NAME_HINT: &str = "Choose a name. The values for your homeserver are shown afterwards.";
pub(super) const ACCOUNT_MADE: &str = "The account is created: its values are below, under “Without signing in”.";
pub(super) const IN_ONE_GO: &str = "Another sign-in is under way.";

/// The title of a section.
pub(super) fn title(section: Section) -> &'static str {
    match section {
        Section::Inbox => "Inbox",
        Section::Setup => "Set-up",
        Section::Settings => "Settings",
        Section::Health => "Health",
    }
}
