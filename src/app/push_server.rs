//! The endpoint with its sockets and its certificate, as configured.

use std::{path::Path, sync::Arc};

use super::{certificate::Certificate, listening::Listening};
use crate::{
    accounts::Accounts,
    config::Config,
    controller::{self, ProblemKind},
    failure::Failure,
    http::tls::TlsError,
    intake::Intake,
    resume::ResumeWindow,
};

/// Takes pushes: over plain HTTP, or TLS with `server.tls`.
pub(super) struct PushServer {
    intake: Intake,
    pub(super) listening: Listening,
    /// Reloaded when its files change.
    pub(super) certificate: Option<Certificate>,
}

impl PushServer {
    /// Binds the configured addresses and loads the certificate; serves nothing yet. Also returns problems that may
    /// resolve themselves.
    ///
    /// # Errors
    /// When no address can be bound, or the certificate's files cannot be watched.
    pub(super) async fn open(
        intake: Intake,
        resume_window: ResumeWindow,
        config: &Config,
        config_path: &Path,
    ) -> Result<(Self, Vec<(ProblemKind, String)>), Failure> {
        let mut listening = Listening::new(intake.clone(), resume_window);
        listening.set_extra_paths(&config.server.extra_paths);
        let unbound = listening.open(&config.server.listen, config_path).await.map_err(Failure::Failed)?;
        let mut server = Self { intake, listening, certificate: None };
        server.set_tls(config)?;
        let unusable = server.certificate.as_ref().and_then(Certificate::problem);
        let problems = unbound.into_iter().chain(unusable.map(|reason| (ProblemKind::Certificate, reason)));
        let problems = problems.collect();
        Ok((server, problems))
    }

    /// Starts to accept connections.
    pub(super) fn serve(&mut self) {
        self.listening.serve();
    }

    /// The accounts in force.
    pub(super) fn accounts(&self) -> Arc<Accounts> {
        self.intake.accounts()
    }

    /// See [`Intake::begin_sample`].
    pub(super) fn begin_sample(&self) -> Result<String, getrandom::Error> {
        self.intake.begin_sample()
    }

    pub(super) fn set_accounts(&self, accounts: Accounts) {
        self.intake.set_accounts(accounts);
    }

    /// Applies a changed configuration. Returns its problems by kind.
    pub(super) async fn configure(
        &mut self,
        old: &Config,
        new: &Config,
        config_path: &Path,
    ) -> [(ProblemKind, Option<String>); 2] {
        self.listening.set_extra_paths(&new.server.extra_paths);
        let failure = if new.server.tls == old.server.tls { None } else { self.set_tls(new).err() };
        let certificate = match failure {
            Some(error) => Some(error.to_string()),
            None => self.certificate.as_ref().and_then(Certificate::problem),
        };
        let listen = match self.listening.open(&new.server.listen, config_path).await {
            Ok(problem) => problem.map(|(_, reason)| reason),
            Err(reason) => Some(reason),
        };
        [(ProblemKind::Certificate, certificate), (ProblemKind::Listen, listen)]
    }

    /// With `server.tls` set, nothing is ever served unencrypted, whatever the state of the certificate.
    fn set_tls(&mut self, config: &Config) -> Result<(), TlsError> {
        let before = self.certificate.take();
        let certificate = config.server.tls.clone().map(|files| Certificate::start(files, before)).transpose();
        self.certificate = certificate?;
        self.listening.set_tls(self.certificate.as_ref().map(Certificate::tls));
        Ok(())
    }

    pub(super) fn scheme(&self) -> &'static str {
        if self.certificate.is_some() { "https" } else { "http" }
    }

    /// Addresses and TLS state, for `status`.
    pub(super) fn status(&self, config: &Config) -> controller::Listening {
        let in_the_clear = config.server.in_the_clear().into_iter().map(|address| {
            format!(
                "{address} speaks plain http: whoever is on the way can read pushes and the pushkeys in them. Set \
                 server.tls, or know that a VPN or a tunnel encrypts this way"
            )
        });
        controller::Listening {
            addresses: self.listening.addresses(),
            tls: self.certificate.as_ref().map(Certificate::status),
            warnings: in_the_clear.chain(self.certificate.as_ref().and_then(Certificate::warning)).collect(),
        }
    }

    /// Finishes the requests in progress.
    pub(super) async fn close(self) {
        self.listening.close().await;
    }
}
