//! What to do with a tag, given what it names already.

use trackyard_protocol::version::Digest;

use super::tags::{Lasts, Tag};

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Write it: it is free, or made to move.
    Write,
    /// It names this image already.
    Done,
    /// It names another image, and must go on to do so.
    Taken(Digest),
}

/// Decides on a tag that names `there`, for the image `ours`.
pub(crate) fn decide(tag: &Tag, there: Option<&Digest>, ours: &Digest) -> Decision {
    match (there, tag.lasts) {
        (Some(there), _) if there == ours => Decision::Done,
        (Some(there), Lasts::ForEver) => Decision::Taken(there.clone()),
        (Some(_), Lasts::UntilTheNext) | (None, _) => Decision::Write,
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
    #[case(Lasts::ForEver, None, Decision::Write)]
    #[case(Lasts::ForEver, Some(1), Decision::Done)]
    #[case(Lasts::ForEver, Some(2), Decision::Taken(digest(2)))]
    #[case(Lasts::UntilTheNext, None, Decision::Write)]
    #[case(Lasts::UntilTheNext, Some(1), Decision::Done)]
    #[case(Lasts::UntilTheNext, Some(2), Decision::Write)]
    fn decisions(#[case] lasts: Lasts, #[case] there: Option<u8>, #[case] expected: Decision) {
        let tag = Tag { name: "tag".to_owned(), lasts };
        assert_eq!(decide(&tag, there.map(digest).as_ref(), &digest(1)), expected);
    }
}
