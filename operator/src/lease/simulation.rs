//! Operators that are stopped and go on again, with clocks of their own: never do two write.

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;

use super::decide::{Observer, Record, Step};
use super::{DEADLINE, RENEW, RETRY};

/// Time, in tenths of a second.
const TICK: Duration = Duration::from_millis(100);

#[derive(Default)]
struct Operator {
    observer: Observer,
    /// Ahead of the true time by this.
    clock: Duration,
    /// True time until which it is stopped.
    stopped: u32,
    /// True time of its next look.
    next: u32,
    /// By its own clock.
    open_until: Duration,
}

#[derive(Default)]
struct World {
    lease: Option<Record>,
    writes: u32,
}

impl World {
    fn turn(&mut self, name: &str, operator: &mut Operator, now: u32) {
        if now < operator.stopped || now < operator.next {
            return;
        }
        let own = operator.clock + TICK * now;
        let step = operator.observer.step(self.lease.as_ref(), name, own);
        if step != Step::Wait {
            self.writes += 1;
            self.lease = Some(Record { holder: Some(name.to_owned()), version: self.writes.to_string() });
            operator.open_until = own + DEADLINE;
        }
        let pause = if step == Step::Wait { RETRY } else { RENEW };
        operator.next = now + u32::try_from(pause.as_millis() / TICK.as_millis()).unwrap();
    }
}

proptest! {
    #[test]
    fn never_do_two_write(
        clocks in vec(0_u64..100_000, 3),
        stops in vec((0_usize..3, 0_u32..3000, 1_u32..400), 0..12),
    ) {
        let mut operators: Vec<Operator> =
            clocks.iter().map(|ahead| Operator { clock: Duration::from_millis(*ahead), ..Operator::default() }).collect();
        let mut world = World::default();
        let mut held = 0;
        for now in 0..3000 {
            for (who, begin, length) in &stops {
                if *begin == now {
                    operators[*who].stopped = operators[*who].stopped.max(begin + length);
                }
            }
            for (number, operator) in operators.iter_mut().enumerate() {
                world.turn(&number.to_string(), operator, now);
            }
            // One that is stopped writes nothing now; what it does when it goes on is judged then.
            let open = operators.iter().filter(|o| now >= o.stopped && o.clock + TICK * now < o.open_until).count();
            prop_assert!(open <= 1, "{open} write at {now}");
            held += open;
        }
        prop_assert!(!stops.is_empty() || held > 2900, "nobody held it most of the time: {held}");
    }
}
