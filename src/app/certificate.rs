//! The certificate and key of `server.tls`: taken up when they are renewed, without dropping a connection.

use std::{io, time::Duration};

use jiff::Timestamp;
use tokio::{
    sync::mpsc,
    task::JoinHandle,
    time::{Instant, timeout_at},
};

use crate::{
    config::TlsFiles,
    control::TlsStatus,
    http::tls::{self, Tls, TlsError, TlsPair},
    platform::{files, watch::FileWatch},
};

/// How long a pair that cannot be used may remain so before the person is told: who renews writes one file after the
/// other.
const RENEWAL: Duration = Duration::from_secs(2);

/// The certificate in force, and the task that looks after its files.
pub(super) struct Certificate {
    tls: Tls,
    files: TlsFiles,
    /// What is in force: the last that could be used.
    pair: Option<TlsPair>,
    /// Why what stands in the files now is not in force.
    failure: Option<TlsError>,
    news: mpsc::Receiver<Result<TlsPair, TlsError>>,
    upkeep: JoinHandle<()>,
}

impl Certificate {
    /// Reads the files and watches them from now on. A pair that cannot be used is a [`Self::problem`]; `before` then
    /// stays in force, if there was one. Needs a tokio runtime.
    ///
    /// # Errors
    /// When there can be no TLS at all.
    pub(super) fn start(files: TlsFiles, before: Option<Self>) -> Result<Self, TlsError> {
        let (tls, pair) = match &before {
            Some(before) => (before.tls.clone(), before.pair.clone()),
            None => (Tls::new()?, None),
        };
        // Ends the old upkeep before the new one begins.
        drop(before);
        let (tell, news) = mpsc::channel(1);
        // The watch comes first, or what changes in between would be missed.
        let watch = FileWatch::new([files.certificate.clone(), files.key.clone()]);
        let found = tls::inspect(&files.certificate, &files.key);
        let upkeep = tokio::spawn(upkeep(watch, files.clone(), tls.clone(), tell));
        let mut certificate = Self { tls, files, pair, failure: None, news, upkeep };
        certificate.take_up(found);
        Ok(certificate)
    }

    pub(super) fn tls(&self) -> Tls {
        self.tls.clone()
    }

    /// Waits until the files have changed, or time makes a difference, and takes up what there is. For ever without a
    /// certificate.
    pub(super) async fn changed(certificate: &mut Option<Self>) {
        if let Some(certificate) = certificate
            && let Some(found) = certificate.news.recv().await
        {
            return certificate.take_up(found);
        }
        std::future::pending::<()>().await;
    }

    fn take_up(&mut self, found: Result<TlsPair, TlsError>) {
        match found {
            Ok(pair) => {
                self.tls.set(&pair);
                tracing::info!(names = ?pair.names(), not_after = %pair.not_after(), "the certificate is in force");
                self.pair = Some(pair);
                self.failure = None;
            }
            Err(error) => self.failure = Some(error),
        }
    }

    /// What is wrong and what to do about it, if something is.
    pub(super) fn problem(&self) -> Option<String> {
        let of_files = self.failure.as_ref().map(|error| {
            let instead = match &self.pair {
                Some(pair) => format!("the one before stays in use, until {}", pair.not_after()),
                None => "no connection is served before there is one".to_owned(),
            };
            format!("{error}; {instead}")
        });
        let of_time = || {
            let concern = self.pair.as_ref()?.concern(Timestamp::now())?;
            Some(format!("{}: {concern}", self.files.certificate.display()))
        };
        of_files.or_else(of_time)
    }

    /// What works, but the person may not want.
    pub(super) fn warning(&self) -> Option<String> {
        // A key that is not there is a problem, and told as such.
        let exposed = files::is_readable_by_others(&self.files.key).unwrap_or(false);
        exposed.then(|| {
            let key = self.files.key.display();
            format!("everybody on this computer can read the private key {key}: `chmod go-rwx` it")
        })
    }

    pub(super) fn status(&self) -> TlsStatus {
        TlsStatus {
            names: self.pair.as_ref().map_or_else(Vec::new, |pair| pair.names().to_vec()),
            not_after: self.pair.as_ref().map(TlsPair::not_after),
        }
    }
}

impl Drop for Certificate {
    fn drop(&mut self) {
        self.upkeep.abort();
    }
}

/// Tells what stands in the files whenever that may have changed.
async fn upkeep(
    watch: io::Result<FileWatch>,
    files: TlsFiles,
    tls: Tls,
    news: mpsc::Sender<Result<TlsPair, TlsError>>,
) {
    let inspect = || tls::inspect(&files.certificate, &files.key);
    let watched = async {
        let mut watch = watch?;
        loop {
            tokio::select! {
                changed = watch.changed() => drop(changed?),
                () = tls.concerns() => {}
            }
            let mut found = inspect();
            let patience = Instant::now() + RENEWAL;
            while found.is_err()
                && let Ok(changed) = timeout_at(patience, watch.changed()).await
            {
                changed?;
                found = inspect();
            }
            if news.send(found).await.is_err() {
                return io::Result::Ok(());
            }
        }
    };
    if let Err(error) = watched.await {
        tracing::warn!("a renewed certificate is not noticed: {error}");
    }
}
