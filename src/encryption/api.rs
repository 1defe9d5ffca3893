//! Requests of a signed-in session. Expired tokens are renewed.

use std::{
    borrow::Cow,
    collections::BTreeSet,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use hyper::{Method, body::Bytes, http};
use ruma::api::{
    IncomingResponse, MatrixVersion, OutgoingRequest, SupportedVersions,
    auth_scheme::{AuthScheme, SendAccessToken},
    path_builder::VersionHistory,
};
use serde::de::DeserializeOwned;

use super::error::EncryptionError;
use crate::{
    accounts::SignIn,
    homeserver::{HomeserverClient, client::AnswerKind},
    session::{Sessions, SignedIn},
};

/// Deadline of a request.
pub(super) const DEADLINE: Duration = Duration::from_secs(30);

/// A client for one session.
pub(super) struct Api {
    sessions: Sessions,
    sign_in: SignIn,
    /// Opened with the first request.
    open: Mutex<Option<SignedIn>>,
}

impl Api {
    pub(super) fn new(sessions: Sessions, sign_in: SignIn) -> Self {
        Self { sessions, sign_in, open: Mutex::new(None) }
    }

    /// Sends a request and returns the body of the answer. `path` is relative to the homeserver's base address and
    /// includes the query.
    pub(super) async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<Bytes>,
        deadline: Duration,
    ) -> Result<Bytes, EncryptionError> {
        let question = |client: HomeserverClient| {
            let (method, body) = (method.clone(), body.clone());
            async move { Ok(client.with_deadline(deadline).send(method, path, body, AnswerKind::Keys).await?) }
        };
        // Not locked during the request: a sync may last, and other requests run meanwhile.
        let mut open = self.open().clone();
        let answer = self.sessions.ask_over(&mut open, &self.sign_in, DEADLINE, question).await;
        *self.open() = open;
        answer
    }

    /// Closes the connection; the next request opens a new one.
    pub(super) fn disconnect(&self) {
        *self.open() = None;
    }

    fn open(&self) -> MutexGuard<'_, Option<SignedIn>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gets JSON of this type.
    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        what: &'static str,
        deadline: Duration,
    ) -> Result<T, EncryptionError> {
        let body = self.ask(Method::GET, path, None, deadline).await?;
        serde_json::from_slice(&body).map_err(|_| EncryptionError::Unexpected(what))
    }

    /// Sends a request of the specification.
    pub(super) async fn send<R>(&self, request: R, what: &'static str) -> Result<R::IncomingResponse, EncryptionError>
    where
        R: OutgoingRequest<PathBuilder = VersionHistory>,
        for<'a> R::Authentication: AuthScheme<Input<'a> = SendAccessToken<'a>>,
    {
        let versions = SupportedVersions { versions: [MatrixVersion::V1_11].into(), features: BTreeSet::default() };
        // The address and the token are added by the client.
        let token = SendAccessToken::IfRequired("");
        let request = request.try_into_http_request::<Vec<u8>>("http://localhost", token, Cow::Owned(versions));
        let (head, body) = request.map_err(|_| EncryptionError::Unexpected(what))?.into_parts();
        let path = head.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
        let body = (head.method != Method::GET).then(|| body.into());
        let answer = self.ask(head.method, path, body, DEADLINE).await?;
        R::IncomingResponse::try_from_http_response(http::Response::new(answer))
            .map_err(|_| EncryptionError::Unexpected(what))
    }
}
