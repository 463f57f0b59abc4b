//! Variables of the environment that Kubernetes sets for the services of a namespace.
//!
//! For a service called `revoker` they have our prefix: `REVOKER_PORT=tcp://10.0.0.1:9464`, `REVOKER_SERVICE_HOST`,
//! `REVOKER_PORT_9464_TCP_ADDR`. Docker's links look the same. They are refused like every other unknown variable, but
//! the remedy is not that of a typing error.

use super::{
    faults::{ConfigFault, Problem},
    key::PREFIX,
    value::ConfigValue,
};

/// The variable that a fault names first.
const CLEAREST: &str = "REVOKER_PORT";

/// The schemes of a link's value.
const SCHEMES: [&str; 3] = ["tcp://", "udp://", "sctp://"];

/// Whether a variable is a link to a service.
pub(super) fn is_link(name: &str, value: &ConfigValue) -> bool {
    let Some(rest) = name.strip_prefix(PREFIX) else { return false };
    let parts: Vec<&str> = rest.split('_').collect();
    let is_url = matches!(value, ConfigValue::Raw(text) if SCHEMES.iter().any(|scheme| text.starts_with(scheme)));
    match parts.as_slice() {
        [.., "PORT"] if is_url => true,
        [.., "SERVICE", "HOST" | "PORT"] => true,
        // A port that has a name.
        parts if parts.windows(2).any(|two| two == ["SERVICE", "PORT"]) => true,
        parts => parts.windows(3).any(|three| {
            let is_number = !three[1].is_empty() && three[1].bytes().all(|b| b.is_ascii_digit());
            three[0] == "PORT" && is_number && matches!(three[2], "TCP" | "UDP" | "SCTP")
        }),
    }
}

/// One fault for all links of an environment; `None` if there are none.
pub(super) fn fault(links: &[&str]) -> Option<ConfigFault> {
    let clearest = links.iter().find(|name| **name == CLEAREST).or(links.first())?;
    let what = match links.len() {
        1 => "is a variable that Kubernetes sets as a link to a service".to_owned(),
        all => format!("is one of {all} variables that Kubernetes sets as links to a service"),
    };
    let remedy =
        "set enableServiceLinks: false in the spec of the pod, or give the service another name";
    Some(ConfigFault::new(None, Some((*clearest).to_owned()), Problem::new(what, remedy)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_known_by_their_names_and_values() {
        let raw = |text: &str| ConfigValue::Raw(text.to_owned());
        for (name, value) in [
            ("REVOKER_PORT", "tcp://10.0.0.1:9464"),
            ("REVOKER_SERVICE_HOST", "10.0.0.1"),
            ("REVOKER_SERVICE_PORT", "9464"),
            ("REVOKER_SERVICE_PORT_METRICS", "9464"),
            ("REVOKER_PORT_9464_TCP", "tcp://10.0.0.1:9464"),
            ("REVOKER_PORT_9464_TCP_PROTO", "tcp"),
            ("REVOKER_PORT_9464_TCP_PORT", "9464"),
            ("REVOKER_PORT_9464_TCP_ADDR", "10.0.0.1"),
            ("REVOKER_METRICS_PORT", "tcp://10.0.0.1:9464"),
            ("REVOKER_METRICS_SERVICE_HOST", "10.0.0.1"),
            ("REVOKER_METRICS_PORT_53_UDP_ADDR", "10.0.0.1"),
        ] {
            assert!(is_link(name, &raw(value)), "{name}");
        }
        for (name, value) in [
            ("REVOKER_PORT", "9464"),
            ("REVOKER_ADMIN_PORT", "9464"),
            ("REVOKER_BROKER__URI", "amqp://rabbit"),
            ("REVOKER_BROKER_SERVICE", "x"),
            ("REVOKER_PORT__TCP", "x"),
            ("REVOKER_PORT_X_TCP", "x"),
            ("OTHER_PORT_9464_TCP", "tcp://10.0.0.1:9464"),
        ] {
            assert!(!is_link(name, &raw(value)), "{name}");
        }
    }
}
