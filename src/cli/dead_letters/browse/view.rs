//! The frame of `browse`, from its state alone.

use std::time::SystemTime;

use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    style::{Color, Modifier, Style},
    text::Line,
    widgets::{Paragraph, Row, Table, TableState, Wrap},
};

use super::{
    groups::Group,
    state::{Browser, Listed, OpenGroup},
};
use crate::{
    cli::dead_letters::{reasons::several, show, table::age},
    domain::{Lane, grouped},
};

const BOLD: Style = Style::new().add_modifier(Modifier::BOLD);
const DIM: Style = Style::new().add_modifier(Modifier::DIM);
const NOTHING: &str = "-";

impl Browser {
    /// Draws the state at the time `now`.
    pub(super) fn draw(&self, frame: &mut Frame<'_>, now: SystemTime, colours: bool) {
        let [title, body, notes, keys] = Layout::vertical([
            Constraint::Length(1),
            Constraint::Min(0),
            Constraint::Length(u16::try_from(self.notes.lines().count()).unwrap_or(0).min(3)),
            Constraint::Length(1),
        ])
        .areas(frame.area());
        frame.render_widget(Line::styled(self.title(), BOLD), title);
        frame.render_widget(Paragraph::new(self.notes.as_str()).style(DIM), notes);
        frame.render_widget(Line::styled(self.keys(), DIM), keys);
        let warning = if colours { Style::new().fg(Color::Yellow) } else { Style::new() };
        match (&self.question, &self.message, &self.open) {
            (Some(question), ..) => {
                let words = format!("\n{}{}_", question.words, question.answer);
                let words = Paragraph::new(words).style(warning).wrap(Wrap { trim: false });
                frame.render_widget(words, body);
            }
            (None, Some(message), _) => {
                let words = Paragraph::new(format!("\n{message}")).wrap(Wrap { trim: false });
                frame.render_widget(words, body);
            }
            (None, None, Some(open)) => open.draw(frame, body, now),
            (None, None, None) => self.draw_groups(frame, body, now),
        }
    }

    fn title(&self) -> String {
        let (letters, groups) = (self.groups.total(), self.groups.all.len() as u64);
        let all = format!("{}: {}", self.queue, several(letters, "dead letter"));
        match &self.open {
            Some(open) => {
                let reason =
                    self.groups.all.get(open.place).map_or("", |group| group.key.reason.as_str());
                let listed = open.letters.len() as u64;
                let first = if listed < open.count {
                    format!(", the first {listed}")
                } else {
                    String::new()
                };
                format!("{all} › {reason}: {}{first}", grouped(open.count))
            }
            None => format!("{all} in {}", several(groups, "group")),
        }
    }

    fn keys(&self) -> &'static str {
        match (&self.question, &self.message, &self.open) {
            (Some(_), ..) => "enter answer   esc cancel",
            (None, Some(_), _) => "any key: go on",
            (None, None, Some(open)) if open.shown_from.is_some() => "↑↓ scroll   esc back",
            (None, None, Some(_)) => "space mark   enter show   r replay   d discard   esc back",
            (None, None, None) => {
                "space mark   enter open   r replay   d discard   g read again   q quit"
            }
        }
    }

    fn draw_groups(&self, frame: &mut Frame<'_>, area: Rect, now: SystemTime) {
        let rows = self.groups.all.iter().map(|group| Row::new(group.cells(now)));
        let widths = [
            Constraint::Length(1),
            Constraint::Length(9),
            Constraint::Length(16),
            Constraint::Length(14),
            Constraint::Length(7),
            Constraint::Fill(1),
        ];
        let head = ["", "    COUNT", "REASON", "CLIENT", "OLDEST", "DETAIL"];
        draw_table(
            frame,
            area,
            Table::new(rows, widths).header(Row::new(head).style(BOLD)),
            self.selected,
        );
    }
}

fn draw_table(frame: &mut Frame<'_>, area: Rect, table: Table<'_>, selected: usize) {
    let table = table.row_highlight_style(Style::new().add_modifier(Modifier::REVERSED));
    let mut state = TableState::new().with_selected(Some(selected));
    frame.render_stateful_widget(table, area, &mut state);
}

const fn mark(is_marked: bool) -> &'static str {
    if is_marked { "*" } else { "" }
}

impl Group {
    fn cells(&self, now: SystemTime) -> [String; 6] {
        let (client, detail) = match &self.key.of {
            Some((client, detail)) => (client.as_deref().unwrap_or(NOTHING), detail.as_str()),
            None => ("several", "all other clients and details of this reason"),
        };
        let ago = |at| age(now.duration_since(at).unwrap_or_default());
        [
            mark(self.is_marked).to_owned(),
            format!("{:>9}", grouped(self.count)),
            self.key.reason.to_string(),
            client.to_owned(),
            self.oldest.map_or_else(|| NOTHING.to_owned(), ago),
            detail.to_owned(),
        ]
    }
}

impl OpenGroup {
    fn draw(&self, frame: &mut Frame<'_>, area: Rect, now: SystemTime) {
        if let (Some(from), Some(listed)) = (self.shown_from, self.letters.get(self.selected)) {
            let page = show::page((&listed.letter, &listed.details), now);
            let page = Paragraph::new(page).wrap(Wrap { trim: false }).scroll((from, 0));
            frame.render_widget(page, area);
            return;
        }
        let rows = self.letters.iter().map(|listed| Row::new(self.cells(listed, now)));
        let widths = [
            Constraint::Length(1),
            Constraint::Length(8),
            Constraint::Length(12),
            Constraint::Length(11),
            Constraint::Length(8),
            Constraint::Fill(1),
        ];
        let head = ["", "AGE", "FINGERPRINT", "LANE", "ATTEMPTS", "JOB ID"];
        let table = Table::new(rows, widths).header(Row::new(head).style(BOLD));
        draw_table(frame, area, table, self.selected);
    }

    fn cells(&self, listed: &Listed, now: SystemTime) -> [String; 6] {
        let nothing = || NOTHING.to_owned();
        let letter = &listed.letter;
        [
            mark(self.marked.contains(&listed.identity)).to_owned(),
            letter.age(now).map_or_else(nothing, age),
            letter.fingerprint.map_or_else(nothing, |fingerprint| fingerprint.to_string()),
            letter.lane.map_or(NOTHING, Lane::as_str).to_owned(),
            letter.attempts.map_or_else(nothing, |attempts| attempts.to_string()),
            letter.id.as_str().to_owned(),
        ]
    }
}
