//! A certificate authority, and files with a certificate and its key.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};

use crate::rig::process::TempDir;

pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, in PEM.
#[derive(Clone)]
pub(crate) struct Pair {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // Without a name of its own it would be confused with the certificates that it signs.
        params.distinguished_name.push(DnType::CommonName, "An authority");
        let key = KeyPair::generate().expect("there is randomness");
        Self(CertifiedIssuer::self_signed(params, key).expect("it signs itself"))
    }

    /// The authority's own certificate, in PEM.
    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    pub(crate) fn certify(&self, name: &str) -> Pair {
        self.sign(&CertificateParams::new([name.to_owned()]).expect("it is a name"))
    }

    /// A certificate that expired years ago.
    pub(crate) fn certify_expired(&self, name: &str) -> Pair {
        let mut params = CertificateParams::new([name.to_owned()]).expect("it is a name");
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2020, 4, 1);
        self.sign(&params)
    }

    fn sign(&self, params: &CertificateParams) -> Pair {
        let key = KeyPair::generate().expect("there is randomness");
        let certificate = params.signed_by(&key, &self.0).expect("it signs");
        Pair { certificate: certificate.pem() + self.pem().as_str(), key: key.serialize_pem() }
    }
}

/// A private directory for a pair: `fullchain.pem` and `privkey.pem`.
pub(crate) struct CertificateFiles(TempDir);

impl CertificateFiles {
    pub(crate) fn new() -> Self {
        Self(TempDir::new())
    }

    pub(crate) fn with(pair: &Pair) -> Self {
        let place = Self::new();
        place.write(pair);
        place
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn certificate(&self) -> PathBuf {
        self.path().join("fullchain.pem")
    }

    pub(crate) fn key(&self) -> PathBuf {
        self.path().join("privkey.pem")
    }

    /// Overwrites both files.
    pub(crate) fn write(&self, pair: &Pair) {
        write_pair(self.path(), pair);
    }

    /// The configuration line that names the files.
    pub(crate) fn config(&self) -> String {
        let (certificate, key) = (self.certificate(), self.key());
        let (certificate, key) = (certificate.display(), key.display());
        format!("[server]\ntls = {{ certificate = '{certificate}', key = '{key}' }}\n")
    }
}

/// Writes `fullchain.pem` and `privkey.pem` into a directory.
pub(crate) fn write_pair(directory: &Path, pair: &Pair) {
    fs::write(directory.join("fullchain.pem"), &pair.certificate).expect("the directory is writable");
    let key = directory.join("privkey.pem");
    fs::write(&key, &pair.key).expect("the directory is writable");
    fs::set_permissions(key, Permissions::from_mode(0o600)).expect("it is ours");
}
