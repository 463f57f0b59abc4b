//! A whole terminal for a command: drawn frames, keys, signals. The terminal is as before when the command ends.

use std::{
    io::{self, IsTerminal as _},
    panic,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use ratatui::{
    DefaultTerminal, Frame,
    crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers},
};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::mpsc::{Receiver, channel},
};

use super::{exit::Failure, output};
use crate::{logs, worker::StopSignals};

/// Whether the screen is drawn on. Log lines would break its picture, so they are dropped then.
static DRAWN: AtomicBool = AtomicBool::new(false);

/// The most keys that wait to be read.
const WAITING_KEYS: usize = 64;

/// What a person or the system asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ScreenEvent {
    Key(KeyCode),
    /// The terminal has another size, so a new frame is due.
    Resized,
    /// Ctrl-C, a signal, or a terminal that is gone.
    Stop,
}

/// The terminal while a command uses all of it.
pub(super) struct Screen {
    terminal: DefaultTerminal,
    events: Receiver<Event>,
    signals: StopSignals,
    hangup: Signal,
    is_stopped: bool,
    _log_lines: logs::TerminalShare,
}

impl Screen {
    /// Takes the terminal. `command` is named in the failure if there is none.
    pub(super) fn open(command: &str) -> Result<Self, Failure> {
        if !io::stdin().is_terminal() || !output::is_terminal() {
            return Err(Failure::usage(format!(
                "{command} needs a terminal: standard input or standard output is none"
            )));
        }
        let signals = || Ok((StopSignals::listen()?, signal(SignalKind::hangup())?));
        let (signals, hangup) = signals()
            .map_err(|error: io::Error| Failure::at("signals cannot be handled", &error))?;
        // Its panic hook restores the terminal, and calls the one that logs.
        let terminal = ratatui::try_init().map_err(|error| Failure::at("the terminal", &error))?;
        DRAWN.store(true, Ordering::SeqCst);
        let restoring = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            DRAWN.store(false, Ordering::SeqCst);
            restoring(panic);
        }));
        let is_shared = io::stderr().is_terminal();
        let log_lines = logs::share_terminal(move |write| {
            if !is_shared || !DRAWN.load(Ordering::SeqCst) {
                write();
            }
        });
        Ok(Self {
            terminal,
            events: read_events(),
            signals,
            hangup,
            is_stopped: false,
            _log_lines: log_lines,
        })
    }

    /// Draws a frame.
    pub(super) fn draw(&mut self, draw: impl FnOnce(&mut Frame<'_>)) -> Result<(), Failure> {
        let drawn = self.terminal.draw(draw);
        drawn.map(drop).map_err(|error| Failure::at("the terminal", &error))
    }

    /// Waits for the next event. No event is lost if the future is dropped.
    pub(super) async fn event(&mut self) -> ScreenEvent {
        let event = self.next_event().await;
        self.is_stopped |= event == ScreenEvent::Stop;
        event
    }

    /// Whether the command was asked to end.
    pub(super) const fn is_stopped(&self) -> bool {
        self.is_stopped
    }

    async fn next_event(&mut self) -> ScreenEvent {
        loop {
            let event = tokio::select! {
                event = self.events.recv() => event,
                () = self.signals.next() => return ScreenEvent::Stop,
                _ = self.hangup.recv() => return ScreenEvent::Stop,
            };
            match event {
                Some(Event::Key(key)) if key.kind != KeyEventKind::Release => return meaning(key),
                Some(Event::Resize(..)) => return ScreenEvent::Resized,
                Some(_) => {}
                None => return ScreenEvent::Stop,
            }
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        ratatui::restore();
        DRAWN.store(false, Ordering::SeqCst);
    }
}

/// In raw mode, the terminal sends Ctrl-C as a key.
fn meaning(key: KeyEvent) -> ScreenEvent {
    match key.code {
        KeyCode::Char('c' | 'd') if key.modifiers.contains(KeyModifiers::CONTROL) => {
            ScreenEvent::Stop
        }
        code => ScreenEvent::Key(code),
    }
}

/// The selected one of `rows` rows after a key.
pub(super) fn moved(selected: usize, rows: usize, key: KeyCode) -> usize {
    const PAGE: usize = 10;
    let last = rows.saturating_sub(1);
    match key {
        KeyCode::Up | KeyCode::Char('k') => selected.saturating_sub(1),
        KeyCode::Down | KeyCode::Char('j') => (selected + 1).min(last),
        KeyCode::PageUp => selected.saturating_sub(PAGE),
        KeyCode::PageDown => (selected + PAGE).min(last),
        KeyCode::Home => 0,
        KeyCode::End => last,
        _ => selected.min(last),
    }
}

/// Reads the events on a thread of its own, which lives as long as the process: a read cannot be interrupted.
fn read_events() -> Receiver<Event> {
    let (sender, receiver) = channel(WAITING_KEYS);
    thread::spawn(move || {
        while let Ok(event) = event::read() {
            if sender.blocking_send(event).is_err() {
                break;
            }
        }
    });
    receiver
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_c_stops_and_other_keys_are_passed() {
        let key = |code, modifiers| meaning(KeyEvent::new(code, modifiers));
        assert_eq!(key(KeyCode::Char('c'), KeyModifiers::CONTROL), ScreenEvent::Stop);
        assert_eq!(
            key(KeyCode::Char('c'), KeyModifiers::NONE),
            ScreenEvent::Key(KeyCode::Char('c'))
        );
        assert_eq!(key(KeyCode::Up, KeyModifiers::NONE), ScreenEvent::Key(KeyCode::Up));
    }

    /// A test has no terminal.
    #[test]
    fn a_screen_needs_a_terminal() {
        if !output::is_terminal() || !io::stdin().is_terminal() {
            let failure = Screen::open("top").err().unwrap();
            assert!(failure.to_string().starts_with("top needs a terminal"), "{failure}");
        }
    }

    #[test]
    fn arrows_move_within_the_rows() {
        for (key, from, expected) in [
            (KeyCode::Up, 0, 0),
            (KeyCode::Up, 2, 1),
            (KeyCode::Down, 1, 2),
            (KeyCode::Down, 2, 2),
            (KeyCode::Home, 2, 0),
            (KeyCode::End, 0, 2),
            (KeyCode::PageDown, 0, 2),
            (KeyCode::PageUp, 2, 0),
            (KeyCode::Char('x'), 1, 1),
        ] {
            assert_eq!(moved(from, 3, key), expected, "{key:?}");
        }
        assert_eq!(moved(0, 0, KeyCode::Down), 0);
    }
}
