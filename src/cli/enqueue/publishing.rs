//! The loop of `revoker enqueue`: read lines, publish their jobs, then count them and list refused lines.
//!
//! So at any moment every line before [`EnqueueCounts::next_line`] is finished.

use std::collections::VecDeque;

use secrecy::{ExposeSecret as _, SecretSlice};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{
    EnqueueFailure, args::EnqueueArgs, counts::EnqueueCounts, refused::RefusedLines, sink::JobSink,
};
use crate::{
    cli::json_list::JsonList,
    input::{Feed, InputJob, InputLine, LineKind, Refusal, Remark},
    ports::{Clock, SystemClock},
};

pub struct EnqueueRun<'a> {
    pub args: &'a EnqueueArgs,
    pub feed: Feed,
    pub sink: &'a mut JobSink,
    /// The list of refused lines in the output of a dry run.
    pub printed: Option<&'a mut JsonList>,
    /// Updated after each step.
    pub counts: &'a watch::Sender<EnqueueCounts>,
    /// Once cancelled, nothing more is sent. The broker may still confirm the sent jobs.
    pub stop: &'a CancellationToken,
    /// Once cancelled, confirms are not waited for.
    pub give_up: &'a CancellationToken,
}

/// Lines that are published together.
#[derive(Default)]
struct EnqueueStep {
    jobs: Vec<NumberedJob>,
    refused: Vec<(u64, Refusal)>,
    duplicates: Vec<u64>,
    remarks: Vec<Remark>,
    next_line: u64,
}

struct NumberedJob {
    line: u64,
    body: SecretSlice<u8>,
    expired: bool,
}

impl AsRef<[u8]> for NumberedJob {
    fn as_ref(&self) -> &[u8] {
        self.body.expose_secret()
    }
}

impl EnqueueRun<'_> {
    pub async fn run(mut self) -> Result<(), EnqueueFailure> {
        let mut refusals = match self.args {
            EnqueueArgs { dry_run: true, .. } => RefusedLines::logged(self.printed.take()),
            args => RefusedLines::listed(args.refused_file(), args.from_line.get() > 1),
        };
        let mut lines = VecDeque::new();
        loop {
            if lines.is_empty() {
                lines = self.read().await?.into();
            }
            if lines.is_empty() {
                return Ok(());
            }
            let permits = tokio::select! {
                biased;
                () = self.stop.cancelled() => return Err(EnqueueFailure::Interrupted),
                permits = self.sink.permits(lines.len()) => permits,
            };
            self.publish(EnqueueStep::of(&mut lines, permits), &mut refusals).await?;
        }
    }

    async fn read(&mut self) -> Result<Vec<InputLine>, EnqueueFailure> {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(EnqueueFailure::Interrupted),
            lines = self.feed.next() => {
                lines.map_err(|fault| EnqueueFailure::Read(self.args.input_name(), fault))
            }
        }
    }

    async fn publish(
        &mut self,
        mut step: EnqueueStep,
        refusals: &mut RefusedLines<'_>,
    ) -> Result<(), EnqueueFailure> {
        let mut count = self.counts.borrow().clone();
        let expired = |jobs: &[NumberedJob]| jobs.iter().filter(|job| job.expired).count() as u64;
        count.enqueued += step.jobs.len() as u64;
        count.expired += expired(&step.jobs);
        let refused = self.sink.publish(&mut step.jobs, self.give_up.cancelled()).await;
        let (refused, why): (Vec<_>, Vec<_>) = refused.into_iter().unzip();
        count.enqueued -= (step.jobs.len() + refused.len()) as u64;
        count.expired -= expired(&step.jobs) + expired(&refused);
        let mut not_taken: Vec<_> = refused
            .iter()
            .zip(why)
            .map(|(job, refusal)| (job.line, format!("the broker refuses it: {}", refusal.why)))
            .collect();
        // The first job without a confirm is the line to resume from.
        let given_up = step.jobs.first().map(|job| job.line);
        count.next_line = given_up.unwrap_or(step.next_line);
        step.duplicates.retain(|line| *line < count.next_line);
        step.refused.retain(|(line, _)| *line < count.next_line);
        not_taken.retain(|(line, _)| *line < count.next_line);
        count.duplicates += step.duplicates.len() as u64;
        count.refused += (step.refused.len() + not_taken.len()) as u64;
        let finished = step.remarks.iter().filter(|remark| remark.line() < count.next_line);
        finished.for_each(|remark| count.remarks.add(*remark));
        refusals.tell(&step.refused);
        refusals.tell(&not_taken);
        count.listed = refusals.are_listed();
        self.counts.send_replace(count);
        given_up.map_or(Ok(()), |_| Err(EnqueueFailure::Interrupted))
    }
}

impl EnqueueStep {
    /// Takes lines off the front, with at most `most` jobs.
    fn of(lines: &mut VecDeque<InputLine>, most: usize) -> Self {
        let mut step = Self::default();
        let now = SystemClock.now();
        while let Some(line) = lines.pop_front() {
            step.next_line = line.last_line + 1;
            step.remarks.extend(line.remark());
            match line.kind {
                LineKind::Job(InputJob { body, job }) => {
                    let expired = job.expired(|| now);
                    step.jobs.push(NumberedJob { line: line.number, body, expired });
                    if step.jobs.len() >= most {
                        break;
                    }
                }
                LineKind::Refused(refusal) => step.refused.push((line.number, refusal)),
                LineKind::Duplicate(_) => step.duplicates.push(line.number),
            }
        }
        step
    }
}
