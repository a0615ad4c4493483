//! The fields of a request before their types are checked.

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::json::{Field, Reader};

/// The value of a field, not parsed yet.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Value<'a> {
    /// The value as it is written.
    pub(super) json: &'a str,
    /// The content between the quotes, if it is a string without escapes.
    pub(super) plain: Option<&'a str>,
}

impl<'de: 'a, 'a> Deserialize<'de> for Value<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let json = <&RawValue>::deserialize(deserializer)?.get();
        let inner = json.strip_prefix('"').and_then(|json| json.strip_suffix('"'));
        Ok(Self { json, plain: inner.filter(|inner| !inner.contains('\\')) })
    }
}

macro_rules! raw {
    ($($name:ident),* $(,)?) => {
        /// The known fields, not parsed yet. Unknown fields are ignored, whatever they hold.
        #[derive(Debug, Default, PartialEq, Deserialize)]
        pub(super) struct Raw<'a> {
            $(#[serde(borrow)] pub(super) $name: Option<Value<'a>>),*
        }

        impl<'a> Raw<'a> {
            fn tooling(&mut self, name: &str) -> Option<&mut Option<Value<'a>>> {
                match name {
                    $(stringify!($name) => Some(&mut self.$name),)*
                    _ => None,
                }
            }
        }
    };
}

raw! {
    action, id, channel, track_slug, exercise_slug, s3_uri, container_version, execution_timeout, deadline_ms, fresh,
    git_reference, from, new_version, version, versions, topics,
}

impl<'a> Raw<'a> {
    /// Reads a plain request. Returns `None` also for a duplicate field, which serde_json refuses.
    pub(super) fn read_plain(body: &'a [u8]) -> Option<Self> {
        let (mut json, mut raw) = (Reader::new(body)?, Self::default());
        while let Some(Field { name, json, text: plain }) = json.field()? {
            if let Some(tooling) = raw.tooling(name)
                && tooling.replace(Value { json, plain }).is_some()
            {
                return None;
            }
        }
        json.end().map(|()| raw)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BODY: &str = r#"{"action":"represent", "id":"42","fresh":true,"deadline_ms": 10,"note":false}"#;

    #[test]
    fn plain_request_takes_the_fast_path() {
        assert!(Raw::read_plain(BODY.as_bytes()).is_some());
        assert_eq!(Raw::read_plain(br#"{"id":"1","id":"1"}"#), None);
    }

    proptest! {
        #[test]
        fn fast_path_agrees_with_serde_json(
            at: prop::sample::Index, put in "[]{},:\" 0-9a-eé\\\\\n.-]{0,3}", less in 0_usize..4,
        ) {
            let mut body = BODY.as_bytes().to_vec();
            let at = at.index(body.len() + 1);
            let end = body.len().min(at + less);
            body.splice(at..end, put.into_bytes());
            if let Some(raw) = Raw::read_plain(&body) {
                prop_assert_eq!(raw, serde_json::from_slice(&body).unwrap());
            }
        }
    }
}
