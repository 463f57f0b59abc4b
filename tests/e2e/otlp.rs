//! Tests of the spans that a collector gets, in a build with the feature `otlp`.

use std::sync::{Arc, Mutex};

use crate::harness::{
    Answer, AnswerKind, Endpoint, INTERACTIVE, Message, Stage,
    message::text,
    protobuf::{Field, fields},
    token,
};

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// The parts of a span that these tests check.
#[derive(Debug, Clone, Default)]
struct Span {
    trace: String,
    id: String,
    parent: String,
    name: String,
    kind: u64,
    attributes: Vec<(String, String)>,
    failed: bool,
}

const CLIENT: u64 = 3;
const CONSUMER: u64 = 5;

impl Span {
    fn read(bytes: &[u8]) -> Self {
        let mut span = Self::default();
        for (number, field) in fields(bytes) {
            match (number, field) {
                (1, Field::Bytes(id)) => span.trace = hex(&id),
                (2, Field::Bytes(id)) => span.id = hex(&id),
                (4, Field::Bytes(id)) => span.parent = hex(&id),
                (5, Field::Bytes(name)) => span.name = String::from_utf8(name).unwrap(),
                (6, Field::Number(kind)) => span.kind = kind,
                (9, Field::Bytes(pair)) => span.attributes.push(attribute(&pair)),
                (15, Field::Bytes(status)) => {
                    span.failed = fields(&status).contains(&(3, Field::Number(2)));
                }
                _ => {}
            }
        }
        span
    }

    fn attribute(&self, key: &str) -> Option<&str> {
        self.attributes.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }
}

/// A key and its value, as text.
fn attribute(pair: &[u8]) -> (String, String) {
    let (mut key, mut value) = (String::new(), String::new());
    for (number, field) in fields(pair) {
        match (number, field) {
            (1, Field::Bytes(name)) => key = String::from_utf8(name).unwrap(),
            (2, Field::Bytes(any)) => {
                value = match fields(&any).into_iter().next() {
                    Some((_, Field::Bytes(text))) => String::from_utf8(text).unwrap(),
                    Some((_, Field::Number(number))) => number.to_string(),
                    other => panic!("{other:?}"),
                };
            }
            _ => {}
        }
    }
    (key, value)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// All values at a path of fields.
fn at(bytes: &[u8], path: &[u64]) -> Vec<Vec<u8>> {
    let Some((first, rest)) = path.split_first() else { return vec![bytes.to_vec()] };
    let inner = fields(bytes).into_iter().filter(|(number, _)| number == first);
    let inner = inner.filter_map(|(_, field)| match field {
        Field::Bytes(bytes) => Some(bytes),
        Field::Number(_) => None,
    });
    inner.flat_map(|bytes| at(&bytes, rest)).collect()
}

/// A job whose first call breaks: a consumer span under its producer's, two client spans under that,
/// of which the endpoint got the ids. A job without a trace begins one. The collector sees no token.
#[tokio::test(flavor = "multi_thread")]
async fn a_collector_gets_a_span_of_each_delivery_and_of_each_call() {
    let stage = Stage::new().await;
    let sent = Arc::new(Mutex::new(Vec::new()));
    let bodies = sent.clone();
    let collector = Endpoint::start(move |call| {
        assert_eq!(call.request.header("content-type"), Some("application/x-protobuf"));
        bodies.lock().unwrap().push(call.request.body.clone());
        Answer::Http {
            said: AnswerKind::Nothing,
            status: 200,
            headers: Vec::new(),
            body: Vec::new(),
        }
    })
    .await;
    let named = Arc::new(Mutex::new(Vec::new()));
    let heard = named.clone();
    let endpoint = Endpoint::start(move |call| {
        let parent = call.request.header("traceparent").unwrap().to_owned();
        heard.lock().unwrap().push((call.token.clone(), parent));
        if call.token == token(1) && call.nth == 1 { Answer::Reset } else { Answer::revoked() }
    })
    .await;
    let worker = stage
        .run(&endpoint)
        .environment("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", collector.url())
        .environment("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")
        .ready()
        .await;
    let traced = Message::job(&token(1)).header("traceparent", text(PARENT));
    stage.amqp.publish(INTERACTIVE, traced).await;
    stage.amqp.publish(INTERACTIVE, Message::job(&token(2))).await;
    worker.until_processed("revoked", 2).await;
    // The remaining spans are sent before it ends.
    worker.stop().await;

    let sent = sent.lock().unwrap().concat();
    for canary in [crate::harness::canary::TOKEN, crate::harness::canary::SECRET] {
        assert!(!sent.windows(canary.len()).any(|part| part == canary.as_bytes()));
    }
    // Concatenated messages are one message.
    let resource: Vec<_> = at(&sent, &[1, 1, 1]).iter().map(|pair| attribute(pair)).collect();
    for (key, value) in [("service.name", "revoker"), ("deployment.environment.name", "test")] {
        assert!(resource.contains(&(key.to_owned(), value.to_owned())), "{resource:?}");
    }
    let spans: Vec<Span> = at(&sent, &[1, 2, 2]).iter().map(|span| Span::read(span)).collect();
    let (jobs, calls): (Vec<_>, Vec<_>) = spans.iter().partition(|span| span.kind == CONSUMER);
    assert_eq!((jobs.len(), calls.len()), (2, 3), "{spans:#?}");

    let (traced, others): (Vec<&Span>, Vec<&Span>) =
        jobs.into_iter().partition(|span| span.trace == PARENT[3..35]);
    assert_eq!(traced[0].parent, PARENT[36..52]);
    assert_eq!(others[0].parent, "");
    for job in [traced[0], others[0]] {
        assert_eq!(job.name, "process revocations");
        assert_eq!(job.attribute("messaging.system"), Some("rabbitmq"));
        assert_eq!(job.attribute("messaging.operation.type"), Some("process"));
        assert_eq!(job.attribute("messaging.destination.name"), Some("revocations"));
        assert_eq!(job.attribute("revoker.outcome"), Some("revoked"));
        assert!(!job.failed);
    }
    let named = named.lock().unwrap();
    for call in &calls {
        assert_eq!((call.name.as_str(), call.kind), ("POST", CLIENT));
        let is_traced = call.trace == traced[0].trace;
        let job = if is_traced { traced[0] } else { others[0] };
        assert_eq!((&call.trace, &call.parent), (&job.trace, &job.id));
        let of = token(if is_traced { 1 } else { 2 });
        let told = format!("00-{}-{}-01", call.trace, call.id);
        assert!(named.contains(&(of, told.clone())), "{told} is not in {named:?}");
    }
    let broken: Vec<_> = calls.iter().filter(|call| call.failed).collect();
    assert_eq!(broken.len(), 1);
    assert_eq!(broken[0].attribute("error.type"), Some("reset"));
    let again = calls.iter().find(|call| call.attribute("http.request.resend_count").is_some());
    assert_eq!(again.unwrap().attribute("revoker.result"), Some("revoked"));
}

/// An unreachable collector costs only spans.
#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_away_disturbs_no_job() {
    const JOBS: usize = 200;
    let stage = Stage::new().await;
    let endpoint = Endpoint::willing().await;
    let worker = stage
        .run(&endpoint)
        .environment("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
        .environment("OTEL_BSP_SCHEDULE_DELAY", "1")
        .ready()
        .await;
    stage.amqp.publish_all(INTERACTIVE, (0..JOBS).map(|n| Message::job(&token(n)))).await;
    let metrics = worker.until_processed("revoked", JOBS).await;
    assert_eq!(metrics.calls("revoked"), JOBS);
    worker.stop().await;
}
