//! How many connections the ports have room for.

/// Connections of a port, however many descriptors there are.
const MOST_CONNECTIONS: u64 = 10_000;
/// Descriptors for everything that is no connection.
const OTHERS: u64 = 256;
/// The ports that share them.
const PORTS: u64 = 3;

/// How many connections a port may have where there are so many descriptors, if they are limited. At least a few, or
/// nobody could be served.
pub(super) fn connections(descriptors: Option<u64>) -> usize {
    let room = descriptors.map_or(MOST_CONNECTIONS, |limit| limit.saturating_sub(OTHERS) / PORTS);
    usize::try_from(room.clamp(16, MOST_CONNECTIONS)).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(None, 10_000)]
    #[case(Some(1 << 16), 10_000)]
    #[case(Some(4096), 1280)]
    #[case(Some(1024), 256)]
    #[case(Some(64), 16)]
    fn connections_fit_the_descriptors(#[case] limit: Option<u64>, #[case] most: usize) {
        assert_eq!(connections(limit), most);
    }
}
