//! The frame of `revoker top`, from the watched workers alone.

use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    style::{Color, Modifier, Style},
    text::{Line, Span},
    widgets::{Paragraph, Row, Sparkline, Table, TableState, Wrap},
};

use super::{
    once::{counts, round},
    sample::{Counts, Sample},
    watched::{Lines, Watched},
};
use crate::admin::{ReadinessState, text};

/// What is drawn.
pub(super) struct TopView<'a> {
    pub(super) workers: &'a [Watched],
    /// The row of the table: all workers together first, where there are several.
    pub(super) selected: usize,
    /// As it was typed: `2s`.
    pub(super) interval: String,
    pub(super) colours: bool,
}

/// The most rows of the table of workers. It scrolls to the selected one.
const MAX_ROWS: u16 = 8;

/// The height of a small chart, its heading included.
const CHART_HEIGHT: u16 = 4;

impl TopView<'_> {
    /// The number of rows that can be selected.
    pub(super) const fn rows(workers: usize) -> usize {
        if workers > 1 { workers + 1 } else { 1 }
    }

    fn style(&self, colour: Color) -> Style {
        if self.colours { Style::new().fg(colour) } else { Style::new() }
    }

    /// The workers whose numbers are shown below the table.
    fn shown(&self) -> &[Watched] {
        match self.selected.checked_sub(1) {
            Some(one) if self.workers.len() > 1 => &self.workers[one..=one],
            _ => self.workers,
        }
    }

    pub(super) fn draw(&self, frame: &mut Frame<'_>) {
        let several = self.workers.len() > 1;
        let rows = u16::try_from(Self::rows(self.workers.len())).unwrap_or(u16::MAX);
        let table = if several { rows.min(MAX_ROWS) + 2 } else { 0 };
        let [title, workers, state, charts, lists, keys] = Layout::vertical([
            Constraint::Length(1),
            Constraint::Length(table),
            Constraint::Length(2),
            Constraint::Length(CHART_HEIGHT),
            Constraint::Min(0),
            Constraint::Length(1),
        ])
        .areas(frame.area());
        frame.render_widget(self.title(), title);
        if several {
            self.draw_workers(frame, workers);
        }
        frame.render_widget(self.state(), state);
        self.draw_charts(frame, charts);
        self.draw_lists(frame, lists);
        let dim = Style::new().add_modifier(Modifier::DIM);
        let words = if several { "q quit   ↑↓ select a worker" } else { "q quit" };
        frame.render_widget(Paragraph::new(words).style(dim), keys);
    }

    fn title(&self) -> Line<'_> {
        let silent = self.workers.iter().filter(|worker| worker.fault.is_some()).count();
        let count = match self.workers.len() {
            1 => self.workers[0].address.clone(),
            count => format!("{count} workers"),
        };
        let silent = match silent {
            0 => Span::raw(""),
            count => Span::styled(format!(", {count} without an answer"), self.style(Color::Red)),
        };
        let bold = Style::new().add_modifier(Modifier::BOLD);
        Line::from(vec![
            Span::styled("revoker top  ", bold),
            Span::raw(count),
            silent,
            Span::raw(format!(", every {}", self.interval)),
        ])
    }

    fn draw_workers(&self, frame: &mut Frame<'_>, area: Rect) {
        let bold = Style::new().add_modifier(Modifier::BOLD);
        let head = ["WORKER", "STATE", "DONE/S", "FAILED/S", "IN FLIGHT", "LIMIT", "DEAD"];
        let all = Sample::together(self.workers.iter().filter_map(Watched::sample));
        let rates = self.workers.iter().filter_map(Watched::rates);
        let rates = rates.reduce(|(a, b), (c, d)| (a + c, b + d));
        let mut rows = vec![Row::new(cells("all", "", rates, Some(&all)))];
        rows.extend(self.workers.iter().map(|worker| {
            let (word, colour) = state_word(worker);
            let cells = cells(&worker.address, word, worker.rates(), worker.sample());
            Row::new(cells).style(self.style(colour))
        }));
        let widths = [
            Constraint::Min(16),
            Constraint::Length(10),
            Constraint::Length(8),
            Constraint::Length(8),
            Constraint::Length(9),
            Constraint::Length(6),
            Constraint::Length(8),
        ];
        let table = Table::new(rows, widths)
            .header(Row::new(head).style(bold))
            .row_highlight_style(Style::new().add_modifier(Modifier::REVERSED));
        let mut state = TableState::new().with_selected(Some(self.selected));
        frame.render_stateful_widget(table, area, &mut state);
    }

    /// The state in a sentence; for several workers, how many are in which.
    fn state(&self) -> Paragraph<'_> {
        let (words, colour) = match self.shown() {
            [worker] => (sentence(worker), state_word(worker).1),
            several => {
                let mut words = Counts::new();
                for worker in several {
                    *words.entry(state_word(worker).0.to_owned()).or_default() += 1.0;
                }
                (counts(&words), Color::Reset)
            }
        };
        Paragraph::new(words).style(self.style(colour)).wrap(Wrap { trim: true })
    }

    fn draw_charts(&self, frame: &mut Frame<'_>, area: Rect) {
        let shown = self.shown();
        let sample = Sample::together(shown.iter().filter_map(Watched::sample));
        let rates = shown.iter().filter_map(Watched::rates).reduce(|(a, b), (c, d)| (a + c, b + d));
        let lines = Lines::together(shown);
        let answers = shown.iter().any(|worker| worker.sample().is_some());
        let level = |value: f64| answers.then_some(value);
        let areas: [Rect; 4] = Layout::horizontal([Constraint::Fill(1); 4]).spacing(1).areas(area);
        for (area, (name, value, line, colour)) in areas.into_iter().zip([
            ("Done/s", rates.map(|(done, _)| round(done)), lines.done, Color::Green),
            (
                "Failed calls/s",
                rates.map(|(_, failed)| round(failed)),
                lines.failed_calls,
                Color::Red,
            ),
            ("Queued", level(sample.backlog()), lines.backlog, Color::Yellow),
            ("Limit", level(sample.limit), lines.limit, Color::Cyan),
        ]) {
            self.draw_chart(frame, area, name, value, &line, colour);
        }
    }

    fn draw_chart(
        &self,
        frame: &mut Frame<'_>,
        area: Rect,
        name: &str,
        value: Option<f64>,
        line: &[f64],
        colour: Color,
    ) {
        let [heading, chart] =
            Layout::vertical([Constraint::Length(1), Constraint::Min(0)]).areas(area);
        let bold = Style::new().add_modifier(Modifier::BOLD);
        let value = value.map_or_else(|| "-".to_owned(), text::number);
        let heading_line =
            Line::from(vec![Span::raw(format!("{name} ")), Span::styled(value, bold)]);
        frame.render_widget(heading_line, heading);
        // The latest points: the widget draws the first ones.
        let latest = line.len().saturating_sub(usize::from(chart.width));
        let heights = line[latest..].iter().map(|value| height(*value));
        frame.render_widget(Sparkline::default().data(heights).style(self.style(colour)), chart);
    }

    fn draw_lists(&self, frame: &mut Frame<'_>, area: Rect) {
        let sample = Sample::together(self.shown().iter().filter_map(Watched::sample));
        let paused = Counts::from([
            ("workers".to_owned(), sample.paused),
            ("clients".to_owned(), sample.clients_paused),
        ]);
        let [left, middle, right] =
            Layout::horizontal([Constraint::Fill(1); 3]).spacing(2).areas(area);
        let sections = |lists: &[(&'static str, &Counts, bool)]| -> Paragraph<'static> {
            let lines = lists
                .iter()
                .flat_map(|(name, counts, alarming)| self.section(name, counts, *alarming));
            Paragraph::new(lines.collect::<Vec<_>>())
        };
        let queues = ("Queues", &sample.queues, false);
        let flight = ("In flight", &sample.in_flight, false);
        frame.render_widget(sections(&[queues, flight, ("Paused", &paused, true)]), left);
        let dead = ("Dead letters", &sample.dead_letters, true);
        frame.render_widget(sections(&[dead, ("Ended", &sample.processed, false)]), middle);
        frame.render_widget(sections(&[("Calls", &sample.calls, false)]), right);
    }

    /// A heading and a line for each count above zero.
    fn section(&self, name: &'static str, counts: &Counts, alarming: bool) -> Vec<Line<'static>> {
        let bold = Style::new().add_modifier(Modifier::BOLD);
        let mut lines = vec![Line::styled(name, bold)];
        let there = counts.iter().filter(|(_, count)| **count > 0.0);
        let colour = if alarming { self.style(Color::Yellow) } else { Style::new() };
        lines.extend(there.map(|(name, count)| {
            let (name, count) = (name.replace('_', " "), text::number(*count));
            Line::styled(format!(" {count:>9} {name}"), colour)
        }));
        if lines.len() == 1 {
            lines.push(Line::styled("         0", Style::new().add_modifier(Modifier::DIM)));
        }
        lines
    }
}

fn cells(
    name: &str,
    state: &str,
    rates: Option<(f64, f64)>,
    sample: Option<&Sample>,
) -> [String; 7] {
    let number = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), text::number);
    [
        name.to_owned(),
        state.to_owned(),
        number(rates.map(|(done, _)| round(done))),
        number(rates.map(|(_, failed)| round(failed))),
        number(sample.map(Sample::all_in_flight)),
        number(sample.map(|sample| sample.limit)),
        number(sample.map(|sample| sample.dead_letters.values().sum())),
    ]
}

fn state_word(worker: &Watched) -> (&'static str, Color) {
    let state = worker.look.as_ref().and_then(|look| look.state.as_ref());
    match (&worker.fault, &worker.look, state.map(|(state, _)| *state)) {
        (Some(_), ..) => ("no answer", Color::Red),
        (None, None, _) => ("asked", Color::Reset),
        (None, Some(_), None) => ("unknown", Color::Yellow),
        (None, Some(_), Some(ReadinessState::Ready)) => ("running", Color::Green),
        (None, Some(_), Some(ReadinessState::Waiting)) => ("waiting", Color::Yellow),
        (None, Some(_), Some(ReadinessState::NotReady)) => ("not ready", Color::Red),
    }
}

fn sentence(worker: &Watched) -> String {
    let state = worker.look.as_ref().and_then(|look| look.state.as_ref());
    match (&worker.fault, &worker.look, state) {
        (Some(fault), ..) => format!("{} does not answer: {fault}.", worker.address),
        (None, None, _) => format!("{} is asked.", worker.address),
        (None, Some(_), None) => format!("{} does not tell its state.", worker.address),
        (None, Some(_), Some((_, sentence))) => sentence.clone(),
    }
}

/// A height of a chart: tenths, so that small rates are seen.
fn height(value: f64) -> u64 {
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the cast saturates, and a picture is not exact"
    )]
    let tenths = (value * 10.0) as u64;
    tenths
}

#[cfg(test)]
mod tests;
