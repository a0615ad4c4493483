//! Each connection takes a descriptor, and a second one while it is watched. At the limit libzmq serves those it has
//! and takes nobody new, so the limit is raised as far as the system allows.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Fewer than this are worth a word.
const COMFORTABLE: u64 = 4096;

pub(super) fn raise() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    let limit = if raised.is_ok() { maximum } else { current };
    if let Some(limit) = limit.filter(|limit| *limit < COMFORTABLE) {
        tracing::warn!(
            limit,
            "few file descriptors: raise the limit (ulimit -n) for more than some hundred peers"
        );
    }
}
