//! The limit of file descriptors: without one left nobody is let in, and no file or registry reached.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Fewer than this are worth a word.
const COMFORTABLE: u64 = 4096;
/// More than any binary here needs. Not all that the system allows: programs that a binary starts inherit it, and some
/// close each descriptor that there could be.
const ENOUGH: u64 = 1 << 16;

/// Raises the limit as far as the system allows and is useful. Gives what it is then; none if there is no limit.
pub fn raise() -> Option<u64> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = maximum.map_or(ENOUGH, |maximum| maximum.min(ENOUGH));
    let is_less = current.is_some_and(|current| current < wanted);
    let raised = is_less && setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum }).is_ok();
    let limit = if raised { Some(wanted) } else { current };
    if let Some(limit) = limit.filter(|limit| *limit < COMFORTABLE) {
        tracing::warn!(limit, "few file descriptors: raise the limit (ulimit -n)");
    }
    limit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_raised_as_far_as_it_is_useful_and_never_lowered() {
        let Rlimit { current: before, maximum } = getrlimit(Resource::Nofile);
        let least = [before, maximum, Some(ENOUGH)].into_iter().flatten().min();
        let raised = raise();
        assert!(
            raised.is_none_or(|raised| Some(raised) >= before.or(raised.into()) && Some(raised) >= least)
        );
        assert_eq!(getrlimit(Resource::Nofile).current, raised);
        assert_eq!(raise(), raised);
    }
}
