//! Sentences for failed connections: what is wrong with which server, and the cure.
//!
//! The texts of TLS libraries and systems name a cause in the library's words. Operators need the setting to change.

use std::{
    error::Error,
    io,
    time::{Duration, SystemTime},
};

use rustls::{AlertDescription, CertificateError};

use super::{error_chain::ErrorChain, rfc3339::rfc3339};

/// The server of a connection, and the settings that a sentence about it names.
#[derive(Debug, Clone, Copy)]
pub struct Peer<'a> {
    /// The host's name or address.
    pub host: &'a str,
    /// The setting with the server's URL.
    pub url_key: &'a str,
    /// The setting with the trusted authorities.
    pub ca_key: &'a str,
    /// Whether that setting is set.
    pub has_ca: bool,
    /// The setting with our own certificate.
    pub certificate_key: &'a str,
    /// Which scheme belongs to which port.
    pub ports: &'a str,
}

impl Peer<'_> {
    /// Returns a sentence for the error of a connection: TLS, the system or the resolver. Other errors keep their text.
    #[must_use]
    pub fn fault(&self, error: &(dyn Error + 'static)) -> String {
        self.tls_fault(error)
            .or_else(|| self.socket_fault(error))
            .unwrap_or_else(|| ErrorChain(error).to_string())
    }

    /// Returns the sentence for an error of the resolver.
    #[must_use]
    pub fn unresolved(&self, error: impl std::fmt::Display) -> String {
        let Self { host, url_key, .. } = self;
        format!(
            "the name {host} cannot be resolved ({error}): check the host in {url_key} and this machine's DNS"
        )
    }

    fn tls_fault(&self, error: &(dyn Error + 'static)) -> Option<String> {
        let causes = || ErrorChain(error).causes();
        if let Some(fault) = causes().find_map(|cause| cause.downcast_ref::<rustls::Error>()) {
            return Some(self.of_tls(fault));
        }
        let ended = causes().any(|cause| kind(cause) == Some(io::ErrorKind::UnexpectedEof));
        ended.then(|| {
            let Self { url_key, ports, .. } = self;
            format!(
                "the server closed the connection in the TLS handshake: check scheme and port in {url_key} ({ports})"
            )
        })
    }

    fn socket_fault(&self, error: &(dyn Error + 'static)) -> Option<String> {
        let Self { host, url_key, .. } = self;
        let (cause, kind) =
            ErrorChain(error).causes().find_map(|cause| Some((cause, kind(cause)?)))?;
        let text = ErrorChain(error).to_string();
        if text.contains("failed to lookup address") {
            return Some(self.unresolved(cause));
        }
        Some(match kind {
            io::ErrorKind::ConnectionRefused => format!(
                "nothing listens at this address ({cause}): check host and port in {url_key}, and that the server runs"
            ),
            io::ErrorKind::TimedOut
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable => format!(
                "{host} cannot be reached ({cause}): check host and port in {url_key}, and the firewall"
            ),
            io::ErrorKind::ConnectionReset => format!(
                "the server reset the connection ({cause}): check scheme and port in {url_key}, and the firewall"
            ),
            _ => return None,
        })
    }

    fn of_tls(&self, error: &rustls::Error) -> String {
        let Self { host, url_key, ports, .. } = self;
        match error {
            rustls::Error::InvalidMessage(_) => format!(
                "{host} does not answer with TLS at this port: check scheme and port in {url_key} ({ports})"
            ),
            rustls::Error::InvalidCertificate(fault) => self.of_certificate(fault),
            rustls::Error::AlertReceived(alert) => self.of_alert(*alert),
            rustls::Error::PeerIncompatible(_) => format!(
                "{host} and this client have no TLS version or cipher in common ({error}): the server must \
                 allow TLS 1.2 or 1.3"
            ),
            other => format!("the TLS handshake with {host} failed ({other})"),
        }
    }

    fn of_certificate(&self, fault: &CertificateError) -> String {
        let Self { host, url_key, ca_key, .. } = self;
        let moment = |at: rustls_pki_types::UnixTime| {
            rfc3339(SystemTime::UNIX_EPOCH + Duration::from_secs(at.as_secs()))
        };
        match fault {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                let at = match fault {
                    CertificateError::ExpiredContext { not_after, .. } => moment(*not_after),
                    _ => None,
                };
                let at = at.map(|at| format!(" at {at}")).unwrap_or_default();
                format!(
                    "the certificate of {host} expired{at}: renew it on the server, or correct this machine's clock"
                )
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => format!(
                "the certificate of {host} is not valid yet: correct this machine's clock, or renew the certificate"
            ),
            CertificateError::NotValidForName => self.other_name(&[]),
            CertificateError::NotValidForNameContext { presented, .. } => {
                self.other_name(presented)
            }
            // The second is an authority of the same name with another key: one that was made anew.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                format!("no trusted authority signed the certificate of {host}: {}", self.trust())
            }
            other if format!("{other:?}").contains("CaUsedAsEndEntity") => format!(
                "{host} presents the certificate of an authority as its own: give the server a certificate with \
                 CA:FALSE, and name the authority that signed it in {ca_key}"
            ),
            CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
                format!(
                    "the certificate of {host} is not for servers: give the server one with the purpose serverAuth"
                )
            }
            other => format!(
                "the certificate of {host} cannot be accepted ({other}): check it with `openssl s_client`, and the \
                 host in {url_key}"
            ),
        }
    }

    fn other_name(&self, presented: &[String]) -> String {
        let Self { host, url_key, .. } = self;
        let names = if presented.is_empty() {
            String::new()
        } else {
            format!(" but for {}", presented.join(", "))
        };
        format!(
            "the server's certificate is not for {host}{names}: use one of its names in {url_key}, or give the server \
             a certificate for {host}"
        )
    }

    fn trust(&self) -> String {
        let Self { ca_key, has_ca, .. } = self;
        if *has_ca {
            format!(
                "the file of {ca_key} holds another authority; put the server's authority into it"
            )
        } else {
            format!("set {ca_key} to a file with the certificate of the server's authority")
        }
    }

    fn of_alert(&self, alert: AlertDescription) -> String {
        let Self { host, url_key, certificate_key, .. } = self;
        match alert {
            AlertDescription::CertificateRequired => {
                format!("{host} asks for a client certificate: set {certificate_key} and its key")
            }
            AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied => format!(
                "{host} refuses our client certificate, or the lack of one (alert {alert:?}): set {certificate_key} to \
                 a certificate that the server trusts"
            ),
            AlertDescription::UnrecognisedName => {
                format!("{host} serves no such name: check the host in {url_key}")
            }
            AlertDescription::ProtocolVersion | AlertDescription::HandshakeFailure => format!(
                "{host} refuses every TLS version and cipher of this client (alert {alert:?}): the server must allow \
                 TLS 1.2 or 1.3, and may ask for a client certificate ({certificate_key})"
            ),
            other => format!(
                "{host} broke off the TLS handshake (alert {other:?}): its log says why; check scheme and port in \
                 {url_key}"
            ),
        }
    }
}

/// The kind of an I/O error that has one.
fn kind(cause: &(dyn Error + 'static)) -> Option<io::ErrorKind> {
    cause.downcast_ref::<io::Error>().map(io::Error::kind)
}

#[cfg(test)]
mod tests {
    use rustls::InvalidMessage;

    use super::*;

    const PEER: Peer<'static> = Peer {
        host: "rabbit.example",
        url_key: "broker.url",
        ca_key: "broker.ca_file",
        has_ca: false,
        certificate_key: "broker.client_certificate_file",
        ports: "amqps:// is usually port 5671, amqp:// port 5672",
    };

    /// The library's name of a fault.
    #[derive(Debug)]
    struct CaUsedAsEndEntity;

    impl std::fmt::Display for CaUsedAsEndEntity {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("CaUsedAsEndEntity")
        }
    }

    impl Error for CaUsedAsEndEntity {}

    fn of(error: rustls::Error) -> String {
        PEER.fault(&io::Error::other(error))
    }

    /// No text of the library's names remains where there is a cure.
    #[test]
    fn each_fault_of_tls_is_a_sentence_with_what_and_where_and_the_cure() {
        let certificate = rustls::Error::InvalidCertificate;
        let expired = CertificateError::ExpiredContext {
            time: rustls_pki_types::UnixTime::since_unix_epoch(Duration::from_secs(2_000)),
            not_after: rustls_pki_types::UnixTime::since_unix_epoch(Duration::from_secs(1_000)),
        };
        let named = CertificateError::NotValidForNameContext {
            expected: "rabbit.example".try_into().unwrap(),
            presented: vec!["DnsName(\"other.example\")".to_owned()],
        };
        let authority =
            CertificateError::Other(rustls::OtherError(std::sync::Arc::new(CaUsedAsEndEntity)));
        for (error, what, cure) in [
            (
                rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType),
                "does not answer with TLS",
                "port in broker.url",
            ),
            (certificate(expired), "expired at 1970-01-01T00:16:40Z", "renew it"),
            (certificate(CertificateError::NotValidYet), "not valid yet", "clock"),
            (certificate(named), "is not for rabbit.example but for", "names in broker.url"),
            (
                certificate(CertificateError::UnknownIssuer),
                "no trusted authority",
                "set broker.ca_file",
            ),
            (certificate(authority), "certificate of an authority as its own", "CA:FALSE"),
            (
                rustls::Error::AlertReceived(AlertDescription::CertificateRequired),
                "asks for a client certificate",
                "set broker.client_certificate_file",
            ),
        ] {
            let sentence = of(error);
            assert!(sentence.contains(what) && sentence.contains(cure), "{sentence}");
            for raw in ["InvalidContentType", "UnknownIssuer", "CaUsedAsEndEntity"] {
                assert!(!sentence.contains(raw), "{sentence}");
            }
        }
        let wrong = Peer { has_ca: true, ..PEER };
        let sentence = wrong.fault(&certificate(CertificateError::UnknownIssuer));
        assert!(sentence.contains("holds another authority"), "{sentence}");
    }

    #[test]
    fn each_fault_of_the_network_is_a_sentence_and_any_other_error_keeps_its_text() {
        for (error, what) in [
            (io::Error::from_raw_os_error(111), "nothing listens at this address"),
            (io::ErrorKind::TimedOut.into(), "cannot be reached"),
            (io::ErrorKind::UnexpectedEof.into(), "closed the connection in the TLS handshake"),
            (io::ErrorKind::ConnectionReset.into(), "reset the connection"),
            (
                io::Error::other("failed to lookup address information: Name or service not known"),
                "the name rabbit.example cannot be resolved",
            ),
        ] {
            let sentence = PEER.fault(&error);
            assert!(sentence.contains(what) && sentence.contains("broker.url"), "{sentence}");
        }
        assert_eq!(PEER.fault(&io::Error::other("odd")), "odd");
    }
}
