//! Dead letters since the start, grouped by reason, client and detail, for the status page.
//!
//! Client ids and details come from outside, so their number is bounded. The limit is one for each reason: a flood of
//! jobs with made-up clients hides no rejection.

use std::{collections::HashMap, time::Duration};

use tokio::time::Instant;

use super::labels::Label as _;
use crate::domain::Reason;

/// The most groups of one reason.
const MOST: usize = 20;

/// The most characters of a text that are kept.
const LONGEST: usize = 300;

/// Dead letters with the same reason, client and detail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetterGroup {
    /// Why the jobs are dead-lettered.
    pub reason: Reason,
    /// The client; `None` if no job names one.
    pub client: Option<String>,
    /// The sentence for a person; `None` for all dead letters of a reason that had no room for another group.
    pub detail: Option<String>,
    /// The number of dead letters.
    pub count: u64,
    /// The time since the last one.
    pub ago: Duration,
}

#[derive(Debug, Default)]
pub(super) struct DeadLetterGroups([OfReason; Reason::ALL.len()]);

#[derive(Debug, Default)]
struct OfReason {
    groups: HashMap<(Option<String>, String), Seen>,
    others: Option<Seen>,
}

#[derive(Debug, Clone, Copy)]
struct Seen {
    count: u64,
    last: Instant,
}

impl DeadLetterGroups {
    pub(super) fn add(&mut self, reason: Reason, client: Option<&str>, detail: &str) {
        let OfReason { groups, others } = &mut self.0[reason as usize];
        let key = (client.map(kept), kept(detail));
        let is_full = groups.len() >= MOST && !groups.contains_key(&key);
        let fresh = Seen { count: 0, last: Instant::now() };
        let seen =
            if is_full { others.get_or_insert(fresh) } else { groups.entry(key).or_insert(fresh) };
        seen.count += 1;
        seen.last = fresh.last;
    }

    /// The groups, the largest first. Those of a reason without room come last.
    pub(super) fn all(&self) -> Vec<DeadLetterGroup> {
        let now = Instant::now();
        let group = |reason, client, detail, seen: Seen| DeadLetterGroup {
            reason,
            client,
            detail,
            count: seen.count,
            ago: now.saturating_duration_since(seen.last),
        };
        let mut all: Vec<DeadLetterGroup> = Vec::new();
        for (reason, of) in Reason::ALL.iter().zip(&self.0) {
            all.extend(of.groups.iter().map(|((client, detail), seen)| {
                group(*reason, client.clone(), Some(detail.clone()), *seen)
            }));
            all.extend(of.others.map(|seen| group(*reason, None, None, seen)));
        }
        all.sort_by(|one, other| {
            let key = |group: &DeadLetterGroup| {
                (group.detail.is_none(), std::cmp::Reverse(group.count), group.reason.value())
            };
            key(one).cmp(&key(other)).then_with(|| one.client.cmp(&other.client))
        });
        all
    }
}

fn kept(text: &str) -> String {
    text.chars().take(LONGEST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn equal_dead_letters_are_one_group_and_the_largest_comes_first() {
        let mut groups = DeadLetterGroups::default();
        groups.add(Reason::InvalidJob, None, "it is no JSON");
        for _ in 0..3 {
            groups.add(Reason::Rejected, Some("shop"), "the endpoint answered 01");
        }
        groups.add(Reason::Rejected, Some("bakery"), "the endpoint answered 01");
        tokio::time::advance(Duration::from_secs(7)).await;
        let all = groups.all();
        let told: Vec<_> = all.iter().map(|group| (group.client.as_deref(), group.count)).collect();
        assert_eq!(told, [(Some("shop"), 3), (None, 1), (Some("bakery"), 1)]);
        assert_eq!(all[0].detail.as_deref(), Some("the endpoint answered 01"));
        assert_eq!(all[0].ago, Duration::from_secs(7));
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_of_one_reason_is_bounded_and_hides_no_other() {
        let mut groups = DeadLetterGroups::default();
        for n in 0..1_000 {
            groups.add(Reason::UnknownClient, Some(&format!("made-up-{n}")), &"x".repeat(5_000));
        }
        groups.add(Reason::Rejected, Some("shop"), "the endpoint answered 01");
        let all = groups.all();
        assert_eq!(all.len(), MOST + 2);
        assert!(all.iter().any(|group| group.client.as_deref() == Some("shop")));
        let others = all.last().unwrap();
        assert_eq!((others.reason, others.count), (Reason::UnknownClient, 1_000 - MOST as u64));
        assert!(others.detail.is_none());
        assert!(all.iter().flat_map(|group| &group.detail).all(|detail| detail.len() <= LONGEST));
    }
}
