//! Why requests have no answer.

use std::{error::Error as _, io};

use tokio_rustls::rustls::{self, CertificateError};

/// Why a request has no answer.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{host}: {reason}")]
pub struct TransportError {
    /// Host and port of the request.
    pub host: String,
    /// Its kind.
    pub fault: TransportFault,
    /// A sentence; never contains a token.
    pub reason: String,
}

/// Kind of a failed request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TransportFault {
    /// The host name cannot be resolved.
    Unresolved,
    /// The connection was refused.
    Refused,
    /// No connection can be made.
    Unreachable,
    /// The host's certificate is not trusted.
    Certificate(CertificateFault),
    /// The host does not speak TLS.
    NotTls,
    /// The deadline has passed.
    TimedOut,
    /// The answer exceeds its size limit.
    TooLarge,
    /// A redirect from https to http.
    Downgrade,
    /// The connection broke, or the other side does not speak HTTP.
    Broken,
    /// This computer's certificate store cannot be read.
    NoCertificateStore,
}

/// Why a certificate is not trusted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertificateFault {
    /// Expired.
    #[error("its certificate has expired")]
    Expired,
    /// Not valid yet.
    #[error("its certificate is not valid yet")]
    NotYetValid,
    /// Issued for these other names.
    #[error("its certificate is for another name")]
    WrongName(Vec<String>),
    /// Issued by an unknown authority.
    #[error("its certificate is of no authority that this computer trusts")]
    UnknownIssuer,
    /// Any other reason, in the library's words.
    #[error("its certificate cannot be trusted: {0}")]
    Other(String),
}

impl TransportError {
    /// The innermost known cause of an error.
    pub(super) fn new(host: String, error: &hyper_util::client::legacy::Error) -> Self {
        let mut fault = TransportFault::Broken;
        let mut reason = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            reason = error.to_string();
            // hyper-util has no types for these.
            if reason == "dns error" {
                fault = TransportFault::Unresolved;
            } else if reason == "tcp connect error" {
                fault = TransportFault::Unreachable;
            }
            if let Some(io) = error.downcast_ref::<io::Error>() {
                match (io.kind(), tls_error(io)) {
                    (_, Some(rustls::Error::InvalidCertificate(refused))) => {
                        let refused = CertificateFault::from(refused);
                        let reason = refused.to_string();
                        return TransportError { host, fault: TransportFault::Certificate(refused), reason };
                    }
                    (_, Some(rustls::Error::InvalidMessage(_))) => fault = TransportFault::NotTls,
                    (io::ErrorKind::ConnectionRefused, _) => fault = TransportFault::Refused,
                    (io::ErrorKind::TimedOut, _) => fault = TransportFault::TimedOut,
                    _ => {}
                }
            }
            cause = error.source();
        }
        TransportError { host, fault, reason }
    }
}

/// The TLS error inside a connection error, which may be nested and is not in its chain of sources.
fn tls_error(error: &io::Error) -> Option<&rustls::Error> {
    let carried = error.get_ref()?;
    carried.downcast_ref::<rustls::Error>().or_else(|| tls_error(carried.downcast_ref::<io::Error>()?))
}

impl From<&CertificateError> for CertificateFault {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the library may come to know of more")]
    fn from(error: &CertificateError) -> Self {
        match error {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => Self::Expired,
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => Self::NotYetValid,
            CertificateError::NotValidForName => Self::WrongName(Vec::new()),
            CertificateError::NotValidForNameContext { presented, .. } => {
                // The library says `DnsName("a.example")`.
                let plain = |name: &String| name.split('"').nth(1).unwrap_or(name).to_owned();
                Self::WrongName(presented.iter().map(plain).collect())
            }
            CertificateError::UnknownIssuer => Self::UnknownIssuer,
            other => Self::Other(other.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio_rustls::rustls::pki_types::ServerName;

    use super::*;

    #[test]
    fn names_of_certificates_are_plain() {
        let check = |presented: &str| {
            let error = CertificateError::NotValidForNameContext {
                expected: ServerName::try_from("b.example").unwrap(),
                presented: vec![presented.to_owned()],
            };
            assert_eq!(CertificateFault::from(&error), CertificateFault::WrongName(vec!["a.example".to_owned()]));
        };
        check("DnsName(\"a.example\")");
        check("a.example");
    }
}
