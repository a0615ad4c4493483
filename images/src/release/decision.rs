//! Decides what to do with a tag, given the image that it names.

use trackyard_protocol::version::Digest;

use super::tags::{Tag, TagMutability};

/// What to do with a tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Write it: it does not exist, or is mutable.
    Write,
    /// It names this image already.
    AlreadyDone,
    /// It is immutable and names another image.
    Occupied(Digest),
}

/// Decides on a tag that currently names `current`, for the image `ours`.
pub(crate) fn decide(tag: &Tag, current: Option<&Digest>, ours: &Digest) -> Decision {
    match (current, tag.mutability) {
        (Some(current), _) if current == ours => Decision::AlreadyDone,
        (Some(current), TagMutability::Immutable) => Decision::Occupied(current.clone()),
        (Some(_), TagMutability::Mutable) | (None, _) => Decision::Write,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn digest(byte: u8) -> Digest {
        Digest::from_sha256(&[byte; 32])
    }

    #[rstest]
    #[case(TagMutability::Immutable, None, Decision::Write)]
    #[case(TagMutability::Immutable, Some(1), Decision::AlreadyDone)]
    #[case(TagMutability::Immutable, Some(2), Decision::Occupied(digest(2)))]
    #[case(TagMutability::Mutable, None, Decision::Write)]
    #[case(TagMutability::Mutable, Some(1), Decision::AlreadyDone)]
    #[case(TagMutability::Mutable, Some(2), Decision::Write)]
    fn decisions(#[case] mutability: TagMutability, #[case] current: Option<u8>, #[case] expected: Decision) {
        let tag = Tag { name: "tag".to_owned(), mutability };
        assert_eq!(decide(&tag, current.map(digest).as_ref(), &digest(1)), expected);
    }
}
