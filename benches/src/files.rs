//! The commands after a leak: `enqueue` and `sweep` of a large file.

use std::{fs::File, path::Path};

use revoker::mock_endpoint::Script;

use super::{
    Fallible,
    command::{self, Taken},
    figures::number,
    scene::{Scene, Stage},
    sweep,
    table::{Table, met},
};

/// Lines of the large files.
const LINES: u32 = 1_000_000;

/// The bytes of a file that is one hole: a line that never ends.
const HOLE_BYTES: u64 = 1 << 30;

/// The exit code of a file that contains no jobs.
const REFUSED: i32 = 2;

/// The aim, in jobs per second into the queue.
const AIM_ENQUEUED: f64 = 20_000.0;

/// One measured command.
struct Row(&'static str, u32, Taken);

/// Measures each command, and reports.
///
/// # Errors
///
/// The measurement fails.
pub async fn measure(stage: &Stage) -> Fallible<String> {
    let folder = tempfile::tempdir()?;
    let (many, hole) = (folder.path().join("many.ndjson"), folder.path().join("hole.txt"));
    let lines = stage.options.scaled(LINES);
    sweep::write(&many, "many", lines)?;
    File::create(&hole)?.set_len(HOLE_BYTES)?;

    let scene = stage.set(Script::default()).await?;
    let enqueue = run(stage, &scene, &["enqueue"], &many, 0).await?;
    let refused = run(stage, &scene, &["enqueue"], &hole, REFUSED).await?;
    let sweep = run(stage, &scene, &["sweep", "--concurrency", "256"], &many, 0).await?;
    scene.clear().await?;

    let into_queue = f64::from(lines) / enqueue.time.as_secs_f64();
    let rows = [
        Row("enqueue", lines, enqueue),
        Row("enqueue of 1 GiB without a line's end", 0, refused),
        Row("sweep", lines, sweep),
    ];
    Ok(report(&rows, into_queue))
}

async fn run(
    stage: &Stage,
    scene: &Scene,
    arguments: &[&str],
    file: &Path,
    code: i32,
) -> Fallible<Taken> {
    let name = file.display().to_string();
    let arguments: Vec<&str> = arguments.iter().copied().chain([name.as_str()]).collect();
    let taken = command::run(&stage.options.worker, &arguments, &stage.settings(scene)).await?;
    eprintln!("files, {}: {:.1} s", arguments.join(" "), taken.time.as_secs_f64());
    if taken.code == Some(code) {
        Ok(taken)
    } else {
        Err(format!("{} ended with {:?}, not {code}", arguments.join(" "), taken.code).into())
    }
}

fn report(rows: &[Row], into_queue: f64) -> String {
    let heads = ["command", "lines", "s", "lines/s", "CPU s per 10,000 lines", "peak RSS, MiB"];
    let mut table = Table::new(heads);
    for Row(name, lines, taken) in rows {
        let (seconds, count) = (taken.time.as_secs_f64(), f64::from(*lines));
        let per_line = |text: String| if *lines == 0 { "refused".to_owned() } else { text };
        table.row([
            (*name).to_owned(),
            lines.to_string(),
            format!("{seconds:.1}"),
            per_line(format!("{:.0}", count / seconds)),
            per_line(format!("{:.2}", taken.usage.cpu.as_secs_f64() / count * 10_000.0)),
            format!("{:.0}", number(taken.usage.peak_rss) / 1024.0),
        ]);
    }
    format!(
        "### A file of tokens\n\n{table}\nEnqueued: {into_queue:.0} jobs/s confirmed (aim: at least \
         {AIM_ENQUEUED:.0}, {}).\n",
        met(into_queue >= AIM_ENQUEUED),
    )
}
