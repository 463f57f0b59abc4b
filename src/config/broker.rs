//! The section `broker`.

use std::{ops::RangeInclusive, time::Duration};

use bytesize::ByteSize;
use secrecy::{ExposeSecret, SecretString};

use crate::broker::{BrokerSettings, Declare, HistoryKeyFault, HistoryKeys};

use super::{
    broker_url::{self, LinkSecurity},
    clients::SecretNeed,
    faults::Problem,
    file,
    form::{Kind, SecretForm},
    key::ConfigKey,
    reader::ConfigReader,
    shown,
    value::{self, CONNECTING, QUICK},
};

/// In bytes: AMQP allows a queue's name 255, and ours get suffixes.
const MAX_QUEUE_NAME: usize = 200;

/// The prefix of names that the broker reserves.
const RESERVED: &str = "amq.";

/// AMQP transmits the heartbeat as a 16-bit number of seconds.
const HEARTBEAT: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(3600);

/// A longer heartbeat gives a warning.
const PATIENT: Duration = Duration::from_secs(300);

/// How long a confirm may take. A shorter limit makes more copies of a live token than the documentation states. With a
/// longer one, a channel without confirms is still in use when its jobs are requeued.
const CONFIRM: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(60);

const URL: &str = "broker.url";
/// The name of the family of queues.
pub(super) const QUEUE: &str = "broker.queue";

const CONNECT_TIMEOUT: &str = "broker.connect_timeout";
const HEARTBEAT_KEY: &str = "broker.heartbeat";
const CA_FILE: &str = "broker.ca_file";

/// The jobs of an ordinary prefetch would use up a smaller budget.
const IN_FLIGHT: RangeInclusive<ByteSize> = ByteSize::mib(1)..=ByteSize::gib(64);

const CERTIFICATE: &str = "broker.client_certificate_file";
const KEY: &str = "broker.client_key_file";

/// The keys of the MAC over a parked job's history.
pub(super) const HISTORY_KEY_FILE: &str = "broker.history_key_file";

/// A command that makes a key.
pub(super) const MAKES_A_KEY: &str = "`openssl rand -hex 32`";

pub(super) fn read(
    reader: &mut ConfigReader,
    concurrency_max: usize,
    park: Vec<Duration>,
    secrets: SecretNeed,
) -> BrokerSettings {
    let (urls, encrypted) = urls(reader);
    let settings = BrokerSettings {
        // Each command sets its own name.
        command: "revoker",
        urls,
        ca_file: reader.file(CA_FILE, file::certificates),
        client_certificate_file: reader.file(CERTIFICATE, file::certificates),
        client_key_file: reader.file(KEY, file::private_key),
        queue: reader.required(QUEUE, value::text().and(queue_name)),
        outcomes: None,
        declare: reader.required_or("broker.declare", declare(), Declare::All),
        prefetch: reader.required("broker.prefetch", value::count(1..=u16::MAX)),
        in_flight_bytes: reader.required("broker.in_flight_bytes", value::size(IN_FLIGHT)).as_u64(),
        heartbeat: reader.required(HEARTBEAT_KEY, value::duration(HEARTBEAT).and(whole_seconds)),
        connect_timeout: reader.required(CONNECT_TIMEOUT, value::duration(CONNECTING)),
        confirm_timeout: reader.required("broker.confirm_timeout", value::duration(CONFIRM)),
        history_key_file: match secrets {
            SecretNeed::Needed => reader.file(HISTORY_KEY_FILE, history_keys),
            SecretNeed::Unneeded => reader.optional(HISTORY_KEY_FILE, value::path()),
        },
        park,
    };
    let pair = settings.client_certificate_file.is_some() == settings.client_key_file.is_some();
    reader.require(&[CERTIFICATE, KEY], pair, || {
        Problem::new(
            "is only half of a client certificate",
            format!("set both of {CERTIFICATE} and {KEY}, or neither"),
        )
    });
    look_for_oddities(reader, &settings, encrypted);
    if usize::from(settings.prefetch) < concurrency_max.saturating_mul(2) {
        reader.warn(format!(
            "broker.prefetch ({}) is less than twice flow.concurrency.max ({concurrency_max}): jobs \
             that wait for a retry can leave permits unused",
            settings.prefetch
        ));
    }
    settings
}

/// Warns about valid settings that are probably a mistake. `encrypted` says whether TLS protects any of the URLs.
fn look_for_oddities(reader: &mut ConfigReader, settings: &BrokerSettings, encrypted: bool) {
    reader.look_for_strays("broker.queue", &settings.queue);
    reader.expect(&[HEARTBEAT_KEY], settings.heartbeat <= PATIENT, || {
        Problem::new(
            "is long: a connection that breaks silently is noticed after twice as long",
            "lower it unless the unit is meant",
        )
    });
    reader.expect(&[CONNECT_TIMEOUT], settings.connect_timeout >= QUICK, || {
        Problem::new(
            "is short: a broker that is slow to answer is never connected to",
            "raise it unless the unit is meant",
        )
    });
    for (key, file) in
        [(CA_FILE, &settings.ca_file), (CERTIFICATE, &settings.client_certificate_file)]
    {
        reader.expect(&[key, "broker.url"], encrypted || file.is_none(), || {
            Problem::new("is not used, because no URL is amqps://", "use amqps://, or remove it")
        });
    }
}

/// The URLs, and whether TLS protects any of them.
fn urls(reader: &mut ConfigReader) -> (Vec<SecretString>, bool) {
    let list = reader.secret(URL, SecretForm::BrokerUrls).and_then(|secret| {
        let list = reader.secret_value(&secret)?;
        Some((secret, list))
    });
    let Some((secret, list)) = list else { return (Vec::new(), false) };
    if secret.key != ConfigKey::from(URL) {
        let shown = shown::secret(SecretForm::BrokerUrls, list.expose_secret());
        reader.derive(URL, Some(shown), format!("the file of {}", secret.key));
    }
    if let Err(problem) = value::without_strays(list.expose_secret()) {
        reader.refuse(&secret.key, problem);
        return (Vec::new(), false);
    }
    let urls: Vec<&str> = list.expose_secret().split(',').map(str::trim).collect();
    let (mut plain, mut encrypted) = (false, false);
    for (index, url) in urls.iter().enumerate() {
        match broker_url::check(url) {
            Ok(link) => {
                plain |= link == LinkSecurity::Plain;
                encrypted |= link == LinkSecurity::Encrypted;
            }
            Err(problem) => {
                let what = match urls.len() {
                    1 => problem.what,
                    _ => format!("{} (URL {} of the list)", problem.what, index + 1),
                };
                reader.refuse(&secret.key, Problem { what, ..problem });
            }
        }
    }
    if plain {
        reader.warn(
            "broker.url sends its password and all tokens unencrypted to a host other than this one: \
             use amqps://",
        );
    }
    (urls.into_iter().map(SecretString::from).collect(), encrypted)
}

fn history_keys(text: &[u8]) -> Result<(), Problem> {
    HistoryKeys::check(text).map_err(|fault| {
        let remedy = match fault {
            HistoryKeyFault::TooMany => "keep the key in force and the one before it".to_owned(),
            _ => format!("write one key a line, each made with {MAKES_A_KEY}"),
        };
        Problem::new(fault.to_string(), remedy)
    })
}

fn declare() -> Kind<Declare> {
    value::flag_or([Declare::Never, Declare::All], ("missing", Declare::Missing))
}

pub(super) fn queue_name(name: String) -> Result<String, Problem> {
    if name.len() > MAX_QUEUE_NAME {
        return Err(Problem::new(
            format!("has more than {MAX_QUEUE_NAME} bytes"),
            "choose a shorter name: the other queues' names are made from it",
        ));
    }
    if name.starts_with(RESERVED) {
        return Err(Problem::new(
            format!("begins with \"{RESERVED}\""),
            "choose another name: the broker refuses to declare it",
        ));
    }
    Ok(name)
}

fn whole_seconds(heartbeat: Duration) -> Result<Duration, Problem> {
    if heartbeat.subsec_nanos() != 0 {
        return Err(Problem::new("is no whole number of seconds", "round it, like \"10s\""));
    }
    Ok(heartbeat)
}
