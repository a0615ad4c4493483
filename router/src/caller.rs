//! Callers and their roles.

use std::net::IpAddr;

use trackyard_protocol::allowed::{Allowed, Right};

/// What peers without a key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum PlainRight {
    /// Send jobs and queries.
    Submit,
    /// Also change the platform.
    Everything,
}

/// The rights of peers without a key, by the address that they connect from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlainPeers {
    /// Peers on this machine, which may act for others: a proxy, a forwarded port, a step of a build.
    pub local: PlainRight,
    /// All other peers.
    pub elsewhere: PlainRight,
}

/// The role of a caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// May do nothing: the key is not allowed, or no longer.
    Nobody,
    /// May send jobs and queries.
    Submitter,
    /// May also change the platform.
    Administrator,
}

/// Returns the role of a peer without a key, by its address.
#[must_use]
pub fn role_of_plain_peer(address: IpAddr, plain: PlainPeers) -> Role {
    let is_local = address.to_canonical().is_loopback();
    match if is_local { plain.local } else { plain.elsewhere } {
        PlainRight::Everything => Role::Administrator,
        PlainRight::Submit => Role::Submitter,
    }
}

/// Returns the role of a peer on the port of keyed clients. `key` is the key that the peer proved; empty if it proved
/// none.
#[must_use]
pub fn role_of_key(key: &str, allowed: &Allowed) -> Role {
    match key {
        key if allowed.may(key, Right::Administer) => Role::Administrator,
        key if allowed.may(key, Right::Submit) => Role::Submitter,
        _ => Role::Nobody,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[test]
    fn list_gives_a_key_its_role() {
        let keys = ["a", "b", "c"].map(|letter| letter.repeat(40));
        let [administrator, submitter, worker] = keys.each_ref();
        let list =
            format!("administer {administrator}\nsubmit {submitter}\nwork {worker}\nsubmit {administrator}");
        let allowed: Allowed = list.parse().unwrap();
        assert_eq!(role_of_key(administrator, &allowed), Role::Administrator);
        assert_eq!(role_of_key(submitter, &allowed), Role::Submitter);
        assert_eq!(role_of_key(worker, &allowed), Role::Nobody);
        assert_eq!(role_of_key("stranger", &allowed), Role::Nobody);
        assert_eq!(role_of_key("", &allowed), Role::Nobody);
    }

    #[rstest]
    #[case("127.0.0.1", Role::Administrator)]
    #[case("::1", Role::Administrator)]
    #[case("::ffff:127.0.0.1", Role::Administrator)]
    #[case("10.0.0.7", Role::Submitter)]
    #[case("::ffff:10.0.0.7", Role::Submitter)]
    fn only_loopback_administers(#[case] address: IpAddr, #[case] role: Role) {
        use PlainRight::{Everything, Submit};
        let role_with = |local, elsewhere| role_of_plain_peer(address, PlainPeers { local, elsewhere });
        assert_eq!(role_with(Everything, Submit), role);
        assert_eq!(role_with(Everything, Everything), Role::Administrator);
        assert_eq!(role_with(Submit, Submit), Role::Submitter);
    }
}
