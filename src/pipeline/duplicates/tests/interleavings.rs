//! Property tests: random orders of events, compared with a simple model of the rules.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const KEYS: usize = 3;

#[derive(Debug, Clone, Copy)]
enum Step {
    Enter {
        key: usize,
        lane: Lane,
        ambiguity: Option<Ambiguity>,
    },
    /// The call of a leader ends with this verdict.
    Call {
        who: usize,
        shown: Shown,
    },
    /// A job leaves: a leader, or a follower with or without an answer.
    Leave {
        who: usize,
        in_call: bool,
    },
    /// A follower polls for its answer.
    Look {
        who: usize,
    },
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Shown {
    Revoked,
    Rejected,
    Failed { ambiguous: bool },
    NotCalled,
}

/// The answer that a follower must get when it polls.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Due {
    Nothing,
    Duplicate,
    Rejected(Option<Ambiguity>),
    Lead,
}

enum Party {
    Leader(Leader),
    Follower(Pin<Box<dyn Future<Output = FollowerOutcome> + Send>>),
}

/// The state of one key by the rules.
#[derive(Default)]
struct Model {
    leader: Option<usize>,
    waiting: Vec<(Lane, usize)>,
    ambiguity: Option<Ambiguity>,
    revoked: bool,
}

struct World {
    duplicates: Arc<Duplicates>,
    remembers: bool,
    models: [Model; KEYS],
    /// The jobs by number, each with its key and role.
    parties: BTreeMap<usize, (usize, Party)>,
    due: BTreeMap<usize, Due>,
    entered: usize,
}

impl World {
    fn new(remembers: bool) -> Self {
        let capacity = if remembers { KEYS } else { 0 };
        Self {
            duplicates: Arc::new(Duplicates::new(REMEMBER, capacity)),
            remembers,
            models: Default::default(),
            parties: BTreeMap::new(),
            due: BTreeMap::new(),
            entered: 0,
        }
    }

    fn step(&mut self, step: Step) {
        let pick = |numbers: Vec<usize>, who: usize| {
            (!numbers.is_empty()).then(|| numbers[who % numbers.len()])
        };
        match step {
            Step::Enter { key, lane, ambiguity } => self.enter(key, lane, ambiguity),
            Step::Call { who, shown } => {
                if let Some(number) = pick(self.leaders(), who) {
                    self.call(number, shown);
                }
            }
            Step::Leave { who, in_call } => {
                if let Some(number) = pick(self.parties.keys().copied().collect(), who) {
                    self.leave(number, in_call);
                }
            }
            Step::Look { who } => {
                if let Some(number) = pick(self.due.keys().copied().collect(), who) {
                    self.look(number);
                }
            }
        }
    }

    fn leaders(&self) -> Vec<usize> {
        let leads = |party: &Party| matches!(party, Party::Leader(_));
        self.parties.iter().filter(|(_, (_, party))| leads(party)).map(|(n, _)| *n).collect()
    }

    fn enter(&mut self, key_number: usize, lane: Lane, ambiguity: Option<Ambiguity>) {
        let number = self.entered;
        self.entered += 1;
        let model = &mut self.models[key_number];
        let party = match self.duplicates.enter(key(key_number), lane, ambiguity) {
            DuplicateRole::RecentlyRevoked => return assert!(model.revoked && self.remembers),
            DuplicateRole::Leader(leader) => {
                assert_eq!(model.leader.replace(number), None, "two leaders");
                model.ambiguity = ambiguity;
                Party::Leader(leader)
            }
            DuplicateRole::Follower(follower) => {
                assert!(model.leader.is_some(), "nobody to follow");
                model.ambiguity = model.ambiguity.max(ambiguity);
                model.waiting.push((lane, number));
                self.due.insert(number, Due::Nothing);
                Party::Follower(Box::pin(follower.outcome()))
            }
        };
        assert!(!(model.revoked && self.remembers), "called again");
        self.parties.insert(number, (key_number, party));
    }

    fn call(&mut self, number: usize, shown: Shown) {
        let Some((key, Party::Leader(leader))) = self.parties.get_mut(&number) else { return };
        let model = &mut self.models[*key];
        leader.begin_call();
        let verdict = match shown {
            Shown::Revoked => Some(Verdict::Revoked),
            Shown::Rejected => Some(Verdict::Rejected(rejection())),
            Shown::Failed { ambiguous } => Some(failure(ambiguous)),
            Shown::NotCalled => None,
        };
        let past = leader.end_call(verdict.as_ref());
        let due = match shown {
            Shown::Revoked => Due::Duplicate,
            Shown::Rejected => Due::Rejected(model.ambiguity),
            Shown::Failed { ambiguous } => {
                model.ambiguity = model.ambiguity.max(ambiguous.then_some(Ambiguity::Attempt));
                return assert_eq!(past.ambiguity, model.ambiguity);
            }
            Shown::NotCalled => return assert_eq!(past.ambiguity, model.ambiguity),
        };
        assert_eq!(past.ambiguity, model.ambiguity);
        model.revoked |= shown == Shown::Revoked;
        model.leader = None;
        for (_, told) in model.waiting.drain(..) {
            self.due.insert(told, due);
        }
        self.parties.remove(&number);
    }

    fn leave(&mut self, number: usize, in_call: bool) {
        let Some((key, mut party)) = self.parties.remove(&number) else { return };
        let model = &mut self.models[key];
        self.due.remove(&number);
        model.waiting.retain(|(_, waiting)| *waiting != number);
        if model.leader == Some(number) {
            if let (Party::Leader(leader), true) = (&mut party, in_call) {
                leader.begin_call();
                model.ambiguity = Some(Ambiguity::Attempt);
            }
            let first = |lane| model.waiting.iter().position(|(of, _)| *of == lane);
            let next = first(Lane::Interactive).or(first(Lane::Bulk));
            model.leader = next.map(|place| model.waiting.remove(place).1);
            if let Some(next) = model.leader {
                self.due.insert(next, Due::Lead);
            }
        }
        drop(party);
    }

    fn look(&mut self, number: usize) {
        let Some((key, Party::Follower(wait))) = self.parties.get_mut(&number) else { return };
        let told = wait.as_mut().now_or_never();
        match (self.due[&number], told) {
            (Due::Nothing, None) => return,
            (Due::Duplicate, Some(FollowerOutcome::Revoked)) => drop(self.parties.remove(&number)),
            (Due::Rejected(expected), Some(FollowerOutcome::Answered(_, ambiguity))) => {
                assert_eq!(ambiguity, expected);
                self.parties.remove(&number);
            }
            (Due::Lead, Some(FollowerOutcome::Lead(leader))) => {
                assert_eq!(leader.shared_history().ambiguity, self.models[*key].ambiguity);
                let key = *key;
                self.parties.insert(number, (key, Party::Leader(leader)));
            }
            (due, told) => panic!("due was {due:?}, told was {told:?}"),
        }
        self.due.remove(&number);
    }

    /// Lets every leader leave and every follower poll: no job may be left waiting.
    fn end(mut self) {
        while !self.parties.is_empty() {
            for number in self.due.keys().copied().collect::<Vec<_>>() {
                self.look(number);
            }
            let leaders = self.leaders();
            assert!(!leaders.is_empty() || self.due.is_empty(), "followers without a leader");
            for leader in leaders {
                self.leave(leader, false);
            }
        }
        assert!(nothing_in_flight(&self.duplicates));
    }
}

fn lane() -> impl Strategy<Value = Lane> {
    prop_oneof![Just(Lane::Interactive), Just(Lane::Bulk)]
}

fn ambiguity() -> impl Strategy<Value = Option<Ambiguity>> {
    prop_oneof![
        4 => Just(None),
        1 => Just(Some(Ambiguity::Redelivered)),
        1 => Just(Some(Ambiguity::Attempt)),
    ]
}

fn shown() -> impl Strategy<Value = Shown> {
    prop_oneof![
        Just(Shown::Revoked),
        Just(Shown::Rejected),
        any::<bool>().prop_map(|ambiguous| Shown::Failed { ambiguous }),
        Just(Shown::NotCalled),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let who = any::<usize>();
    prop_oneof![
        4 => (0..KEYS, lane(), ambiguity())
            .prop_map(|(key, lane, ambiguity)| Step::Enter { key, lane, ambiguity }),
        1 => (who, shown()).prop_map(|(who, shown)| Step::Call { who, shown }),
        2 => (who, any::<bool>()).prop_map(|(who, in_call)| Step::Leave { who, in_call }),
        2 => who.prop_map(|who| Step::Look { who }),
    ]
}

proptest! {
    /// At most one job leads at a time, in the order of the rules. Each follower gets exactly one
    /// answer. At the end no job waits, and no entry is left.
    #[test]
    fn every_order_of_events_keeps_the_rules(
        remembers in any::<bool>(),
        steps in prop::collection::vec(step(), 1..120),
    ) {
        let mut world = World::new(remembers);
        for step in steps {
            world.step(step);
        }
        world.end();
    }
}
