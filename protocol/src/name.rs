//! Validated names. A name is checked once, when it is made, and may then be joined to a path or logged.

use std::fmt;
use std::sync::Arc;

/// Why a name was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} {value:?} is not valid: {rule}")]
pub struct Error {
    /// The kind of name, such as `track`.
    pub kind: &'static str,
    /// The refused value, cut to 80 characters.
    pub value: String,
    /// The rule that the value breaks.
    pub rule: &'static str,
}

impl Error {
    pub(crate) fn new(kind: &'static str, value: &str, rule: &'static str) -> Self {
        Self { kind, value: value.chars().take(80).collect(), rule }
    }
}

/// Defines a newtype over shared text that `$valid` accepts.
macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $rule:literal, $valid:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks `value`.
            ///
            /// # Errors
            /// If `value` breaks the rule of this kind of name.
            pub fn new(value: impl AsRef<str>) -> Result<Self, Error> {
                let value = value.as_ref();
                let valid: fn(&str) -> bool = $valid;
                if valid(value) { Ok(Self(value.into())) } else { Err(Error::new($kind, value, $rule)) }
            }

            /// Returns the name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl std::str::FromStr for $name {
            type Err = Error;
            fn from_str(value: &str) -> Result<Self, Error> {
                Self::new(value)
            }
        }

        impl TryFrom<String> for $name {
            type Error = Error;
            fn try_from(value: String) -> Result<Self, Error> {
                Self::new(value)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.as_str().to_owned()
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        crate::json::write_as_plain_text!($name);
        crate::text::read_as_text!($name);
    };
}

name!(
    /// A language, such as `ruby` or `csharp`: 1 to 64 of `a-z0-9_-`, starting with a letter or digit.
    TrackSlug, "track_slug", "1 to 64 of a-z 0-9 - _, starting with a letter or a digit", |v| slug(v, 64)
);
name!(
    /// An exercise, such as `two-fer`: 1 to 128 of `a-z0-9_-`, starting with a letter or digit.
    ExerciseSlug, "exercise_slug", "1 to 128 of a-z 0-9 - _, starting with a letter or a digit", |v| slug(v, 128)
);
name!(
    /// A job's id, chosen by the client: 1 to 128 of `A-Za-z0-9._:-`, starting with a letter or digit.
    JobId, "id", "1 to 128 of A-Z a-z 0-9 . _ : -, starting with a letter or a digit",
    |v| token(v, 128, b"._:-")
);
name!(
    /// A worker's name: 1 to 128 of `A-Za-z0-9._-`, starting with a letter or digit.
    WorkerName, "worker name", "1 to 128 of A-Z a-z 0-9 . _ -, starting with a letter or a digit",
    |v| token(v, 128, b"._-")
);
name!(
    /// A worker pool's name: a DNS label of at most 52 characters.
    PoolName, "pool name", "a DNS label of at most 52 characters",
    |v| v.len() <= 52 && !v.ends_with('-') && slug(v, 52) && !v.contains('_')
);

fn slug(value: &str, max: usize) -> bool {
    token(value, max, b"-_") && !value.bytes().any(|b| b.is_ascii_uppercase())
}

fn token(value: &str, max: usize, punctuation: &[u8]) -> bool {
    (1..=max).contains(&value.len())
        && value.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric())
        && value.bytes().all(|b| b.is_ascii_alphanumeric() || punctuation.contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::ToJson as _;
    use proptest::prelude::*;
    use rstest::rstest;

    #[rstest]
    #[case("ruby", true)]
    #[case("c-sharp_2", true)]
    #[case("8th", true)]
    #[case("", false)]
    #[case("..", false)]
    #[case("a/b", false)]
    #[case("--help", false)]
    #[case("Ruby", false)]
    #[case("a\0", false)]
    #[case("ünder", false)]
    #[case("$(x)", false)]
    #[case(&"x".repeat(65), false)]
    fn track_slugs(#[case] value: &str, #[case] valid: bool) {
        assert_eq!(TrackSlug::new(value).is_ok(), valid);
    }

    #[rstest]
    #[case("3f2504e0-4f89-11d3-9a0c-0305e82c3301", true)]
    #[case("A:b.c_d", true)]
    #[case(".hidden", false)]
    #[case("a b", false)]
    #[case("a\n", false)]
    fn job_ids(#[case] value: &str, #[case] valid: bool) {
        assert_eq!(JobId::new(value).is_ok(), valid);
    }

    proptest! {
        #[test]
        fn names_are_written_as_serde_json_does(text in "[ -~]{1,9}|[A-Za-z0-9][A-Za-z0-9._:-]{0,20}|[a-z0-9_-]{1,9}") {
            macro_rules! check {
                ($($name:ident),*) => {$(
                    if let Ok(name) = $name::new(&text) {
                        let mut written = Vec::new();
                        name.to_json(&mut written);
                        prop_assert_eq!(written, serde_json::to_vec(&name).unwrap());
                    }
                )*};
            }
            check!(TrackSlug, ExerciseSlug, JobId, WorkerName, PoolName);
        }
    }

    #[test]
    fn refusal_has_rule_and_bounded_value() {
        let error = TrackSlug::new("é".repeat(4096)).unwrap_err();
        assert_eq!(error.value.chars().count(), 80);
        assert!(error.to_string().contains("starting with a letter or a digit"));
    }
}
