//! The certificate and key of `server.tls`, reloaded when they are renewed, without dropping a connection.

use std::{io, time::Duration};

use jiff::Timestamp;
use tokio::{
    sync::mpsc,
    task::JoinHandle,
    time::{Instant, sleep, timeout_at},
};

use crate::{
    config::TlsFiles,
    control::TlsStatus,
    http::tls::{self, Tls, TlsError, TlsPair},
    platform::{files, watch::FileWatch},
};

/// How long an unusable pair is tolerated before it is reported: renewal writes one file after the other.
const GRACE_PERIOD: Duration = Duration::from_secs(2);
/// Interval of checking whether the certificate has expired.
const EXPIRY_CHECKED_EVERY: Duration = Duration::from_secs(6 * 60 * 60);

/// The certificate in force, and the task that watches its files.
pub(super) struct Certificate {
    tls: Tls,
    files: TlsFiles,
    /// The pair in force: the last valid one.
    pair: Option<TlsPair>,
    /// Why the pair in the files is not in force.
    failure: Option<TlsError>,
    changes: mpsc::Receiver<Change>,
    watcher: JoinHandle<()>,
}

/// Why the certificate is to be checked.
enum Change {
    /// The files may have changed; their content.
    Files(Box<Result<TlsPair, TlsError>>),
    /// The expiry check is due.
    Time,
}

impl Certificate {
    /// Reads the files and watches them from now on. An unusable pair is reported by [`Self::problem`]; that of
    /// `before` then stays in force. Needs a tokio runtime.
    ///
    /// # Errors
    /// When TLS cannot be set up at all.
    pub(super) fn start(files: TlsFiles, before: Option<Self>) -> Result<Self, TlsError> {
        let (tls, pair) = match &before {
            Some(before) => (before.tls.clone(), before.pair.clone()),
            None => (Tls::new()?, None),
        };
        // Ends the old watcher before the new one begins.
        drop(before);
        let (tell, changes) = mpsc::channel(1);
        // Watched before they are read, so that no change is missed in between.
        let watch = FileWatch::new([files.certificate.clone(), files.key.clone()]);
        let found = tls::inspect(&files.certificate, &files.key);
        let watcher = tokio::spawn(watch_files(watch, files.clone(), tell));
        let mut certificate = Self { tls, files, pair, failure: None, changes, watcher };
        certificate.take_up(found);
        Ok(certificate)
    }

    pub(super) fn tls(&self) -> Tls {
        self.tls.clone()
    }

    /// Waits until the files have changed or a check is due, and reloads. Never returns without a certificate.
    pub(super) async fn changed(certificate: &mut Option<Self>) {
        if let Some(certificate) = certificate
            && let Some(change) = certificate.changes.recv().await
        {
            if let Change::Files(found) = change {
                certificate.take_up(*found);
            }
            return;
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

    /// What is wrong and what to do about it.
    pub(super) fn problem(&self) -> Option<String> {
        if let Some(error) = &self.failure {
            let instead = match &self.pair {
                Some(pair) => format!("the one before stays in use, until {}", pair.not_after()),
                None => "no connection is served before there is one".to_owned(),
            };
            return Some(format!("{error}; {instead}"));
        }
        let problem = self.pair.as_ref()?.expiry_problem(Timestamp::now())?;
        Some(format!("{}: {problem}", self.files.certificate.display()))
    }

    /// A setting that works but may be unintended.
    pub(super) fn warning(&self) -> Option<String> {
        // A missing key is reported as a problem.
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
        self.watcher.abort();
    }
}

/// Sends the content of the files whenever it may have changed, and a reminder to check the expiry.
async fn watch_files(watch: io::Result<FileWatch>, files: TlsFiles, tell: mpsc::Sender<Change>) {
    let inspect = || tls::inspect(&files.certificate, &files.key);
    let watched = async {
        let mut watch = watch?;
        loop {
            let change = tokio::select! {
                changed = watch.changed() => {
                    changed?;
                    let mut found = inspect();
                    let deadline = Instant::now() + GRACE_PERIOD;
                    while found.is_err()
                        && let Ok(changed) = timeout_at(deadline, watch.changed()).await
                    {
                        changed?;
                        found = inspect();
                    }
                    Change::Files(Box::new(found))
                }
                () = sleep(EXPIRY_CHECKED_EVERY) => Change::Time,
            };
            if tell.send(change).await.is_err() {
                return io::Result::Ok(());
            }
        }
    };
    if let Err(error) = watched.await {
        tracing::warn!("a renewed certificate is not noticed: {error}");
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, time::SystemTime};

    use rcgen::{CertificateParams, KeyPair, date_time_ymd};
    use tokio::time::timeout;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_certificate_that_expires_while_in_use_becomes_a_problem() {
        let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        let place = tempfile::tempdir().unwrap();
        let files = TlsFiles { certificate: place.path().join("c.pem"), key: place.path().join("k.pem") };
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(["a.example".to_owned()]).unwrap();
        params.not_before = date_time_ymd(2026, 1, 1);
        params.not_after = date_time_ymd(1970, 1, 1) + Duration::from_secs(since_1970.as_secs() + 2);
        fs::write(&files.certificate, params.self_signed(&key).unwrap().pem()).unwrap();
        fs::write(&files.key, key.serialize_pem()).unwrap();
        let mut certificate = Some(Certificate::start(files, None).unwrap());
        let problem = |certificate: &Option<Certificate>| certificate.as_ref().unwrap().problem().unwrap();
        assert!(problem(&certificate).contains("expires on"));

        let start = std::time::Instant::now();
        while !problem(&certificate).contains("has expired") {
            // Paused time jumps to the next timer; the certificate uses the wall clock.
            let changed = Certificate::changed(&mut certificate);
            timeout(Duration::from_secs(24 * 60 * 60), changed).await.expect("it is looked at every day");
            assert!(start.elapsed() < Duration::from_secs(20), "it has expired meanwhile");
        }
    }
}
