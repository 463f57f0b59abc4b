//! The rows of what is in force: where calls and jobs go. Never a secret.

use super::row::{CheckRow, IN_FORCE, row};
use crate::{
    broker::{self, Declare},
    config::Config,
    domain::Lane,
    endpoint::Credentials,
    worker::endpoint_url,
};

/// The most client ids in a row.
const MOST_IDS: usize = 20;

/// The endpoint, the audience, the broker and the queues.
pub(super) fn rows(config: &Config) -> Vec<CheckRow> {
    let set = |what: &str, detail: &str| row(what, IN_FORCE, detail);
    let (endpoint, settings) = (&config.endpoint, &config.broker);
    let mut rows = vec![set("endpoint", &endpoint_url(config))];
    if let Some(url) = &endpoint.auth.token_url {
        rows.push(set("token endpoint", &without_query(url)));
    }
    if let Some(verify) = &config.verify {
        rows.push(set("introspection", &without_query(&verify.endpoint.url)));
    }
    rows.push(set("profile", &endpoint.profile.name));
    if endpoint.profile.takes_audience() {
        rows.push(set("audience", &config.pipeline.defaults.audience));
    }
    rows.extend(broker::shown_urls(settings).iter().map(|url| set("broker", url)));
    let declared = match settings.declare {
        Declare::All => "the worker declares them",
        Declare::Missing => "the worker declares the missing ones",
        Declare::Never => "others declare them",
    };
    let family = &settings.queue;
    let queues = format!("{family}, {family}.bulk, {family}.dead, {family}.retry.*; {declared}");
    rows.push(set("queues", &queues));
    rows.extend(settings.outcomes.iter().map(|queue| set("outcome events", queue)));
    for lane in Lane::ALL {
        rows.push(set(&format!("lane {lane}"), &broker::arguments_of(settings, lane)));
    }
    rows
}

/// The ids of the clients with a secret, and the default one.
pub(super) fn clients(config: &Config, credentials: &Credentials) -> CheckRow {
    let mut ids = credentials.ids();
    let more = ids.len().saturating_sub(MOST_IDS);
    ids.truncate(MOST_IDS);
    let mut detail = if ids.is_empty() { "none".to_owned() } else { ids.join(", ") };
    if more > 0 {
        detail = format!("{detail} and {more} more");
    }
    match &config.pipeline.defaults.client_id {
        Some(default) => detail = format!("{detail}; jobs that name none get {default}"),
        None => detail.push_str("; each job has to name its client"),
    }
    row("client ids", IN_FORCE, &detail)
}

/// A query may hold a secret.
fn without_query(url: &url::Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.to_string()
}
