//! Dead letters in groups: those with the same reason, client and detail.

use std::{cmp::Reverse, collections::HashMap, time::SystemTime};

use crate::domain::{DeadReason, StoredLetter};

/// The most groups by detail. Details may differ for each job, so further ones of a reason form one group.
const MAX_GROUPS: usize = 1_000;

/// What the dead letters of a group have in common.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct GroupKey {
    pub(super) reason: DeadReason,
    /// Client and detail; `None` for the rest of a reason, beyond the limit.
    pub(super) of: Option<(Option<String>, String)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) key: GroupKey,
    pub(super) count: u64,
    /// When the first of them died, if that is known.
    pub(super) oldest: Option<SystemTime>,
    pub(super) is_marked: bool,
}

/// The groups of a queue, the largest first.
#[derive(Debug, Default)]
pub(super) struct Groups {
    pub(super) all: Vec<Group>,
    places: HashMap<GroupKey, usize>,
}

impl Groups {
    pub(super) fn add(&mut self, letter: &StoredLetter) {
        let place = self.place(letter).unwrap_or_else(|| {
            let key = if self.all.len() < MAX_GROUPS { exact(letter) } else { rest(letter) };
            self.all.push(Group { key: key.clone(), count: 0, oldest: None, is_marked: false });
            self.places.insert(key, self.all.len() - 1);
            self.all.len() - 1
        });
        let group = &mut self.all[place];
        group.count += 1;
        group.oldest = group.oldest.into_iter().chain(letter.dead_at).min();
    }

    /// Sorts the groups. No dead letter is added after that.
    pub(super) fn sort(&mut self) {
        self.all.sort_by_key(|group| (Reverse(group.count), group.key.reason.as_str()));
        self.places =
            self.all.iter().enumerate().map(|(n, group)| (group.key.clone(), n)).collect();
    }

    /// The place of a dead letter's group, if it has one.
    pub(super) fn place(&self, letter: &StoredLetter) -> Option<usize> {
        self.places.get(&exact(letter)).or_else(|| self.places.get(&rest(letter))).copied()
    }

    pub(super) fn total(&self) -> u64 {
        self.all.iter().map(|group| group.count).sum()
    }
}

fn exact(letter: &StoredLetter) -> GroupKey {
    let of = (letter.client_id.clone(), letter.detail.clone());
    GroupKey { reason: letter.reason, of: Some(of) }
}

fn rest(letter: &StoredLetter) -> GroupKey {
    GroupKey { reason: letter.reason, of: None }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::cli::dead_letters::testing::{letter, now};

    fn with(client: &str, detail: &str) -> StoredLetter {
        StoredLetter { client_id: Some(client.to_owned()), detail: detail.to_owned(), ..letter() }
    }

    #[test]
    fn letters_with_the_same_reason_client_and_detail_are_a_group() {
        let mut groups = Groups::default();
        let early =
            StoredLetter { dead_at: Some(now() - Duration::from_secs(900)), ..with("b", "x") };
        for letter in [&with("a", "x"), &with("b", "x"), &early, &with("a", "y")] {
            groups.add(letter);
        }
        groups.sort();
        assert_eq!(groups.all.iter().map(|group| group.count).collect::<Vec<_>>(), [2, 1, 1]);
        assert_eq!((groups.all[0].oldest, groups.total()), (early.dead_at, 4));
        assert_eq!(groups.place(&with("b", "x")), Some(0));
        assert_eq!(groups.place(&with("c", "x")), None);
    }

    /// Memory does not grow with the number of details.
    #[test]
    fn details_beyond_the_limit_form_one_group_for_each_reason() {
        let mut groups = Groups::default();
        for n in 0..MAX_GROUPS + 5 {
            groups.add(&with("a", &n.to_string()));
        }
        let dropped = StoredLetter { reason: DeadReason::BrokerDropped, ..letter() };
        groups.add(&dropped);
        groups.sort();
        assert_eq!(groups.all.len(), MAX_GROUPS + 2);
        assert_eq!((groups.all[0].count, &groups.all[0].key.of), (5, &None));
        assert_eq!(groups.place(&with("a", "1004")), Some(0), "the rest of its reason");
        assert_ne!(groups.place(&with("a", "7")), Some(0));
        assert_eq!(
            groups.all[groups.place(&dropped).unwrap()].key.reason,
            DeadReason::BrokerDropped
        );
    }
}
