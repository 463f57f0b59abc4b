//! The cost of outcome events: the worker without and with them, at an endpoint that answers at once, and at two that take
//! as long as one nearby and one over a wide network. Calls use HTTPS, as in use. Plain HTTP to an endpoint on the same
//! machine is measured for comparison: without encryption a job costs less, so an event weighs more.

use std::{fmt, time::Duration};

use revoker::{domain::Lane, mock_endpoint::Script};
use tokio::time::{Instant, sleep};

use super::{
    Fallible,
    drain::drain,
    figures::median_of,
    https::HttpsFront,
    jobs::outcomes_of,
    scene::Stage,
    table::{Table, met},
    window::{HEADS_WITH_BROKER, Window},
};

/// Jobs of each measurement.
const JOBS: u32 = 60_000;

/// The aim: this many times the CPU time of a job without an event.
const AIM: f64 = 1.5;

/// The poll interval for the last event, and the limit.
const POLL_INTERVAL: Duration = Duration::from_millis(20);
const LIMIT: Duration = Duration::from_secs(30);

/// The endpoints that are measured.
const ENDPOINTS: [Endpoint; 4] = [
    Endpoint { scheme: Scheme::Https, latency: Duration::ZERO },
    Endpoint { scheme: Scheme::Https, latency: Duration::from_millis(10) },
    Endpoint { scheme: Scheme::Https, latency: Duration::from_millis(50) },
    Endpoint { scheme: Scheme::Http, latency: Duration::ZERO },
];

/// How an endpoint is called, and how long it takes to answer.
#[derive(Debug, Clone, Copy)]
struct Endpoint {
    scheme: Scheme,
    latency: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scheme {
    Https,
    Http,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.scheme {
            Scheme::Https => "HTTPS",
            Scheme::Http => "HTTP",
        };
        write!(f, "{scheme}, {} ms", self.latency.as_millis())
    }
}

/// Measures all alternately, and reports.
///
/// # Errors
///
/// The measurement fails, or a job has no event.
pub async fn measure(stage: &Stage) -> Fallible<String> {
    let mut table = Table::new(["a call takes", "events"].into_iter().chain(HEADS_WITH_BROKER));
    let mut verdicts = Vec::new();
    for endpoint in ENDPOINTS {
        let [without, with] = compare(stage, endpoint).await?;
        for (events, windows) in [("no", &without), ("yes", &with)] {
            let row = [endpoint.to_string(), events.to_owned()];
            table.row(row.into_iter().chain(Window::cells_with_broker(windows)));
        }
        verdicts.push(verdict(endpoint, &without, &with));
    }
    let jobs = stage.options.scaled(JOBS);
    let verdicts = verdicts.join("\n");
    Ok(format!("### Outcome events\n\n{jobs} jobs.\n\n{table}\n{verdicts}\n"))
}

/// One sentence on what events cost at an endpoint.
fn verdict(endpoint: Endpoint, without: &[Window], with: &[Window]) -> String {
    let ratio = |figure: fn(&Window) -> f64| median_of(with, figure) / median_of(without, figure);
    let cpu = ratio(|window| window.cpu);
    let rate = ratio(|window| window.throughput);
    let aim = match endpoint.scheme {
        Scheme::Https => format!("aim: at most {AIM}, {}", met(cpu <= AIM)),
        Scheme::Http => "for comparison, without an aim".to_owned(),
    };
    format!(
        "- {endpoint}: {cpu:.2} times the CPU time of a job without an event ({aim}), and {rate:.2} times the rate."
    )
}

/// The windows without and with events.
async fn compare(stage: &Stage, endpoint: Endpoint) -> Fallible<[Vec<Window>; 2]> {
    let mut windows = [Vec::new(), Vec::new()];
    for repetition in 1..=stage.options.repetitions {
        for (events, windows) in [false, true].into_iter().zip(&mut windows) {
            let window = run(stage, endpoint, events).await?;
            eprintln!(
                "events ({events}), {endpoint}, repetition {repetition}: {:.0}/s, {:.3} CPU s per 10,000",
                window.throughput, window.cpu
            );
            windows.push(window);
        }
    }
    Ok(windows)
}

async fn run(stage: &Stage, endpoint: Endpoint, events: bool) -> Fallible<Window> {
    let jobs = stage.options.scaled(JOBS);
    let Endpoint { scheme, latency } = endpoint;
    let scene = stage.set(Script { latency, ..Script::default() }).await?;
    scene.fill(Lane::Bulk, jobs).await?;
    let front = match scheme {
        Scheme::Https => Some(HttpsFront::before(scene.endpoint()).await?),
        Scheme::Http => None,
    };
    let mut settings = Vec::new();
    settings.extend(front.iter().flat_map(HttpsFront::settings));
    settings.extend(events.then(|| ("outcomes.queue", outcomes_of(scene.family()))));
    let mut worker = stage.start(&scene, &settings).await?;
    let window = drain(&mut worker, &scene, jobs).await?;
    let began = Instant::now();
    while events && scene.jobs.events().await? < jobs {
        if began.elapsed() > LIMIT {
            return Err("some events are missing".into());
        }
        sleep(POLL_INTERVAL).await;
    }
    scene.strike(worker).await?;
    Ok(window)
}
