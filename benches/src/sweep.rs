//! A sweep of a file beside the bare HTTP client, which makes the same number of calls and does nothing else.

use std::{
    fs::File,
    io::{BufWriter, Write as _},
    path::Path,
};

use revoker::mock_endpoint::Script;

use super::{
    Fallible,
    command::{self, Taken},
    figures::median_of,
    scene::Stage,
    table::{Table, met},
    window::{HEADS, Window},
};

/// Calls of each measurement.
const CALLS: u32 = 100_000;

/// Calls at a time.
const AT_A_TIME: &str = "256";

/// The aim: this share of the bare client's calls per second.
const AIM: f64 = 0.90;

/// Measures both alternately, and reports.
///
/// # Errors
///
/// The measurement fails.
pub async fn measure(stage: &Stage) -> Fallible<String> {
    let folder = tempfile::tempdir()?;
    let calls = stage.options.scaled(CALLS);
    let (mut bare, mut swept) = (Vec::new(), Vec::new());
    for repetition in 1..=stage.options.repetitions {
        let scene = stage.set(Script::default()).await?;
        let (url, count) = (scene.url(), calls.to_string());
        let client = command::reference("bare-client")?;
        let taken = command::run(&client, &[&url, &count, AT_A_TIME], &[]).await?;
        bare.push(window("the bare client", &taken, calls)?);
        scene.clear().await?;

        let scene = stage.set(Script::default()).await?;
        let file = folder.path().join(format!("{repetition}.ndjson"));
        write(&file, &format!("sweep-{repetition}"), calls)?;
        let file = file.display().to_string();
        let arguments = ["sweep", "--concurrency", AT_A_TIME, &file];
        let settings = stage.settings(&scene);
        let taken = command::run(&stage.options.worker, &arguments, &settings).await?;
        swept.push(window("sweep", &taken, calls)?);
        scene.clear().await?;
    }
    Ok(report(calls, &bare, &swept))
}

fn window(who: &str, taken: &Taken, calls: u32) -> Fallible<Window> {
    if taken.code != Some(0) {
        return Err(format!("{who} ended with {:?}", taken.code).into());
    }
    let window = Window::of_command(taken, calls);
    eprintln!("sweep, {who}: {:.0}/s, {:.3} CPU s per 10,000", window.throughput, window.cpu);
    Ok(window)
}

/// Writes a file of jobs whose tokens begin with `name`.
///
/// # Errors
///
/// The error of the file.
pub fn write(path: &Path, name: &str, lines: u32) -> Fallible<()> {
    let mut file = BufWriter::new(File::create(path)?);
    for number in 0..lines {
        writeln!(file, "{{\"refresh_token\":\"{name}-{number}\"}}")?;
    }
    Ok(file.flush()?)
}

fn report(calls: u32, bare: &[Window], swept: &[Window]) -> String {
    let mut table = Table::new(["who"].into_iter().chain(HEADS));
    for (who, windows) in [("sweep", swept), ("the bare HTTP client", bare)] {
        table.row([who.to_owned()].into_iter().chain(Window::cells(windows)));
    }
    let rate = |windows| median_of(windows, |window: &Window| window.throughput);
    let share = rate(swept) / rate(bare);
    format!(
        "### A sweep\n\n{calls} calls, {AT_A_TIME} at a time; the endpoint answers at once.\n\n{table}\nA sweep makes \
         {:.1} % of the bare HTTP client's calls per second (aim: at least {:.0} %, {}).\n",
        share * 100.0,
        AIM * 100.0,
        met(share >= AIM),
    )
}
