//! Decides which pools take a new default image first: pure.

/// Maximum number of pools that take the default image at a time.
pub const MAX_CONCURRENT_ROLLOUTS: usize = 2;

/// The state of a pool that takes the default image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RolloutState {
    /// The pool has the default image, and all its pods became ready with it.
    Updated,
    /// The pool has the default image, and some of its pods are not replaced or not ready yet.
    Rolling,
    /// The pool has the default image and does not become ready, for the reason of a condition.
    Stalled(&'static str),
    /// The pool's pods have another image.
    Outdated {
        /// False while its pods are being replaced for another change.
        is_settled: bool,
    },
    /// The pool has another image, and no pods.
    WithoutPods,
}

/// A pool that takes the default image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolRollout {
    /// Its name.
    pub name: String,
    /// Its state.
    pub state: RolloutState,
}

/// Whether a pool takes the default image now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RolloutDecision {
    /// It takes the image, or has it already.
    Proceed,
    /// Other pools come first.
    Queued,
    /// A pool that took the image stalls.
    Stopped {
        /// The pool that stalls.
        by: String,
        /// The reason of its condition.
        why: &'static str,
    },
}

/// Decides for the pool `name`.
///
/// The order of names makes the decision independent of the pool that asks and of outdated states of the others, and lets a fixed
/// image reach the pools with the broken one first.
#[must_use]
pub fn decide(name: &str, pools: &[PoolRollout]) -> RolloutDecision {
    let own = pools.iter().find(|pool| pool.name == name).map(|pool| pool.state);
    let Some(state @ (RolloutState::Outdated { .. } | RolloutState::WithoutPods)) = own else {
        return RolloutDecision::Proceed;
    };
    if let Some((by, why)) = first_stalled(pools) {
        return RolloutDecision::Stopped { by: by.to_owned(), why };
    }
    let rolling = pools.iter().filter(|pool| is_rolling(pool.state)).count();
    let mut outdated = pools.iter().filter(|pool| pool.state == RolloutState::Outdated { is_settled: true });
    let may_proceed = match state {
        RolloutState::Outdated { is_settled: true } => {
            rolling + outdated.filter(|pool| *pool.name < *name).count() < MAX_CONCURRENT_ROLLOUTS
        }
        // The pools with pods try the image first.
        RolloutState::WithoutPods => rolling == 0 && outdated.next().is_none(),
        // Its pods are being replaced anyway.
        _ => true,
    };
    if may_proceed { RolloutDecision::Proceed } else { RolloutDecision::Queued }
}

/// Returns the first pool, by name, that stalls, and why.
fn first_stalled(pools: &[PoolRollout]) -> Option<(&str, &'static str)> {
    let stalled = pools.iter().filter_map(|pool| match pool.state {
        RolloutState::Stalled(why) => Some((pool.name.as_str(), why)),
        _ => None,
    });
    stalled.min()
}

fn is_rolling(state: RolloutState) -> bool {
    matches!(state, RolloutState::Rolling | RolloutState::Outdated { is_settled: false })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    const OUTDATED: RolloutState = RolloutState::Outdated { is_settled: true };
    const CHANGING: RolloutState = RolloutState::Outdated { is_settled: false };

    /// Returns the decisions for pools `a`, `b`, `c`… as letters: Proceed, Queued, Stopped.
    fn decisions(states: &[RolloutState]) -> String {
        let name = |number: usize| char::from(b'a' + u8::try_from(number).unwrap()).to_string();
        let pools: Vec<PoolRollout> = states
            .iter()
            .enumerate()
            .map(|(number, state)| PoolRollout { name: name(number), state: *state })
            .collect();
        let letter = |pool: &PoolRollout| match decide(&pool.name, &pools) {
            RolloutDecision::Proceed => 'P',
            RolloutDecision::Queued => 'Q',
            RolloutDecision::Stopped { .. } => 'S',
        };
        pools.iter().map(letter).collect()
    }

    #[rstest]
    #[case::first_two_by_name(&[OUTDATED, OUTDATED, OUTDATED, OUTDATED], "PPQQ")]
    #[case::one_is_rolling(&[OUTDATED, RolloutState::Rolling, OUTDATED], "PPQ")]
    #[case::two_are_rolling(&[RolloutState::Rolling, OUTDATED, RolloutState::Rolling], "PQP")]
    #[case::updated_pool_takes_no_place(&[RolloutState::Updated, OUTDATED, OUTDATED, OUTDATED], "PPPQ")]
    #[case::stalled_pool_stops_the_rest(&[OUTDATED, RolloutState::Stalled("x"), RolloutState::Updated, RolloutState::WithoutPods], "SPPS")]
    #[case::changing_pool_proceeds_and_takes_a_place(&[OUTDATED, OUTDATED, CHANGING], "PQP")]
    #[case::changing_pool_stops_too(&[CHANGING, RolloutState::Stalled("x")], "SP")]
    #[case::pools_with_pods_come_first(&[RolloutState::WithoutPods, OUTDATED], "QP")]
    #[case::pool_without_pods_waits_for_rolling(&[RolloutState::WithoutPods, RolloutState::Rolling], "QP")]
    #[case::pools_without_pods_proceed_together(&[RolloutState::WithoutPods, RolloutState::WithoutPods, RolloutState::WithoutPods, RolloutState::Updated], "PPPP")]
    fn order_of_rollout(#[case] states: &[RolloutState], #[case] expected: &str) {
        assert_eq!(decisions(states), expected);
    }

    #[test]
    fn first_stalled_pool_is_named() {
        let pool = |name: &str, state| PoolRollout { name: name.to_owned(), state };
        let pools = [
            pool("c", RolloutState::Stalled("z")),
            pool("b", RolloutState::Stalled("y")),
            pool("a", OUTDATED),
        ];
        assert_eq!(decide("a", &pools), RolloutDecision::Stopped { by: "b".to_owned(), why: "y" });
    }

    #[test]
    fn uncounted_pool_proceeds() {
        assert_eq!(
            decide("other", &[PoolRollout { name: "a".to_owned(), state: RolloutState::Stalled("x") }]),
            RolloutDecision::Proceed
        );
    }
}
