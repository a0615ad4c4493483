//! Whose turn it is to take the default image: pure.

/// Pools that take the default image at a time.
pub const AT_A_TIME: usize = 2;

/// Where a pool stands that takes the default image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It has the default image, and all its pods were ready with it.
    Arrived,
    /// It has the default image, and not all its pods are of it and ready yet.
    Rolling,
    /// It has the default image, and does not become ready: the reason is a condition's.
    Stalled(&'static str),
    /// Its pods have another image.
    Due {
        /// True if its pods are all of one form: none is being replaced.
        settled: bool,
    },
    /// It has another image, and no pods.
    Idle,
}

/// A pool that takes the default image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// Its name.
    pub name: String,
    /// Where it stands.
    pub state: State,
}

/// Whether a pool takes the default image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Turn {
    /// It does, or has it already.
    Now,
    /// Others are first.
    Waits,
    /// A pool that took it stalls.
    Stopped {
        /// The pool that stalls.
        by: String,
        /// The reason of its condition.
        why: &'static str,
    },
}

/// Decides for the pool `name`. In the order of names: whoever asks, and however old what is seen of others is, the same
/// are first, and an image that mends those that took a broken one goes to those first.
#[must_use]
pub fn decide(name: &str, views: &[View]) -> Turn {
    let own = views.iter().find(|view| view.name == name).map(|view| view.state);
    let (Some(State::Due { .. } | State::Idle), Some(state)) = (own, own) else { return Turn::Now };
    if let Some((by, why)) = stalled(views) {
        return Turn::Stopped { by: by.to_owned(), why };
    }
    let busy = views.iter().filter(|view| is_rolling(view.state)).count();
    let due = |view: &&View| view.state == State::Due { settled: true };
    let goes = match state {
        State::Due { settled: true } => {
            let before = views.iter().filter(due).filter(|view| *view.name < *name).count();
            busy + before < AT_A_TIME
        }
        // It has no pod to lose: others try the image.
        State::Idle => busy == 0 && !views.iter().any(|view| due(&view)),
        // Its pods are being replaced anyway.
        _ => true,
    };
    if goes { Turn::Now } else { Turn::Waits }
}

/// The first pool that stalls.
fn stalled(views: &[View]) -> Option<(&str, &'static str)> {
    let stalled = views.iter().filter_map(|view| match view.state {
        State::Stalled(why) => Some((view.name.as_str(), why)),
        _ => None,
    });
    stalled.min()
}

fn is_rolling(state: State) -> bool {
    matches!(state, State::Rolling | State::Due { settled: false })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    const DUE: State = State::Due { settled: true };
    const AMID: State = State::Due { settled: false };

    /// Pools `a`, `b`, `c`…; what each does, in a letter: takes it Now, Waits, is Stopped.
    fn turns(states: &[State]) -> String {
        let name = |number: usize| char::from(b'a' + u8::try_from(number).unwrap()).to_string();
        let views: Vec<View> = states
            .iter()
            .enumerate()
            .map(|(number, state)| View { name: name(number), state: *state })
            .collect();
        let letter = |view: &View| match decide(&view.name, &views) {
            Turn::Now => 'N',
            Turn::Waits => 'W',
            Turn::Stopped { .. } => 'S',
        };
        views.iter().map(letter).collect()
    }

    #[rstest]
    #[case::the_first_two_by_name(&[DUE, DUE, DUE, DUE], "NNWW")]
    #[case::one_place_is_taken(&[DUE, State::Rolling, DUE], "NNW")]
    #[case::both_are(&[State::Rolling, DUE, State::Rolling], "NWN")]
    #[case::who_has_it_takes_no_place(&[State::Arrived, DUE, DUE, DUE], "NNNW")]
    #[case::one_that_stalls_stops_the_rest(&[DUE, State::Stalled("x"), State::Arrived, State::Idle], "SNNS")]
    #[case::one_amid_another_change_goes_on_and_takes_a_place(&[DUE, DUE, AMID], "NWN")]
    #[case::but_not_to_an_image_that_stalls(&[AMID, State::Stalled("x")], "SN")]
    #[case::pods_to_lose_come_before_none(&[State::Idle, DUE], "WN")]
    #[case::none_waits_for_those_that_roll(&[State::Idle, State::Rolling], "WN")]
    #[case::and_then_all_of_them_at_once(&[State::Idle, State::Idle, State::Idle, State::Arrived], "NNNN")]
    fn turn(#[case] states: &[State], #[case] expected: &str) {
        assert_eq!(turns(states), expected);
    }

    #[test]
    fn the_first_that_stalls_is_named() {
        let view = |name: &str, state| View { name: name.to_owned(), state };
        let views = [view("c", State::Stalled("z")), view("b", State::Stalled("y")), view("a", DUE)];
        assert_eq!(decide("a", &views), Turn::Stopped { by: "b".to_owned(), why: "y" });
    }

    #[test]
    fn a_pool_that_is_not_counted_does_as_it_likes() {
        assert_eq!(decide("other", &[View { name: "a".to_owned(), state: State::Stalled("x") }]), Turn::Now);
    }
}
