//! What a tag changes in an `index.json`.

use bytes::Bytes;
use serde_json::{Value, json};
use trackyard_protocol::version::Digest;

use super::{REF_NAME, named};
use crate::document::{Document, MAX_DOCUMENT, OCI_INDEX, Parsed};
use crate::error::Error;
use crate::release::{Decision, Tag, decide};

/// The image that a tag is to name.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) media_type: String,
    pub(crate) digest: Digest,
    pub(crate) size: usize,
}

/// What is to happen to the file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// It stays: the tag names this image already.
    None,
    /// It stays: the tag names another image for ever.
    Taken,
    /// The new content.
    Write(Vec<u8>),
}

/// The index of a directory without images.
pub(crate) fn empty() -> Vec<u8> {
    json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}).to_string().into_bytes()
}

/// The index with the tag naming `entry`; what else it says stays as it is.
pub(crate) fn with(index: &[u8], what: &str, tag: &Tag, entry: &Entry) -> Result<Change, Error> {
    let document = Document { media_type: None, bytes: Bytes::copy_from_slice(index) };
    let Parsed::Index(parsed) = document.parse(what)? else {
        return Err(Error::malformed(what, "it is a manifest, not an index"));
    };
    let there = named(&parsed).find(|(name, _)| *name == tag.name).map(|(_, digest)| digest);
    match decide(tag, there, &entry.digest) {
        Decision::Done => Ok(Change::None),
        Decision::Taken(_) => Ok(Change::Taken),
        Decision::Write => written(index, what, &tag.name, entry).map(Change::Write),
    }
}

fn written(index: &[u8], what: &str, tag: &str, entry: &Entry) -> Result<Vec<u8>, Error> {
    let mut index: Value = serde_json::from_slice(index).map_err(|e| Error::malformed(what, e))?;
    let manifests = index.get_mut("manifests").and_then(Value::as_array_mut);
    let manifests = manifests.ok_or_else(|| Error::malformed(what, "its manifests are no list"))?;
    manifests.retain(|other| {
        let name = other.get("annotations").and_then(|all| all.get(REF_NAME)).and_then(Value::as_str);
        name != Some(tag)
    });
    manifests.push(json!({
        "mediaType": entry.media_type, "digest": entry.digest, "size": entry.size, "annotations": {REF_NAME: tag},
    }));
    let bytes = index.to_string().into_bytes();
    if u64::try_from(bytes.len()).is_ok_and(|size| size <= MAX_DOCUMENT) {
        return Ok(bytes);
    }
    Err(Error::TooLarge { what: what.to_owned(), limit: MAX_DOCUMENT })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::release::Lasts;
    use rstest::rstest;

    fn digest(byte: u8) -> Digest {
        Digest::from_sha256(&[byte; 32])
    }

    fn put(index: &[u8], name: &str, lasts: Lasts, byte: u8) -> Change {
        let entry = Entry { media_type: "m".to_owned(), digest: digest(byte), size: 7 };
        with(index, "index.json", &Tag { name: name.to_owned(), lasts }, &entry).unwrap()
    }

    fn names(change: Change) -> Vec<(String, Digest)> {
        let Change::Write(bytes) = change else { panic!("{change:?}") };
        let Ok(Parsed::Index(index)) = (Document { media_type: None, bytes: bytes.into() }).parse("it")
        else {
            panic!("not an index");
        };
        named(&index).map(|(name, digest)| (name.to_owned(), digest.clone())).collect()
    }

    fn one() -> Vec<u8> {
        let Change::Write(bytes) = put(&empty(), "a", Lasts::ForEver, 1) else { panic!("not written") };
        bytes
    }

    #[rstest]
    #[case("a", Lasts::ForEver, 1, Change::None)]
    #[case("a", Lasts::UntilTheNext, 1, Change::None)]
    #[case("a", Lasts::ForEver, 2, Change::Taken)]
    fn what_is_there_stays(
        #[case] name: &str,
        #[case] lasts: Lasts,
        #[case] byte: u8,
        #[case] change: Change,
    ) {
        assert_eq!(put(&one(), name, lasts, byte), change);
    }

    #[test]
    fn a_tag_is_added_or_moved() {
        let named = |name: &str, byte| (name.to_owned(), digest(byte));
        assert_eq!(names(put(&one(), "b", Lasts::ForEver, 1)), [named("a", 1), named("b", 1)]);
        assert_eq!(names(put(&one(), "a", Lasts::UntilTheNext, 2)), [named("a", 2)]);
    }

    #[test]
    fn what_is_not_known_here_stays() {
        let index = br#"{"schemaVersion":2,"manifests":[{"mediaType":"m","digest":"sha256:0000000000000000000000000000000000000000000000000000000000000000","size":1,"x":[1]}],"y":2}"#;
        let Change::Write(bytes) = put(index, "b", Lasts::ForEver, 1) else { panic!("not written") };
        let index: Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!((&index["y"], &index["manifests"][0]["x"]), (&json!(2), &json!([1])));
    }

    #[test]
    fn an_index_that_is_none_is_not_touched() {
        let entry = Entry { media_type: "m".to_owned(), digest: digest(1), size: 7 };
        let tag = Tag { name: "a".to_owned(), lasts: Lasts::ForEver };
        for index in ["", "{}", r#"{"schemaVersion":2,"manifests":{}}"#] {
            assert_eq!(with(index.as_bytes(), "it", &tag, &entry).unwrap_err().as_str(), "malformed");
        }
    }
}
