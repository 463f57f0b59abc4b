//! Sentences for failed connections to the broker: what is wrong, and the cure.
//!
//! The broker's own words stand in parentheses, for its documentation and its log.

use super::{settings::BrokerSettings, stream::BrokerAddress};
use crate::domain::Peer;

/// Which scheme belongs to which port.
const PORTS: &str = "amqps:// is usually port 5671, amqp:// port 5672";

/// The server of a connection, with the settings that name it.
pub(super) fn peer<'a>(settings: &BrokerSettings, target: &'a BrokerAddress) -> Peer<'a> {
    Peer {
        host: &target.host,
        url_key: "broker.url",
        ca_key: "broker.ca_file",
        has_ca: settings.ca_file.is_some(),
        certificate_key: "broker.client_certificate_file",
        ports: PORTS,
    }
}

/// The user and the virtual host of a URL.
#[derive(Debug, Clone, Copy)]
pub(super) struct Login<'a> {
    pub(super) user: &'a str,
    pub(super) vhost: &'a str,
}

/// AMQP's reply code for a refused login. The text that reaches this module no longer has it.
const ACCESS_REFUSED: u16 = 403;

/// Returns the sentence for a connection that failed with this text of the broker, the library or the system.
pub(super) fn sentence(fault: &str, target: &BrokerAddress, login: Login<'_>) -> String {
    let Login { user, vhost } = login;
    let has = |words: &str| fault.contains(words);
    // It is a sentence already.
    if has("broker.") {
        return fault.to_owned();
    }
    if has("ACCESS_REFUSED") {
        let words = fault.split(" For details see").next().unwrap_or(fault);
        let guest = if user == "guest" {
            ". RabbitMQ lets guest log in only from its own machine: use another user"
        } else {
            ""
        };
        return format!(
            "the broker refuses the user {user} or its password: check both in broker.url{guest} \
             ({words}; reply code {ACCESS_REFUSED})"
        );
    }
    if has("NOT_ALLOWED") && has("not found") {
        return format!(
            "the virtual host {vhost} does not exist: check the last part of broker.url, or create it with \
             `rabbitmqctl add_vhost` ({fault})"
        );
    }
    if has("NOT_ALLOWED") && has("refused for user") {
        return format!(
            "the user {user} has no rights in the virtual host {vhost}: grant them with `rabbitmqctl set_permissions`, \
             or check broker.url ({fault})"
        );
    }
    if has("fatal alert: CertificateRequired") || has("fatal alert: BadCertificate") {
        return format!(
            "the broker asks for a client certificate that it trusts: set broker.client_certificate_file and \
             broker.client_key_file ({fault})"
        );
    }
    if has("fatal alert") {
        return format!(
            "the broker refuses our client certificate, or the lack of one: set broker.client_certificate_file and \
             broker.client_key_file to a pair that the broker trusts ({fault})"
        );
    }
    if has("frame of type 21:") || has("frame of type 22:") {
        return format!(
            "this port of {target} speaks TLS, not plain AMQP: write amqps:// in broker.url, or use the plain \
             port ({PORTS})"
        );
    }
    if has("frame of type 72:") {
        return format!(
            "an HTTP server listens at {target}, not a broker: check the port in broker.url ({PORTS})"
        );
    }
    if has("frame of type") || has("cannot read the broker's data") || has("rotocol version") {
        return format!(
            "{target} does not speak AMQP 0-9-1: check scheme and port in broker.url ({PORTS})"
        );
    }
    if has("no connection within") {
        return format!(
            "{fault}: check host, port and scheme in broker.url, and the firewall ({PORTS})"
        );
    }
    if has(super::handshake::HUNG_UP) {
        return format!(
            "{fault}: check scheme and port in broker.url ({PORTS}), and the broker's log"
        );
    }
    fault.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn explained(fault: &str, user: &str) -> String {
        let target = BrokerAddress { host: "rabbit".to_owned(), port: 5672, tls: false };
        sentence(fault, &target, Login { user, vhost: "jobs" })
    }

    #[test]
    fn each_refusal_of_the_broker_is_a_sentence_with_the_setting_to_change() {
        for (fault, what) in [
            (
                "ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN. For details see the \
                 broker logfile.",
                "refuses the user worker or its password: check both in broker.url (ACCESS_REFUSED",
            ),
            ("NOT_ALLOWED - vhost jobs not found", "the virtual host jobs does not exist"),
            (
                "NOT_ALLOWED - access to vhost 'jobs' refused for user 'worker'",
                "the user worker has no rights in the virtual host jobs",
            ),
            ("received fatal alert: CertificateRequired", "asks for a client certificate"),
            ("received fatal alert: UnknownCA", "refuses our client certificate"),
            ("the peer sent a frame of type 21: it may not", "write amqps://"),
            (
                "the peer sent a frame of type 72: it may not",
                "an HTTP server listens at rabbit:5672",
            ),
            ("the peer sent a frame of type 83: it may not", "does not speak AMQP"),
            (
                "the client library cannot read the broker's data: ParserErrors { error: Nom(MapOpt) }",
                "does not speak AMQP",
            ),
            ("no connection within 10s: no answer from the host", "check host, port"),
        ] {
            let sentence = explained(fault, "worker");
            assert!(sentence.contains(what) && sentence.contains("broker."), "{sentence}");
            assert!(!sentence.contains("see the broker logfile"), "{sentence}");
            assert!(!sentence.contains("ParserErrors"), "{sentence}");
        }
        assert_eq!(explained("INTERNAL_ERROR", "worker"), "INTERNAL_ERROR");
    }

    #[test]
    fn the_user_guest_is_told_of_its_limit() {
        let refused = "ACCESS_REFUSED - Login was refused";
        assert!(explained(refused, "guest").contains("only from its own machine"));
        assert!(!explained(refused, "worker").contains("only from its own machine"));
    }
}
