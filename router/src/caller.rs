//! Who asks, and what they may. Keys and roles of CURVE peers will be decided here too.

use std::net::IpAddr;

/// What plain peers that are not on this machine may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum PlainPeers {
    /// Send jobs and ask.
    Submit,
    /// Change the platform too.
    Everything,
}

/// What a caller may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Send jobs and ask.
    Submitter,
    /// Change the platform too.
    Administrator,
}

/// The role of a peer without a key. `address` is what the transport knows of it: a peer of an unknown address is
/// treated as one from elsewhere.
#[must_use]
pub fn role_of_plain_peer(address: Option<&str>, plain: PlainPeers) -> Role {
    if plain == PlainPeers::Everything || address.is_some_and(is_loopback) {
        Role::Administrator
    } else {
        Role::Submitter
    }
}

fn is_loopback(address: &str) -> bool {
    match address.parse::<IpAddr>() {
        Ok(IpAddr::V6(v6)) => v6.to_canonical().is_loopback(),
        Ok(IpAddr::V4(v4)) => v4.is_loopback(),
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(Some("127.0.0.1"), Role::Administrator)]
    #[case(Some("::1"), Role::Administrator)]
    #[case(Some("::ffff:127.0.0.1"), Role::Administrator)]
    #[case(Some("10.0.0.7"), Role::Submitter)]
    #[case(Some("localhost"), Role::Submitter)]
    #[case(None, Role::Submitter)]
    fn only_loopback_administers(#[case] address: Option<&str>, #[case] role: Role) {
        assert_eq!(role_of_plain_peer(address, PlainPeers::Submit), role);
        assert_eq!(role_of_plain_peer(address, PlainPeers::Everything), Role::Administrator);
    }
}
