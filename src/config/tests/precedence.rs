//! Tests of the precedence of sources.

use secrecy::ExposeSecret;

use super::*;
use crate::broker::Declare;

#[test]
fn defaults_then_files_in_order_then_environment() {
    let folder = Folder::new();
    let first =
        folder.write("a.toml", "[broker]\nqueue = 'a'\nprefetch = 600\n[endpoint]\nlocale = 'a'");
    let second = folder.write("b.toml", "[broker]\nqueue = 'b'\n[endpoint]\nlocale = 'b'");
    let variables = variables(CLIENT.iter().chain(&[("REVOKER_BROKER__QUEUE", "c")]));
    let config = Config::load(Needs::ALL, &[first.clone(), second.clone()], variables).unwrap();
    assert_eq!(config.broker.queue, "c", "the environment wins");
    assert_eq!(config.endpoint.locale, "b", "then the last file");
    assert_eq!(config.broker.prefetch, 600, "then earlier ones, key by key");
    assert_eq!(config.endpoint.api_version, "1618440906", "then the default");

    let config = Config::load(Needs::ALL, &[second, first], CLIENT).unwrap();
    assert_eq!(config.broker.queue, "a");
}

#[test]
fn the_environment_speaks_every_type() {
    let config = load_with(
        "",
        &[
            ("REVOKER_CONFIG", "/not/a/key.toml"),
            ("REVOKER_BROKER__DECLARE", "false"),
            ("REVOKER_BROKER__PREFETCH", "1024"),
            ("REVOKER_RETRY__PARK", "1s, 2s,3m"),
            ("REVOKER_RETRY__JITTER", "0"),
            ("REVOKER_FLOW__CONCURRENCY__MAX", "8"),
            ("REVOKER_FLOW__RATE", "12.5"),
            ("REVOKER_SHUTDOWN__GRACE", "1m 30s"),
            ("REVOKER_ENDPOINT__API_VERSION", "1709847567"),
            ("REVOKER_ADMIN__LISTEN", "[::]:9464"),
            ("REVOKER_LOG__FORMAT", "json"),
            ("OTHER_BROKER__QUEUE", "not ours"),
        ],
    )
    .unwrap();
    assert_eq!(config.broker.declare, Declare::Never);
    assert_eq!(config.broker.prefetch, 1024);
    assert_eq!(config.broker.park, [1, 2, 180].map(Duration::from_secs));
    assert!(config.pipeline.policy.retry.schedule.jitter.abs() < f64::EPSILON);
    assert_eq!((config.flow.concurrency_max, config.endpoint.max_concurrency), (8, 8));
    assert_eq!(config.flow.rate, Some(12.5));
    assert_eq!(config.shutdown.grace, Duration::from_secs(90));
    assert_eq!(config.endpoint.api_version, "1709847567");
    assert_eq!(config.admin.listen.to_string(), "[::]:9464");
    assert_eq!(config.log.format, LogFormat::Json);
    assert_eq!(config.broker.queue, "revocations");
}

#[test]
fn a_value_and_its_file_override_each_other_by_layer() {
    let folder = Folder::new();
    folder.write("url", "amqps://from-file.example\r\n");
    let by_file = folder.write("file.toml", format!("broker.url_file = '{}'", folder.path("url")));
    let by_value = folder.write("value.toml", "broker.url = 'amqps://from-value.example'");
    let url = |files: &[PathBuf]| {
        let config = Config::load(Needs::ALL, files, CLIENT).unwrap();
        config.broker.urls.iter().map(|url| url.expose_secret().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(url(&[by_value.clone(), by_file.clone()]), ["amqps://from-file.example"]);
    assert_eq!(url(&[by_file, by_value]), ["amqps://from-value.example"]);
}

#[test]
fn an_explicit_url_outlives_a_later_environment() {
    let config = load_with(
        "endpoint.url = 'https://own.example/revoke'",
        &[("REVOKER_ENDPOINT__ENVIRONMENT", "production")],
    )
    .unwrap();
    assert_eq!(config.endpoint.url.as_str(), "https://own.example/revoke");
    assert_eq!(&*config.pipeline.defaults.audience, "https://api.alignet.io");
}

#[test]
fn several_broker_urls_keep_their_order() {
    let config =
        load("broker.url = 'amqps://a.example, amqps://b.example ,amqps://c.example'").unwrap();
    let urls: Vec<_> = config.broker.urls.iter().map(ExposeSecret::expose_secret).collect();
    assert_eq!(urls, ["amqps://a.example", "amqps://b.example", "amqps://c.example"]);
}
