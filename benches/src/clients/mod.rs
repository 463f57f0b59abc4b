//! Many clients, partial failures, bursts and outages. Measures whether one fault slows other jobs down, and the time
//! to full speed.
//!
//! One module per scenario or pair of scenarios, each with its parameters. Figures are ratios within one run or times
//! in calls, because the machine's speed varies. Every scenario is measured once.

mod backend;
mod broken;
mod burst;
mod capacity;
mod cold;
mod copies;
mod crowd;
mod fleet;
mod http;
mod open_loop;
mod outage;
mod partial;
mod place;
mod queue_head;
mod rate;
mod secret;

use super::{
    Fallible,
    scene::Stage,
    table::{Table, met},
    worker::variable,
};

/// The error of a measurement.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The result of a scenario in one variant.
#[derive(Debug)]
pub struct Row {
    /// The scenario, in words.
    pub scenario: String,
    /// The aim.
    pub aim: String,
    /// The measured figure.
    pub figure: String,
    /// Whether the aim is met; `None` if it was not measured.
    pub met: Option<bool>,
}

impl Row {
    /// A row that was measured.
    pub const fn judged(scenario: String, aim: String, figure: String, met: bool) -> Self {
        Self { scenario, aim, figure, met: Some(met) }
    }

    /// A row that could not be measured: the worker does not know the setting that it is about.
    pub fn skipped(scenario: String, key: &str) -> Self {
        let figure = format!("not measured: this worker does not know {key}");
        Self { scenario, aim: String::new(), figure, met: None }
    }

    /// Whether a worker did not start because it does not know this setting.
    pub fn is_unknown_key(error: &Failure, key: &str) -> bool {
        let error = error.to_string();
        error.contains(key) || error.contains(&variable(key))
    }
}

/// Measures all scenarios, and reports. A failed scenario is a row as well.
///
/// # Errors
///
/// None: a failed scenario is a row of the table.
pub async fn measure(stage: &Stage) -> Fallible<String> {
    let mut table = Table::new(["scenario", "aim", "figure", "verdict"]);
    for letter in 'a'..='m' {
        if !stage.options.wants_row(letter) {
            continue;
        }
        let rows = scenario(stage, letter).await.unwrap_or_else(|error| {
            vec![Row::judged("broke off".to_owned(), String::new(), error.to_string(), false)]
        });
        for row in rows {
            let verdict = row.met.map_or("skipped", met).to_owned();
            let scenario = format!("{letter}: {}", row.scenario);
            eprintln!("clients, {scenario}: {} ({verdict})", row.figure);
            table.row([scenario, row.aim, row.figure, verdict]);
        }
    }
    Ok(format!("### Many clients and partial failures\n\n{table}"))
}

async fn scenario(stage: &Stage, letter: char) -> Fallible<Vec<Row>> {
    match letter {
        'a' => partial::measure(stage).await,
        'b' => broken::measure(stage).await,
        'c' => capacity::constant(stage).await,
        'd' => capacity::changing(stage).await,
        'e' => queue_head::measure(stage).await,
        'f' => copies::measure(stage).await,
        'g' => cold::measure(stage).await,
        'h' => outage::measure(stage).await,
        'i' => burst::measure(stage).await,
        'j' => open_loop::measure(stage).await,
        'k' => fleet::measure(stage).await,
        'l' => crowd::measure(stage).await,
        'm' => secret::measure(stage).await,
        _ => Ok(Vec::new()),
    }
}
