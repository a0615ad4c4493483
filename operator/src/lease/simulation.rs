//! Simulates operators with clocks of their own that are suspended and resumed: two of them never write at a time.

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;

use super::decide::{LeaseAction, LeaseObserver, LeaseRecord};
use super::{RENEW_DEADLINE, RENEW_INTERVAL, RETRY_INTERVAL};

/// The unit of simulated time.
const TICK: Duration = Duration::from_millis(100);

#[derive(Default)]
struct Operator {
    observer: LeaseObserver,
    /// How far its clock is ahead of the true time.
    clock_offset: Duration,
    /// True time until which it is suspended.
    suspended_until: u32,
    /// True time of its next attempt.
    next_attempt: u32,
    /// When its gate closes, by its own clock.
    open_until: Duration,
}

#[derive(Default)]
struct Cluster {
    lease: Option<LeaseRecord>,
    writes: u32,
}

impl Cluster {
    fn attempt(&mut self, name: &str, operator: &mut Operator, now: u32) {
        if now < operator.suspended_until || now < operator.next_attempt {
            return;
        }
        let own_now = operator.clock_offset + TICK * now;
        let action = operator.observer.decide(self.lease.as_ref(), name, own_now);
        if action != LeaseAction::Wait {
            self.writes += 1;
            self.lease =
                Some(LeaseRecord { holder: Some(name.to_owned()), version: self.writes.to_string() });
            operator.open_until = own_now + RENEW_DEADLINE;
        }
        let interval = if action == LeaseAction::Wait { RETRY_INTERVAL } else { RENEW_INTERVAL };
        operator.next_attempt = now + u32::try_from(interval.as_millis() / TICK.as_millis()).unwrap();
    }
}

proptest! {
    #[test]
    fn two_operators_never_write(
        clock_offsets in vec(0_u64..100_000, 3),
        suspensions in vec((0_usize..3, 0_u32..3000, 1_u32..400), 0..12),
    ) {
        let mut operators: Vec<Operator> =
            clock_offsets.iter().map(|offset| Operator { clock_offset: Duration::from_millis(*offset), ..Operator::default() }).collect();
        let mut cluster = Cluster::default();
        let mut held = 0;
        for now in 0..3000 {
            for (number, begin, length) in &suspensions {
                if *begin == now {
                    let operator = &mut operators[*number];
                    operator.suspended_until = operator.suspended_until.max(begin + length);
                }
            }
            for (number, operator) in operators.iter_mut().enumerate() {
                cluster.attempt(&number.to_string(), operator, now);
            }
            // A suspended operator writes nothing; its gate counts again once it resumes.
            let open = operators.iter().filter(|o| now >= o.suspended_until && o.clock_offset + TICK * now < o.open_until).count();
            prop_assert!(open <= 1, "{open} operators can write at {now}");
            held += open;
        }
        prop_assert!(!suspensions.is_empty() || held > 2900, "the lease was held for {held} ticks only");
    }
}
