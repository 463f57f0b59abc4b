use std::time::Duration;

use ratatui::{Terminal, backend::TestBackend};
use tokio::time::Instant;

use super::*;
use crate::cli::top::{sample::tests::sample, watched::Look};

fn look(done: u32) -> Look {
    let state = Some((ReadinessState::Ready, "Running.".to_owned()));
    Look { sample: sample(done), state }
}

fn worker(address: &str) -> Watched {
    let start = Instant::now();
    let mut worker = Watched::new(address.to_owned());
    for (n, done) in [0, 20, 60, 80].into_iter().enumerate() {
        let at = start + Duration::from_secs(2) * u32::try_from(n).unwrap();
        worker.record(at, Ok(look(done)));
    }
    worker
}

fn silent(address: &str) -> Watched {
    let mut worker = Watched::new(address.to_owned());
    worker.record(Instant::now(), Err("connection refused".to_owned()));
    worker
}

/// The lines of a terminal of this size.
fn drawn(workers: &[Watched], selected: usize, (width, height): (u16, u16)) -> Vec<String> {
    let view = TopView { workers, selected, interval: "2s".to_owned(), colours: true };
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| view.draw(frame)).unwrap();
    let buffer = terminal.backend().buffer();
    let row = |y| (0..width).map(|x| buffer[(x, y)].symbol()).collect::<String>();
    (0..height).map(|y| row(y).trim_end().to_owned()).collect()
}

#[track_caller]
fn holds(lines: &[String], parts: &[&str]) {
    for part in parts {
        assert!(lines.iter().any(|line| line.contains(part)), "{part:?} in\n{}", lines.join("\n"));
    }
}

#[tokio::test(start_paused = true)]
async fn one_worker_fits_a_terminal_of_eighty_columns() {
    let lines = drawn(&[worker("127.0.0.1:9464")], 0, (80, 24));
    assert_eq!(lines[0], "revoker top  127.0.0.1:9464, every 2s");
    assert_eq!(lines[1], "Running.");
    assert!(lines[3].starts_with("Done/s 13"), "{lines:#?}");
    holds(
        &lines,
        &[
            "Failed calls/s 0",
            "Queued 12,000",
            "Limit 32",
            "12,000 bulk",
            "2 calling",
            "1 clients",
            "3 rejected",
            "80 revoked",
            "5 timeout",
            "9 a later one",
        ],
    );
    assert!(lines.iter().any(|line| line.contains('█')), "no chart: {lines:#?}");
    assert_eq!(lines[23], "q quit");
}

#[tokio::test(start_paused = true)]
async fn a_silent_worker_is_shown_beside_the_others() {
    let workers = [worker("10.0.0.7:9464"), silent("10.0.0.8:9464"), worker("10.0.0.9:9464")];
    let all = drawn(&workers, 0, (80, 24));
    assert_eq!(all[0], "revoker top  3 workers, 1 without an answer, every 2s");
    holds(&all, &["all", "10.0.0.8:9464", "no answer", "no answer 1, running 2"]);
    let row = |address: &str| all.iter().find(|line| line.starts_with(address)).unwrap();
    let words: Vec<_> = row("10.0.0.7:9464").split_whitespace().collect();
    assert_eq!(words[1..], ["running", "13", "0", "2", "32", "4"]);
    let words: Vec<_> = row("all").split_whitespace().collect();
    assert_eq!(words[1..], ["27", "0", "4", "64", "8"]);
    holds(&all, &["12,000 bulk", "6 rejected", "Limit 64"]);
    let one = drawn(&workers, 2, (80, 24));
    holds(&one, &["10.0.0.8:9464 does not answer: connection refused.", "Done/s -", "Limit -"]);
    let other = drawn(&workers, 3, (80, 24));
    holds(&other, &["Running.", "3 rejected", "Limit 32"]);
}

#[tokio::test(start_paused = true)]
async fn any_size_and_any_number_of_workers_can_be_drawn() {
    let mut many: Vec<_> = (0..40).map(|n| worker(&format!("10.0.0.{n}:9464"))).collect();
    many.push(Watched::new("new:1".to_owned()));
    for size in [(0, 0), (1, 1), (10, 5), (40, 10), (80, 24), (300, 100)] {
        for selected in [0, 1, 41] {
            drawn(&many, selected, size);
        }
        drawn(&many[..1], 0, size);
    }
    holds(&drawn(&many, 41, (80, 24)), &["new:1 is asked."]);
}

#[tokio::test(start_paused = true)]
async fn without_colours_no_cell_has_one() {
    let workers = [worker("a:1"), silent("b:1")];
    for colours in [false, true] {
        let view = TopView { workers: &workers, selected: 0, interval: "2s".to_owned(), colours };
        let mut terminal = Terminal::new(TestBackend::new(80, 24)).unwrap();
        terminal.draw(|frame| view.draw(frame)).unwrap();
        let coloured =
            terminal.backend().buffer().content.iter().any(|cell| cell.fg != Color::Reset);
        assert_eq!(coloured, colours);
    }
}
