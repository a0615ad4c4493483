//! Each connection takes a descriptor. Without one left nobody can be let in, and no file or registry be reached, so the
//! limit is raised as far as the system allows, and connections are bounded by it.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Fewer than this are worth a word.
const COMFORTABLE: u64 = 4096;
/// Connections of a port, however many descriptors there are.
const MOST_CONNECTIONS: u64 = 10_000;
/// For everything that is no connection.
const OTHERS: u64 = 256;
/// The ports that share them.
const PORTS: u64 = 3;

/// Raises the limit of descriptors. Gives how many connections a port may have.
pub(super) fn raise() -> usize {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    let limit = if raised.is_ok() { maximum } else { current };
    if let Some(limit) = limit.filter(|limit| *limit < COMFORTABLE) {
        tracing::warn!(
            limit,
            "few file descriptors: raise the limit (ulimit -n) for more than some hundred peers"
        );
    }
    most_connections(limit)
}

/// At least a few, or nobody could be served.
fn most_connections(limit: Option<u64>) -> usize {
    let room = limit.map_or(MOST_CONNECTIONS, |limit| limit.saturating_sub(OTHERS) / PORTS);
    usize::try_from(room.clamp(16, MOST_CONNECTIONS)).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(None, 10_000)]
    #[case(Some(1 << 20), 10_000)]
    #[case(Some(4096), 1280)]
    #[case(Some(1024), 256)]
    #[case(Some(64), 16)]
    fn connections_fit_the_descriptors(#[case] limit: Option<u64>, #[case] most: usize) {
        assert_eq!(most_connections(limit), most);
    }
}
