//! The loop: take what was read, publish it, and only then count it and list what was refused. So at
//! every moment there is one line before which everything is dealt with: the line to go on from.

use std::collections::VecDeque;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{Failure, args::Args, count::Count, outlet::Outlet, refused::Refusals};
use crate::{
    input::{Body, Feed, Kind, Line, Refusal, Remark},
    ports::{Clock, SystemClock},
};

/// What is at work.
pub struct Publishing<'a> {
    pub args: &'a Args,
    pub feed: Feed,
    pub outlet: &'a mut Outlet,
    /// Told after each step.
    pub counts: &'a watch::Sender<Count>,
    /// Cancelled, nothing more is sent; what was sent is waited for.
    pub stop: &'a CancellationToken,
    /// Cancelled, that is not waited for either.
    pub give_up: &'a CancellationToken,
}

/// Lines that are dealt with together.
#[derive(Default)]
struct Step {
    jobs: Vec<Numbered>,
    refused: Vec<(u64, Refusal)>,
    duplicates: Vec<u64>,
    remarks: Vec<Remark>,
    next_line: u64,
}

/// A job on its way, and the line that it stands on.
struct Numbered {
    line: u64,
    body: Body,
    expired: bool,
}

impl AsRef<[u8]> for Numbered {
    fn as_ref(&self) -> &[u8] {
        self.body.as_bytes()
    }
}

impl Publishing<'_> {
    /// Publishes to the last line.
    ///
    /// # Errors
    ///
    /// What ended it before.
    pub async fn run(mut self) -> Result<(), Failure> {
        let mut refusals = match self.args {
            Args { dry_run: true, .. } => Refusals::logged(),
            args => Refusals::listed(args.refused_file(), args.from_line.get() > 1),
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
                () = self.stop.cancelled() => return Err(Failure::Interrupted),
                permits = self.outlet.permits(lines.len()) => permits,
            };
            self.publish(Step::of(&mut lines, permits), &mut refusals).await?;
        }
    }

    async fn read(&mut self) -> Result<Vec<Line>, Failure> {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(Failure::Interrupted),
            lines = self.feed.next() => {
                lines.map_err(|fault| Failure::Read(self.args.input_name(), fault))
            }
        }
    }

    async fn publish(&mut self, mut step: Step, refusals: &mut Refusals) -> Result<(), Failure> {
        let mut count = self.counts.borrow().clone();
        let expired = |jobs: &[Numbered]| jobs.iter().filter(|job| job.expired).count() as u64;
        count.enqueued += step.jobs.len() as u64;
        count.expired += expired(&step.jobs);
        let refused = self.outlet.publish(&mut step.jobs, self.give_up.cancelled()).await;
        let (refused, why): (Vec<_>, Vec<_>) = refused.into_iter().unzip();
        count.enqueued -= (step.jobs.len() + refused.len()) as u64;
        count.expired -= expired(&step.jobs) + expired(&refused);
        let mut not_taken: Vec<_> = refused
            .iter()
            .zip(why)
            .map(|(job, refusal)| (job.line, format!("the broker refuses it: {}", refusal.why)))
            .collect();
        // What was given up is not in its queue, and whoever goes on begins with it.
        let given_up = step.jobs.first().map(|job| job.line);
        count.next_line = given_up.unwrap_or(step.next_line);
        step.duplicates.retain(|line| *line < count.next_line);
        step.refused.retain(|(line, _)| *line < count.next_line);
        not_taken.retain(|(line, _)| *line < count.next_line);
        count.duplicates += step.duplicates.len() as u64;
        count.refused += (step.refused.len() + not_taken.len()) as u64;
        let dealt_with = step.remarks.iter().filter(|remark| remark.line() < count.next_line);
        dealt_with.for_each(|remark| count.remarks.add(*remark));
        refusals.tell(&step.refused);
        refusals.tell(&not_taken);
        count.listed = refusals.are_listed();
        self.counts.send_replace(count);
        given_up.map_or(Ok(()), |_| Err(Failure::Interrupted))
    }
}

impl Step {
    /// Takes lines off the front, up to so many jobs.
    fn of(lines: &mut VecDeque<Line>, most: usize) -> Self {
        let mut step = Self::default();
        let now = SystemClock.now();
        while let Some(line) = lines.pop_front() {
            step.next_line = line.last_line + 1;
            step.remarks.extend(line.remark());
            match line.kind {
                Kind::Job(entry) => {
                    let expired = entry.has_expired(now);
                    step.jobs.push(Numbered { line: line.number, body: entry.body, expired });
                    if step.jobs.len() >= most {
                        break;
                    }
                }
                Kind::Refused(refusal) => step.refused.push((line.number, refusal)),
                Kind::Duplicate => step.duplicates.push(line.number),
            }
        }
        step
    }
}
