//! Adding a tag to an `index.json`.

use bytes::Bytes;
use serde_json::{Value, json};
use trackyard_protocol::version::Digest;

use crate::document::{Document, MAX_DOCUMENT_BYTES, OCI_INDEX, Parsed};
use crate::error::ImageError;
use crate::release::{Decision, Tag, decide};
use crate::source::layout::{REF_NAME, tags};

/// The image for a tag.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) media_type: String,
    pub(crate) digest: Digest,
    pub(crate) size: usize,
}

/// The change that a tag makes to the index.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum IndexChange {
    /// None: the tag names this image already.
    Unchanged,
    /// None: the tag is immutable and names another image.
    Occupied,
    /// The new content of the file.
    Write(Vec<u8>),
}

/// Returns the index of a directory without images.
pub(crate) fn empty() -> Vec<u8> {
    json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}).to_string().into_bytes()
}

/// Adds a tag for `entry` to an index. Everything else in the index is kept.
pub(crate) fn with_tag(
    index: &[u8],
    what: &str,
    tag: &Tag,
    entry: &Entry,
) -> Result<IndexChange, ImageError> {
    let document = Document { media_type: None, bytes: Bytes::copy_from_slice(index) };
    let Parsed::Index(parsed) = document.parse(what)? else {
        return Err(ImageError::malformed(what, "it is a manifest, not an index"));
    };
    let current = tags(&parsed).find(|(name, _)| *name == tag.name).map(|(_, digest)| digest);
    match decide(tag, current, &entry.digest) {
        Decision::AlreadyDone => Ok(IndexChange::Unchanged),
        Decision::Occupied(_) => Ok(IndexChange::Occupied),
        Decision::Write => rewrite(index, what, &tag.name, entry).map(IndexChange::Write),
    }
}

fn rewrite(index: &[u8], what: &str, tag: &str, entry: &Entry) -> Result<Vec<u8>, ImageError> {
    let mut index: Value = serde_json::from_slice(index).map_err(|e| ImageError::malformed(what, e))?;
    let manifests = index.get_mut("manifests").and_then(Value::as_array_mut);
    let manifests = manifests.ok_or_else(|| ImageError::malformed(what, "its manifests are not a list"))?;
    manifests.retain(|other| {
        let name = other.get("annotations").and_then(|all| all.get(REF_NAME)).and_then(Value::as_str);
        name != Some(tag)
    });
    manifests.push(json!({
        "mediaType": entry.media_type, "digest": entry.digest, "size": entry.size, "annotations": {REF_NAME: tag},
    }));
    let bytes = index.to_string().into_bytes();
    if u64::try_from(bytes.len()).is_ok_and(|size| size <= MAX_DOCUMENT_BYTES) {
        return Ok(bytes);
    }
    Err(ImageError::TooLarge { what: what.to_owned(), limit: MAX_DOCUMENT_BYTES })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::release::TagMutability;
    use rstest::rstest;

    fn digest(byte: u8) -> Digest {
        Digest::from_sha256(&[byte; 32])
    }

    fn put(index: &[u8], name: &str, mutability: TagMutability, byte: u8) -> IndexChange {
        let entry = Entry { media_type: "m".to_owned(), digest: digest(byte), size: 7 };
        with_tag(index, "index.json", &Tag { name: name.to_owned(), mutability }, &entry).unwrap()
    }

    fn names(change: IndexChange) -> Vec<(String, Digest)> {
        let IndexChange::Write(bytes) = change else { panic!("{change:?}") };
        let Ok(Parsed::Index(index)) = (Document { media_type: None, bytes: bytes.into() }).parse("it")
        else {
            panic!("not an index");
        };
        tags(&index).map(|(name, digest)| (name.to_owned(), digest.clone())).collect()
    }

    fn one() -> Vec<u8> {
        let IndexChange::Write(bytes) = put(&empty(), "a", TagMutability::Immutable, 1) else {
            panic!("not written")
        };
        bytes
    }

    #[rstest]
    #[case("a", TagMutability::Immutable, 1, IndexChange::Unchanged)]
    #[case("a", TagMutability::Mutable, 1, IndexChange::Unchanged)]
    #[case("a", TagMutability::Immutable, 2, IndexChange::Occupied)]
    fn existing_tags_are_kept(
        #[case] name: &str,
        #[case] mutability: TagMutability,
        #[case] byte: u8,
        #[case] change: IndexChange,
    ) {
        assert_eq!(put(&one(), name, mutability, byte), change);
    }

    #[test]
    fn tag_is_added_or_moved() {
        let named = |name: &str, byte| (name.to_owned(), digest(byte));
        assert_eq!(names(put(&one(), "b", TagMutability::Immutable, 1)), [named("a", 1), named("b", 1)]);
        assert_eq!(names(put(&one(), "a", TagMutability::Mutable, 2)), [named("a", 2)]);
    }

    #[test]
    fn unknown_fields_are_kept() {
        let index = br#"{"schemaVersion":2,"manifests":[{"mediaType":"m","digest":"sha256:0000000000000000000000000000000000000000000000000000000000000000","size":1,"x":[1]}],"y":2}"#;
        let IndexChange::Write(bytes) = put(index, "b", TagMutability::Immutable, 1) else {
            panic!("not written")
        };
        let index: Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!((&index["y"], &index["manifests"][0]["x"]), (&json!(2), &json!([1])));
    }

    #[test]
    fn invalid_index_is_an_error() {
        let entry = Entry { media_type: "m".to_owned(), digest: digest(1), size: 7 };
        let tag = Tag { name: "a".to_owned(), mutability: TagMutability::Immutable };
        for index in ["", "{}", r#"{"schemaVersion":2,"manifests":{}}"#] {
            assert_eq!(with_tag(index.as_bytes(), "it", &tag, &entry).unwrap_err().as_str(), "malformed");
        }
    }
}
