//! Who asks, and what they may.

use std::net::IpAddr;

use trackyard_protocol::allowed::{Allowed, Right};

/// What plain peers of one kind may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum PlainRight {
    /// Send jobs and ask.
    Submit,
    /// Change the platform too.
    Everything,
}

/// What peers without a key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlainPeers {
    /// Those on this machine, and what stands there for others: a proxy, a forwarded port, a build's step.
    pub local: PlainRight,
    /// All others.
    pub elsewhere: PlainRight,
}

/// What a caller may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Nothing: a key that is not allowed, or no longer.
    Nobody,
    /// Send jobs and ask.
    Submitter,
    /// Change the platform too.
    Administrator,
}

/// The role of a peer without a key, by the address that it comes from.
#[must_use]
pub fn role_of_plain_peer(address: IpAddr, plain: PlainPeers) -> Role {
    match if address.to_canonical().is_loopback() { plain.local } else { plain.elsewhere } {
        PlainRight::Everything => Role::Administrator,
        PlainRight::Submit => Role::Submitter,
    }
}

/// The role of a peer on the port of keyed clients. `key` is the one that the peer proved, or empty where
/// nobody has checked it.
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
    fn a_key_may_what_the_list_says() {
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
