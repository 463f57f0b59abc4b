//! The section `broker`.

use std::{ops::RangeInclusive, time::Duration};

use bytesize::ByteSize;
use secrecy::{ExposeSecret, SecretString};

use crate::broker::Settings;

use super::{
    broker_url::{self, Link},
    faults::Problem,
    file,
    reader::Reader,
    value::{self, SOME_TIME, Value},
};

/// In bytes: AMQP allows a queue's name 255, and ours get suffixes.
const MAX_QUEUE_NAME: usize = 200;

/// Names that the broker keeps for itself begin so.
const RESERVED: &str = "amq.";

/// The protocol counts the heartbeat in whole seconds, 16 bits wide.
const HEARTBEAT: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(3600);

/// Less would be used up by the jobs of an ordinary prefetch.
const IN_FLIGHT: RangeInclusive<ByteSize> = ByteSize::mib(1)..=ByteSize::gib(64);

const CERTIFICATE: &str = "broker.client_certificate_file";
const KEY: &str = "broker.client_key_file";

pub(super) fn read(reader: &mut Reader, concurrency_max: usize, park: Vec<Duration>) -> Settings {
    let settings = Settings {
        urls: urls(reader),
        ca_file: reader.file("broker.ca_file", file::certificates),
        client_certificate_file: reader.file(CERTIFICATE, file::certificates),
        client_key_file: reader.file(KEY, file::private_key),
        queue: reader.required("broker.queue", queue),
        declare: reader.required("broker.declare", value::flag),
        prefetch: reader.required("broker.prefetch", value::count(1..=u16::MAX)),
        in_flight_bytes: reader.required("broker.in_flight_bytes", value::size(IN_FLIGHT)).as_u64(),
        heartbeat: reader.required("broker.heartbeat", heartbeat),
        connect_timeout: reader.required("broker.connect_timeout", value::duration(SOME_TIME)),
        confirm_timeout: reader.required("broker.confirm_timeout", value::duration(SOME_TIME)),
        park,
    };
    let pair = settings.client_certificate_file.is_some() == settings.client_key_file.is_some();
    reader.require(&[CERTIFICATE, KEY], pair, || {
        Problem::new(
            "is only half of a client certificate",
            format!("set both of {CERTIFICATE} and {KEY}, or neither"),
        )
    });
    if usize::from(settings.prefetch) < concurrency_max.saturating_mul(2) {
        reader.warn(format!(
            "broker.prefetch ({}) is less than twice flow.concurrency.max ({concurrency_max}): jobs \
             that wait for a retry can leave permits unused",
            settings.prefetch
        ));
    }
    settings
}

fn urls(reader: &mut Reader) -> Vec<SecretString> {
    let Some(secret) = reader.secret("broker.url") else { return Vec::new() };
    let Some(list) = reader.secret_value(&secret) else { return Vec::new() };
    let urls: Vec<&str> = list.expose_secret().split(',').map(str::trim).collect();
    let mut plain = false;
    for (index, url) in urls.iter().enumerate() {
        match broker_url::check(url) {
            Ok(link) => plain |= link == Link::Plain,
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
    urls.into_iter().map(SecretString::from).collect()
}

fn queue(value: &Value) -> Result<String, Problem> {
    let name = value::text(value)?;
    if name.len() > MAX_QUEUE_NAME {
        return Err(Problem::new(
            format!("has more than {MAX_QUEUE_NAME} bytes"),
            "choose a shorter name: the other queues' names are made from it",
        ));
    }
    if name.starts_with(RESERVED) {
        return Err(Problem::new(
            format!("begins with \"{RESERVED}\""),
            "choose another name: the broker refuses to declare such",
        ));
    }
    Ok(name)
}

fn heartbeat(value: &Value) -> Result<Duration, Problem> {
    let heartbeat = value::duration(HEARTBEAT)(value)?;
    if heartbeat.subsec_nanos() != 0 {
        return Err(Problem::new("is no whole number of seconds", "round it, like \"10s\""));
    }
    Ok(heartbeat)
}
