//! `GET /notifications` (Matrix specification, client-server API, "Listing notifications").

use super::{HomeserverClient, HomeserverError, https::encode};
use crate::push::listed::ListedPage;

const PATH: &str = "/_matrix/client/v3/notifications";

impl HomeserverClient {
    /// A page of at most `limit` entries, newest first; the first page, or the one that `from` begins.
    ///
    /// # Errors
    /// When there is no answer, it is a "no" ([`HomeserverError::is_unrecognized`]: this homeserver does not have it),
    /// or it has no list.
    pub async fn notifications(
        &self,
        user_id: &str,
        from: Option<&str>,
        limit: usize,
    ) -> Result<ListedPage, HomeserverError> {
        let from = from.map(|token| format!("&from={}", encode(token))).unwrap_or_default();
        let answer = self.get_text(&format!("{PATH}?limit={limit}{from}")).await?;
        let missing = || HomeserverError::Unexpected { path: PATH.to_owned(), missing: "notifications" };
        ListedPage::read(&answer, user_id).ok_or_else(missing)
    }
}
