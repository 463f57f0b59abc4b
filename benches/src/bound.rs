//! An endpoint with latency: how close does the worker come to the bound of its concurrency limit?

use std::time::Duration;

use revoker::{domain::Lane, mock_endpoint::Script};

use super::{
    Fallible,
    drain::drain,
    figures::median_of,
    scene::Stage,
    table::{Table, met},
    window::{HEADS, Window},
};

/// How long a call takes.
const LATENCY: Duration = Duration::from_millis(50);

/// What is asked of the worker: calls at a time, deliveries in flight, and jobs to measure it by.
#[derive(Debug, Clone, Copy)]
struct Setting {
    concurrency: u32,
    prefetch: u32,
    jobs: u32,
}

const SETTINGS: [Setting; 2] = [
    Setting { concurrency: 256, prefetch: 512, jobs: 40_000 },
    Setting { concurrency: 1000, prefetch: 2048, jobs: 120_000 },
];

/// The aim: this share of the bound.
const AIM: f64 = 0.95;

/// Measures both settings alternately, and reports.
///
/// # Errors
///
/// The measurement fails.
pub async fn measure(stage: &Stage) -> Fallible<String> {
    let mut runs = SETTINGS.map(|setting| (setting, Vec::new()));
    for repetition in 1..=stage.options.repetitions {
        for (setting, runs) in &mut runs {
            let window = run(stage, *setting).await?;
            eprintln!(
                "bound, repetition {repetition}, {} at a time: {:.0} jobs/s of {:.0}",
                setting.concurrency,
                window.throughput,
                setting.bound()
            );
            runs.push(window);
        }
    }
    Ok(report(&runs))
}

async fn run(stage: &Stage, setting: Setting) -> Fallible<Window> {
    let jobs = stage.options.scaled(setting.jobs);
    let scene = stage.set(Script { latency: LATENCY, ..Script::default() }).await?;
    scene.fill(Lane::Bulk, jobs).await?;
    let keys = [
        ("flow.concurrency.max", setting.concurrency.to_string()),
        ("broker.prefetch", setting.prefetch.to_string()),
    ];
    let mut worker = stage.start(&scene, &keys).await?;
    let window = drain(&mut worker, &scene, jobs).await?;
    scene.strike(worker).await?;
    Ok(window)
}

impl Setting {
    /// The most that so many calls at a time can do, in jobs per second.
    fn bound(self) -> f64 {
        f64::from(self.concurrency) / LATENCY.as_secs_f64()
    }
}

fn report(runs: &[(Setting, Vec<Window>)]) -> String {
    let heads = ["calls at a time", "prefetch", "bound, jobs/s", "of the bound"];
    let mut table = Table::new(heads.into_iter().chain(HEADS));
    let mut verdicts = Vec::new();
    for (setting, windows) in runs {
        let share = median_of(windows, |window| window.throughput) / setting.bound();
        let cells = [
            setting.concurrency.to_string(),
            setting.prefetch.to_string(),
            format!("{:.0}", setting.bound()),
            format!("{:.1} %", share * 100.0),
        ];
        table.row(cells.into_iter().chain(Window::cells(windows)));
        verdicts.push(format!("{} {}", setting.concurrency, met(share >= AIM)));
    }
    format!(
        "### A call of {} ms\n\n{table}\nAim: at least {:.0} % of the bound; at a time: {}.\n",
        LATENCY.as_millis(),
        AIM * 100.0,
        verdicts.join(", "),
    )
}
