//! A certificate and its private key, read from two files.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr},
    path::Path,
    sync::Arc,
};

use jiff::{SignedDuration, Timestamp};
use tokio_rustls::rustls::{
    self,
    crypto::ring,
    pki_types::{
        CertificateDer, PrivateKeyDer, ServerName,
        pem::{self, PemObject as _},
    },
    server::ParsedCertificate,
    sign::CertifiedKey,
};
use x509_parser::{certificate::X509Certificate, extensions::GeneralName, time::ASN1Time};

use crate::paths;

/// Size limit of a file; a chain has a few KiB.
const MAX_FILE_BYTES: u64 = 1024 * 1024;
/// Longest time before expiry at which a warning is given; a tenth of the lifetime for short-lived certificates.
const WARNED_FOR: SignedDuration = SignedDuration::from_hours(7 * 24);

/// Why a certificate and its key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file is missing, unreadable, of the wrong kind or incomplete.
    #[error("{path}: {reason}")]
    Unusable {
        /// The file.
        path: String,
        /// The fault, and what is expected.
        reason: String,
    },
    /// Each is good, but they do not belong together.
    #[error("the key {key} does not belong to the first certificate in {certificate}")]
    Mismatch {
        /// The file of the certificate.
        certificate: String,
        /// The file of the key.
        key: String,
    },
    /// rustls refuses the pair.
    #[error("TLS cannot be set up: {0}")]
    Library(#[from] rustls::Error),
}

impl TlsError {
    fn unusable(path: &Path, reason: impl Into<String>) -> Self {
        Self::Unusable { path: path.display().to_string(), reason: reason.into() }
    }
}

/// A certificate with its chain and its private key: each well-formed, and belonging together.
#[derive(Debug, Clone)]
pub struct TlsPair {
    pub(super) certified: Arc<CertifiedKey>,
    names: Vec<String>,
    not_before: Timestamp,
    not_after: Timestamp,
}

/// Reads a certificate chain (PEM, the server's own first) and its private key (PEM: PKCS #8, PKCS #1 or SEC 1) and
/// checks that they can be used together. Whether anybody trusts the certificate, whether it fits the name by which
/// we are reached, and whether it has expired is not looked at: see [`TlsPair::fits`] and [`TlsPair::expiry_problem`].
///
/// # Errors
/// Says which file is wrong, and how.
pub fn inspect(certificate: &Path, key: &Path) -> Result<TlsPair, TlsError> {
    let chain = CertificateDer::pem_slice_iter(&read(certificate)?)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| TlsError::unusable(certificate, in_words(&error)))?;
    let first = chain.first().ok_or_else(|| {
        TlsError::unusable(certificate, "there is no certificate in it (PEM, \"-----BEGIN CERTIFICATE-----\")")
    })?;
    let (Ok(_), Ok((_, parsed))) = (ParsedCertificate::try_from(first), x509_parser::parse_x509_certificate(first))
    else {
        return Err(TlsError::unusable(certificate, "its first certificate is damaged"));
    };
    let names = alternative_names(&parsed);
    let (not_before, not_after) = (timestamp(parsed.validity().not_before), timestamp(parsed.validity().not_after));

    let pem = read(key)?;
    let der = PrivateKeyDer::from_pem_slice(&pem).map_err(|error| {
        let reason = if !matches!(error, pem::Error::NoItemsFound) {
            in_words(&error)
        } else if is_encrypted(&pem) {
            "the key is encrypted with a passphrase: store it without one".to_owned()
        } else {
            "there is no private key in it (PEM, \"-----BEGIN PRIVATE KEY-----\")".to_owned()
        };
        TlsError::unusable(key, reason)
    })?;
    match CertifiedKey::from_der(chain, der, &ring::default_provider()) {
        Ok(certified) => Ok(TlsPair { certified: Arc::new(certified), names, not_before, not_after }),
        Err(rustls::Error::InconsistentKeys(_)) => {
            Err(TlsError::Mismatch { certificate: certificate.display().to_string(), key: key.display().to_string() })
        }
        Err(error) => Err(TlsError::unusable(key, format!("this private key cannot be used: {error}"))),
    }
}

impl TlsPair {
    /// The DNS names and IP addresses that the certificate is for.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// When the certificate ends.
    #[must_use]
    pub fn not_after(&self) -> Timestamp {
        self.not_after
    }

    /// Whether the certificate is for this host: a name or an IP address, as in a URL (`[::1]` too).
    #[must_use]
    pub fn fits(&self, host: &str) -> bool {
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let Ok(name) = ServerName::try_from(host) else { return false };
        let certificate = self.certified.end_entity_cert().and_then(ParsedCertificate::try_from);
        certificate.is_ok_and(|certificate| rustls::client::verify_server_name(&certificate, &name).is_ok())
    }

    /// The fault in the certificate's validity at that time, if any: not valid, or expiring soon.
    #[must_use]
    pub fn expiry_problem(&self, now: Timestamp) -> Option<String> {
        let Self { not_before, not_after, .. } = *self;
        let warned_for = WARNED_FOR.min(not_after.duration_since(not_before) / 10);
        if now >= not_after {
            Some(format!("it has expired on {not_after}, and homeservers do not push to it: renew it"))
        } else if now < not_before {
            Some(format!("it is valid from {not_before} on, and homeservers do not push to it before"))
        } else if not_after.duration_since(now) <= warned_for {
            Some(format!("it expires on {not_after}: renew it"))
        } else {
            None
        }
    }
}

/// The DNS names and IP addresses of a certificate.
fn alternative_names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let extension = certificate.subject_alternative_name().ok().flatten();
    let names = extension.map_or(&[][..], |extension| &extension.value.general_names);
    names.iter().filter_map(name).collect()
}

fn name(name: &GeneralName<'_>) -> Option<String> {
    if let GeneralName::DNSName(name) = name {
        return Some((*name).to_owned());
    }
    let GeneralName::IPAddress(bytes) = name else { return None };
    let v4 = <[u8; 4]>::try_from(*bytes).map(|bytes| Ipv4Addr::from(bytes).to_string());
    v4.or_else(|_| <[u8; 16]>::try_from(*bytes).map(|bytes| Ipv6Addr::from(bytes).to_string())).ok()
}

/// 9999-12-31 stands for no end, and is later than any timestamp.
fn timestamp(time: ASN1Time) -> Timestamp {
    Timestamp::from_second(time.timestamp()).unwrap_or(Timestamp::MAX)
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    let contents = || {
        // Checked before opening: opening a named pipe blocks until somebody writes.
        if !path.metadata()?.is_file() {
            return Err(io::Error::other("it is not a file"));
        }
        paths::read_bounded(path, MAX_FILE_BYTES)
    };
    contents().map_err(|error| {
        let kind = error.kind();
        let reason = if kind == io::ErrorKind::NotFound {
            "there is no such file".to_owned()
        } else if kind == io::ErrorKind::PermissionDenied {
            "this user may not read it".to_owned()
        } else {
            error.to_string()
        };
        TlsError::unusable(path, reason)
    })
}

fn is_encrypted(pem: &[u8]) -> bool {
    const MARK: &[u8] = b"ENCRYPTED";
    pem.windows(MARK.len()).any(|window| window == MARK)
}

/// Parse errors are not passed on: the library quotes its input, which may be part of a key.
fn in_words(error: &pem::Error) -> String {
    let ends = matches!(error, pem::Error::MissingSectionEnd { .. });
    let what = if ends { "it ends in the middle" } else { "it is damaged" };
    format!("{what}: it should be in PEM form")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use rcgen::{
        CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519, date_time_ymd,
    };
    use tempfile::TempDir;

    use super::*;

    struct Place(TempDir);

    impl Place {
        fn new(certificate: &str, key: &str) -> Self {
            let place = tempfile::tempdir().unwrap();
            fs::write(place.path().join("c.pem"), certificate).unwrap();
            fs::write(place.path().join("k.pem"), key).unwrap();
            Self(place)
        }

        fn inspect(&self) -> Result<TlsPair, String> {
            let home = self.0.path();
            inspect(&home.join("c.pem"), &home.join("k.pem"))
                .map_err(|error| error.to_string().replace(home.to_str().unwrap(), "~").replace('\\', "/"))
        }
    }

    fn made(names: &[&str], key: &KeyPair) -> String {
        let mut params =
            CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap();
        params.not_before = date_time_ymd(2026, 1, 1);
        params.not_after = date_time_ymd(2026, 4, 1);
        params.self_signed(key).unwrap().pem()
    }

    #[test]
    fn pairs_of_all_usual_kinds_are_good() {
        for algorithm in [&PKCS_ECDSA_P256_SHA256, &PKCS_ECDSA_P384_SHA384, &PKCS_ED25519] {
            let key = KeyPair::generate_for(algorithm).unwrap();
            let pair = Place::new(&made(&["push.example.org"], &key), &key.serialize_pem()).inspect().unwrap();
            assert_eq!(pair.names(), ["push.example.org"]);
            assert_eq!(pair.not_after(), "2026-04-01T00:00:00Z".parse().unwrap());
            assert!(!format!("{pair:?}").contains("PRIVATE"));
        }
        // Both in one file, with words in between.
        let key = KeyPair::generate().unwrap();
        let both = format!("Bag Attributes\n{}\n{}", key.serialize_pem(), made(&["a.example"], &key));
        Place::new(&both, &both).inspect().unwrap();
    }

    #[test]
    fn a_pair_that_cannot_be_used_says_which_file_is_wrong_and_how() {
        let key = KeyPair::generate().unwrap();
        let (good, key) = (made(&["a.example"], &key), key.serialize_pem());
        let other = KeyPair::generate().unwrap().serialize_pem();
        let check = |certificate: &str, key: &str, expected: &str| {
            assert_eq!(Place::new(certificate, key).inspect().unwrap_err(), expected);
        };
        let cut = |pem: &str| pem[..pem.len() / 2].to_owned();
        check(&good, &other, "the key ~/k.pem does not belong to the first certificate in ~/c.pem");
        check("", &key, "~/c.pem: there is no certificate in it (PEM, \"-----BEGIN CERTIFICATE-----\")");
        check(&key, &key, "~/c.pem: there is no certificate in it (PEM, \"-----BEGIN CERTIFICATE-----\")");
        check(&cut(&good), &key, "~/c.pem: it ends in the middle: it should be in PEM form");
        check(&good, &cut(&key), "~/k.pem: it ends in the middle: it should be in PEM form");
        check(&good, &good, "~/k.pem: there is no private key in it (PEM, \"-----BEGIN PRIVATE KEY-----\")");
        let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
        check(&good, encrypted, "~/k.pem: the key is encrypted with a passphrase: store it without one");
        let garbage = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        check(garbage, &key, "~/c.pem: its first certificate is damaged");

        let place = Place::new(&good, &key);
        fs::remove_file(place.0.path().join("k.pem")).unwrap();
        assert_eq!(place.inspect().unwrap_err(), "~/k.pem: there is no such file");
        fs::create_dir(place.0.path().join("k.pem")).unwrap();
        assert_eq!(place.inspect().unwrap_err(), "~/k.pem: it is not a file");
    }

    #[test]
    fn it_fits_the_hosts_that_it_names() {
        let key = KeyPair::generate().unwrap();
        let names = ["push.example.org", "*.desk.example", "192.168.1.20", "::1"];
        let pair = Place::new(&made(&names, &key), &key.serialize_pem()).inspect().unwrap();
        for host in ["push.example.org", "PUSH.example.org", "a.desk.example", "192.168.1.20", "[::1]"] {
            assert!(pair.fits(host), "{host}");
        }
        for host in ["example.org", "desk.example", "192.168.1.21", "[::2]", "", "a b"] {
            assert!(!pair.fits(host), "{host}");
        }
    }

    #[test]
    fn its_expiry_is_warned_of() {
        let key = KeyPair::generate().unwrap();
        let pair = Place::new(&made(&["a.example"], &key), &key.serialize_pem()).inspect().unwrap();
        let check = |now: &str, expected: &str| {
            let said = pair.expiry_problem(now.parse().unwrap()).unwrap_or_default();
            assert!(said.contains(expected) && said.is_empty() == expected.is_empty(), "{said}");
        };
        check("2025-12-31T00:00:00Z", "valid from 2026-01-01");
        check("2026-01-01T00:00:00Z", "");
        check("2026-03-24T23:59:59Z", "");
        check("2026-03-25T00:00:00Z", "expires on 2026-04-01");
        check("2026-04-01T00:00:00Z", "has expired on 2026-04-01");
    }

    #[test]
    fn names_and_times_of_every_form_are_read() {
        let key = KeyPair::generate().unwrap();
        let names = ["push.example.org", "192.168.1.20", "fd00::1", "*.example.org"];
        // Until 2049 the year has two digits; 9999 is later than any timestamp.
        for (until, expected) in [(2049, "2049-12-31T00:00:00Z"), (2050, "2050-12-31T00:00:00Z"), (9999, "")] {
            let mut params = CertificateParams::new(names.map(str::to_owned)).unwrap();
            (params.not_before, params.not_after) = (date_time_ymd(1999, 12, 31), date_time_ymd(until, 12, 31));
            let certificate = params.self_signed(&key).unwrap().pem();
            let pair = Place::new(&certificate, &key.serialize_pem()).inspect().unwrap();
            assert_eq!(pair.names(), names);
            assert_eq!(pair.not_after(), expected.parse().unwrap_or(Timestamp::MAX));
        }
        let nameless = CertificateParams::new([]).unwrap().self_signed(&key).unwrap().pem();
        assert!(Place::new(&nameless, &key.serialize_pem()).inspect().unwrap().names().is_empty());
    }
}
