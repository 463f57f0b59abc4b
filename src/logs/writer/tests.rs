use super::*;
use std::{
    io::{PipeReader, Read as _},
    sync::mpsc,
    time::Instant,
};

/// A writer into a pipe, with the reports of its losses.
fn piped() -> (LogWriter, LogGuard, PipeReader, mpsc::Receiver<u64>) {
    let (read, write) = io::pipe().unwrap();
    let (report, losses) = mpsc::channel();
    let (writer, guard) = start(write, move |lost| report.send(lost).unwrap()).unwrap();
    (writer, guard, read, losses)
}

const LINE: &[u8; 1024] = &[b'x'; 1024];

#[test]
fn every_line_arrives_before_the_guard_is_gone() {
    let (mut writer, guard, mut read, losses) = piped();
    for line in ["one\n", "two\n", "three\n"] {
        writer.write_all(line.as_bytes()).unwrap();
    }
    drop(guard);
    let mut log = String::new();
    read.read_to_string(&mut log).unwrap();
    assert_eq!(log, "one\ntwo\nthree\n");
    assert!(losses.try_recv().is_err());
}

#[test]
fn an_unread_pipe_blocks_no_writer_and_lost_lines_are_counted() {
    let (mut writer, guard, mut read, losses) = piped();
    // More than the combined capacity of the pipe, the current batch and the queue.
    let sent = 3 * CAPACITY / LINE.len();
    for _ in 0..sent {
        writer.write_all(LINE).unwrap();
    }
    let reader = thread::spawn(move || {
        let mut log = Vec::new();
        read.read_to_end(&mut log).unwrap();
        log.len()
    });
    drop(guard);
    let arrived = reader.join().unwrap() / LINE.len();
    let lost: u64 = losses.iter().sum();
    assert!(lost > 0);
    assert_eq!(arrived as u64 + lost, sent as u64);
}

#[test]
fn an_unread_pipe_does_not_keep_the_process_from_ending() {
    let (mut writer, guard, read, _losses) = piped();
    for _ in 0..1024 {
        writer.write_all(LINE).unwrap();
    }
    let start = Instant::now();
    drop(guard);
    let took = start.elapsed();
    assert!(took >= FLUSH_TIMEOUT, "nothing was left to wait for: {took:?}");
    assert!(took < Duration::from_secs(30), "{took:?}");
    drop(read);
}
