//! Simulates pools that the operator observes late, while it restarts, gets another default image, and users change the pools: a
//! third rollout never starts while two are under way, and all pools are updated in the end.

use proptest::collection::vec;
use proptest::prelude::*;

use super::Rollout;
use super::decide::{MAX_CONCURRENT_ROLLOUTS, PoolRollout, RolloutDecision, RolloutState};

/// A pool; images are numbers.
#[derive(Debug, Clone, Copy)]
struct Pool {
    image: u32,
    is_settled: bool,
    has_pods: bool,
    /// Has an image of its own, or is paused.
    is_excluded: bool,
}

#[derive(Debug, Clone, Copy)]
enum SimulationStep {
    Reconcile(usize),
    /// The watch delivers the current state of a pool.
    Observe(usize),
    /// The pods of a pool become ready, unless its image is broken.
    BecomeReady(usize),
    Scale(usize),
    ToggleExcluded(usize),
    /// Another operator process takes over.
    Restart,
    /// Another operator with another default image takes over.
    Upgrade,
}

fn step() -> impl Strategy<Value = SimulationStep> {
    let pool = || 0_usize..5;
    prop_oneof![
        8 => pool().prop_map(SimulationStep::Reconcile),
        6 => pool().prop_map(SimulationStep::Observe),
        4 => pool().prop_map(SimulationStep::BecomeReady),
        1 => pool().prop_map(SimulationStep::Scale),
        1 => pool().prop_map(SimulationStep::ToggleExcluded),
        1 => Just(SimulationStep::Restart),
        1 => Just(SimulationStep::Upgrade),
    ]
}

struct Simulation {
    pools: Vec<Pool>,
    observed: Vec<Pool>,
    default: u32,
    /// An image with which no pod becomes ready.
    broken: Option<u32>,
    operator: Rollout,
    started: usize,
}

impl Simulation {
    fn new(broken: Option<u32>) -> Self {
        let pools = vec![Pool { image: 0, is_settled: true, has_pods: true, is_excluded: false }; 5];
        Self { observed: pools.clone(), pools, default: 1, broken, operator: Rollout::default(), started: 0 }
    }

    fn is_under_way(pool: &Pool) -> bool {
        pool.has_pods && !pool.is_settled && !pool.is_excluded
    }

    fn rollout_of(&self, number: usize, pool: &Pool) -> Option<PoolRollout> {
        let state = match (pool.image == self.default, pool.has_pods) {
            _ if pool.is_excluded => return None,
            (true, false) => RolloutState::Updated,
            (true, true) if pool.is_settled => RolloutState::Updated,
            (true, true) if self.broken == Some(pool.image) => RolloutState::Stalled("x"),
            (true, true) => RolloutState::Rolling,
            (false, false) => RolloutState::WithoutPods,
            (false, true) => RolloutState::Outdated { is_settled: pool.is_settled },
        };
        Some(PoolRollout { name: number.to_string(), state })
    }

    fn reconcile(&mut self, number: usize) -> Result<(), TestCaseError> {
        let pools: Vec<PoolRollout> = self
            .observed
            .iter()
            .enumerate()
            .filter_map(|(number, pool)| self.rollout_of(number, pool))
            .collect();
        let Some(own) = pools.iter().find(|pool| pool.name == number.to_string()) else { return Ok(()) };
        if !matches!(own.state, RolloutState::Outdated { .. } | RolloutState::WithoutPods) {
            return Ok(());
        }
        let stalls = pools.iter().any(|pool| matches!(pool.state, RolloutState::Stalled(_)));
        let decision = self.operator.decide_among(&number.to_string(), pools);
        let before = self.pools[number];
        if decision != RolloutDecision::Proceed || before.image == self.default {
            return Ok(());
        }
        prop_assert!(!stalls, "{number} takes an image with which another pool stalls");
        if before.has_pods && before.is_settled {
            let others = self.pools.iter().filter(|pool| Self::is_under_way(pool)).count();
            prop_assert!(others < MAX_CONCURRENT_ROLLOUTS, "{number} starts while {others} are under way");
            self.started += 1;
        }
        self.pools[number].image = self.default;
        self.pools[number].is_settled = !before.has_pods;
        Ok(())
    }

    fn apply(&mut self, step: SimulationStep) -> Result<(), TestCaseError> {
        match step {
            SimulationStep::Reconcile(number) => self.reconcile(number)?,
            SimulationStep::Observe(number) => self.observed[number] = self.pools[number],
            SimulationStep::BecomeReady(number) => {
                let pool = &mut self.pools[number];
                pool.is_settled |= self.broken != Some(pool.image);
            }
            SimulationStep::Scale(number) => {
                let pool = &mut self.pools[number];
                pool.has_pods = !pool.has_pods;
                // Without pods the Deployment controller has nothing to replace.
                pool.is_settled |= !pool.has_pods;
                // A user's change is observed at once, because the operator acts only on what it has observed.
                self.observed[number] = *pool;
            }
            SimulationStep::ToggleExcluded(number) => {
                // A pool in the middle of a change stays excluded: including it would add a rollout that the operator did not start.
                let pool = &mut self.pools[number];
                pool.is_excluded = !pool.is_excluded || !pool.is_settled;
                self.observed[number] = self.pools[number];
            }
            SimulationStep::Restart | SimulationStep::Upgrade => {
                self.default += u32::from(matches!(step, SimulationStep::Upgrade));
                self.operator = Rollout::default();
                self.observed.clone_from(&self.pools);
            }
        }
        Ok(())
    }

    /// Lets all pools finish without further changes.
    fn settle(&mut self) -> Result<(), TestCaseError> {
        for _ in 0..10 {
            for number in 0..self.pools.len() {
                for step in [
                    SimulationStep::BecomeReady(number),
                    SimulationStep::Observe(number),
                    SimulationStep::Reconcile(number),
                    SimulationStep::Observe(number),
                ] {
                    self.apply(step)?;
                }
            }
        }
        Ok(())
    }
}

proptest! {
    #[test]
    fn at_most_two_roll_and_all_are_updated(steps in vec(step(), 0..200)) {
        let mut simulation = Simulation::new(None);
        for step in steps {
            simulation.apply(step)?;
        }
        simulation.settle()?;
        for pool in simulation.pools.iter().filter(|pool| !pool.is_excluded) {
            prop_assert_eq!((pool.image, pool.is_settled), (simulation.default, true));
        }
    }

    #[test]
    fn broken_image_reaches_two_pools_and_next_fixes_them(
        steps in vec(step(), 0..200),
    ) {
        let mut simulation = Simulation::new(Some(1));
        for step in steps {
            if !matches!(step, SimulationStep::Upgrade | SimulationStep::Scale(_) | SimulationStep::ToggleExcluded(_)) {
                simulation.apply(step)?;
            }
        }
        simulation.settle()?;
        prop_assert!((1..=MAX_CONCURRENT_ROLLOUTS).contains(&simulation.started), "{} started", simulation.started);
        prop_assert_eq!(simulation.pools.iter().filter(|pool| pool.image == 1).count(), simulation.started);
        simulation.apply(SimulationStep::Upgrade)?;
        simulation.settle()?;
        prop_assert!(simulation.pools.iter().all(|pool| pool.image == 2 && pool.is_settled));
    }
}
