//! Pools whose operator sees them late, starts again, is given another default image, and whose users change them:
//! never does a third begin while two are under way, and all get there.

use proptest::collection::vec;
use proptest::prelude::*;

use super::Rollout;
use super::decide::{AT_A_TIME, State, Turn, View};

/// Images are numbers.
#[derive(Debug, Clone, Copy)]
struct Pool {
    image: u32,
    is_settled: bool,
    has_pods: bool,
    /// Has an image of its own, or is not to be touched.
    is_apart: bool,
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Reconcile(usize),
    /// What has become of a pool comes by the watch.
    See(usize),
    /// Its pods are ready, if they can be.
    Arrive(usize),
    Scale(usize),
    TakeAway(usize),
    /// The operator is another one.
    Restart,
    /// With another default image.
    Upgrade,
}

fn step() -> impl Strategy<Value = Step> {
    let pool = || 0_usize..5;
    prop_oneof![
        8 => pool().prop_map(Step::Reconcile),
        6 => pool().prop_map(Step::See),
        4 => pool().prop_map(Step::Arrive),
        1 => pool().prop_map(Step::Scale),
        1 => pool().prop_map(Step::TakeAway),
        1 => Just(Step::Restart),
        1 => Just(Step::Upgrade),
    ]
}

struct World {
    pools: Vec<Pool>,
    seen: Vec<Pool>,
    default: u32,
    /// No pod becomes ready with it.
    broken: Option<u32>,
    operator: Rollout,
    began: usize,
}

impl World {
    fn new(broken: Option<u32>) -> Self {
        let pools = vec![Pool { image: 0, is_settled: true, has_pods: true, is_apart: false }; 5];
        Self { seen: pools.clone(), pools, default: 1, broken, operator: Rollout::default(), began: 0 }
    }

    fn is_under_way(pool: &Pool) -> bool {
        pool.has_pods && !pool.is_settled && !pool.is_apart
    }

    fn view(&self, number: usize, pool: &Pool) -> Option<View> {
        let state = match (pool.image == self.default, pool.has_pods) {
            _ if pool.is_apart => return None,
            (true, false) => State::Arrived,
            (true, true) if pool.is_settled => State::Arrived,
            (true, true) if self.broken == Some(pool.image) => State::Stalled("x"),
            (true, true) => State::Rolling,
            (false, false) => State::Idle,
            (false, true) => State::Due { settled: pool.is_settled },
        };
        Some(View { name: number.to_string(), state })
    }

    fn reconcile(&mut self, number: usize) -> Result<(), TestCaseError> {
        let views: Vec<View> =
            self.seen.iter().enumerate().filter_map(|(number, pool)| self.view(number, pool)).collect();
        let Some(own) = views.iter().find(|view| view.name == number.to_string()) else { return Ok(()) };
        if !matches!(own.state, State::Due { .. } | State::Idle) {
            return Ok(());
        }
        let stalls = views.iter().any(|view| matches!(view.state, State::Stalled(_)));
        let turn = self.operator.decide(&number.to_string(), views);
        let before = self.pools[number];
        if turn != Turn::Now || before.image == self.default {
            return Ok(());
        }
        prop_assert!(!stalls, "{number} takes an image with which another stalls");
        if before.has_pods && before.is_settled {
            let others = self.pools.iter().filter(|pool| Self::is_under_way(pool)).count();
            prop_assert!(others < AT_A_TIME, "{number} begins while {others} are under way");
            self.began += 1;
        }
        self.pools[number].image = self.default;
        self.pools[number].is_settled = !before.has_pods;
        Ok(())
    }

    fn take(&mut self, step: Step) -> Result<(), TestCaseError> {
        match step {
            Step::Reconcile(number) => self.reconcile(number)?,
            Step::See(number) => self.seen[number] = self.pools[number],
            Step::Arrive(number) => {
                let pool = &mut self.pools[number];
                pool.is_settled |= self.broken != Some(pool.image);
            }
            Step::Scale(number) => {
                let pool = &mut self.pools[number];
                pool.has_pods = !pool.has_pods;
                // Its controller has nothing to replace where there are none.
                pool.is_settled |= !pool.has_pods;
                // A user's change and what is seen of it are the same moment: it is the operator who acts on it.
                self.seen[number] = *pool;
            }
            Step::TakeAway(number) => {
                // One that is given back amid a change is one more, which is not the operator's doing.
                let pool = &mut self.pools[number];
                pool.is_apart = !pool.is_apart || !pool.is_settled;
                self.seen[number] = self.pools[number];
            }
            Step::Restart | Step::Upgrade => {
                self.default += u32::from(matches!(step, Step::Upgrade));
                self.operator = Rollout::default();
                self.seen.clone_from(&self.pools);
            }
        }
        Ok(())
    }

    /// Without any more changes.
    fn settle(&mut self) -> Result<(), TestCaseError> {
        for _ in 0..10 {
            for number in 0..self.pools.len() {
                for step in
                    [Step::Arrive(number), Step::See(number), Step::Reconcile(number), Step::See(number)]
                {
                    self.take(step)?;
                }
            }
        }
        Ok(())
    }
}

proptest! {
    #[test]
    fn never_a_third_and_all_in_the_end(steps in vec(step(), 0..200)) {
        let mut world = World::new(None);
        for step in steps {
            world.take(step)?;
        }
        world.settle()?;
        for pool in world.pools.iter().filter(|pool| !pool.is_apart) {
            prop_assert_eq!((pool.image, pool.is_settled), (world.default, true));
        }
    }

    #[test]
    fn a_broken_image_reaches_two_and_the_next_one_mends_them(
        steps in vec(step(), 0..200),
    ) {
        let mut world = World::new(Some(1));
        for step in steps {
            if !matches!(step, Step::Upgrade | Step::Scale(_) | Step::TakeAway(_)) {
                world.take(step)?;
            }
        }
        world.settle()?;
        prop_assert!((1..=AT_A_TIME).contains(&world.began), "{} began", world.began);
        prop_assert_eq!(world.pools.iter().filter(|pool| pool.image == 1).count(), world.began);
        world.take(Step::Upgrade)?;
        world.settle()?;
        prop_assert!(world.pools.iter().all(|pool| pool.image == 2 && pool.is_settled));
    }
}
