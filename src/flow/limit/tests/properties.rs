//! Properties of any sequence of calls.

use super::*;

#[derive(Debug, Clone)]
enum Step {
    CallRole(usize),
    End(u64, Sample),
    Resume,
}

fn step() -> impl Strategy<Value = Step> {
    let latency = prop_oneof![
        (0..1000_u64).prop_map(Duration::from_millis),
        Just(Duration::ZERO),
        Just(Duration::MAX),
    ];
    let sample = prop_oneof![
        12 => latency.prop_map(|latency| Sample::Answered { latency }),
        1 => Just(Sample::Overload { after: CALL }),
        1 => Just(Sample::Unknown),
    ];
    prop_oneof![
        40 => (1..1200_usize).prop_map(Step::CallRole),
        // Mostly the latest calls end, and sometimes calls that never started.
        40 => (0..50_u64, sample).prop_map(|(back, sample)| Step::End(back, sample)),
        1 => Just(Step::Resume),
    ]
}

proptest! {
    #[test]
    fn the_limit_stays_between_floor_and_ceiling(
        min in 1..50_usize,
        range in 0..1000_usize,
        adaptive: bool,
        steps in prop::collection::vec(step(), 1..300),
    ) {
        let max = min + range;
        let mut limit = ConcurrencyLimit::new(min, max, adaptive);
        let mut last = 0;
        for step in steps {
            match step {
                Step::CallRole(running) => last = limit.started(running),
                Step::End(back, sample) => limit.ended(last.wrapping_sub(back), sample),
                Step::Resume => limit.resume(),
            }
            prop_assert!((min..=max).contains(&limit.current()));
            prop_assert!(adaptive || limit.current() == max);
        }
    }

    #[test]
    fn answers_at_a_steady_latency_never_lower_it(
        min in 1..50_usize,
        range in 0..60_usize,
        latency in 0..10_000_u64,
    ) {
        let mut limit = ConcurrencyLimit::new(min, min + range, true);
        let latency = Duration::from_millis(latency);
        for _ in 0..100 {
            let before = limit.current();
            for number in fill(&mut limit) {
                limit.ended(number, Sample::Answered { latency });
            }
            prop_assert!(limit.current() >= before);
        }
        prop_assert_eq!(limit.current(), min + range);
    }
}
