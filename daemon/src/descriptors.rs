//! The limit of file descriptors. A process without a free one can accept no connection and open no file.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// A lower limit is logged as a warning.
const LOW_LIMIT: u64 = 4096;
/// The desired limit, higher than any binary needs. It is not the maximum that the system allows, because child processes
/// inherit it, and some of them close every possible descriptor.
const DESIRED_LIMIT: u64 = 1 << 16;

/// Raises the limit as far as the system allows and is useful. Returns the new limit; `None` if there is none.
pub fn raise() -> Option<u64> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = maximum.map_or(DESIRED_LIMIT, |maximum| maximum.min(DESIRED_LIMIT));
    let is_less = current.is_some_and(|current| current < wanted);
    let raised = is_less && setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum }).is_ok();
    let limit = if raised { Some(wanted) } else { current };
    if let Some(limit) = limit.filter(|limit| *limit < LOW_LIMIT) {
        tracing::warn!(limit, "few file descriptors: raise the limit (ulimit -n)");
    }
    limit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limit_is_only_raised() {
        let Rlimit { current: before, maximum } = getrlimit(Resource::Nofile);
        let least = [before, maximum, Some(DESIRED_LIMIT)].into_iter().flatten().min();
        let raised = raise();
        assert!(
            raised.is_none_or(|raised| Some(raised) >= before.or(raised.into()) && Some(raised) >= least)
        );
        assert_eq!(getrlimit(Resource::Nofile).current, raised);
        assert_eq!(raise(), raised);
    }
}
