//! Reading a request's body, within bounds.

use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Bytes, Incoming};

use super::{answer::Failure, registry::Membership};

/// A body that was read whole.
#[derive(Default)]
pub(super) struct Whole {
    first: Bytes,
    /// The body, if it came in several pieces.
    joined: Vec<u8>,
}

impl Whole {
    pub(super) fn as_slice(&self) -> &[u8] {
        if self.joined.is_empty() { &self.first } else { &self.joined }
    }
}

/// Reads the body. It is counted until it is answered; how long it may take is the connection's concern.
pub(super) async fn read(body: &mut Incoming, member: &Membership) -> Result<Whole, Failure> {
    let limit = member.limits().body_bytes;
    if body.size_hint().lower() > limit as u64 {
        return Err(Failure::BodyTooLarge { limit });
    }
    let mut whole = Whole::default();
    while let Some(frame) = body.frame().await {
        let Ok(piece) = frame.map_err(|_| Failure::BodyBroken)?.into_data() else { continue };
        let length = whole.as_slice().len() + piece.len();
        if length > limit {
            return Err(Failure::BodyTooLarge { limit });
        }
        if !member.hold_body(piece.len()) {
            return Err(Failure::NoMemory);
        }
        if whole.first.is_empty() {
            whole.first = piece;
        } else if !piece.is_empty() {
            if whole.joined.is_empty() {
                whole.joined.extend_from_slice(&whole.first);
            }
            whole.joined.extend_from_slice(&piece);
        }
    }
    member.link.note_body_read();
    Ok(whole)
}
