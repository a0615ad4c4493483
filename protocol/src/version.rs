//! Container versions (image tags), digests, and versions with their digest.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::json::ToJson;
use crate::name::Error;
use crate::text::as_text;

/// An image tag of one channel and track: `git-<40 hex>`, or an older name: 40 hex alone or `sha-<40 hex>`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContainerVersion(Arc<str>);

impl ContainerVersion {
    /// Returns the tag as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ContainerVersion {
    type Err = Error;
    fn from_str(value: &str) -> Result<Self, Error> {
        let sha = value.strip_prefix("git-").or_else(|| value.strip_prefix("sha-")).unwrap_or(value);
        if is_lower_hex(sha, 40) {
            Ok(Self(value.into()))
        } else {
            Err(Error::new("container version", value, "git-<40 hex>, sha-<40 hex> or <40 hex>"))
        }
    }
}

impl fmt::Display for ContainerVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

as_text!(ContainerVersion);

/// A content digest, `sha256:<64 hex>`. Other algorithms are refused.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(Arc<str>);

impl Digest {
    /// Returns the digest of a SHA-256 sum.
    #[must_use]
    pub fn from_sha256(bytes: &[u8; 32]) -> Self {
        let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
        Self(format!("sha256:{hex}").into())
    }

    /// Returns `sha256:<64 hex>`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the 64 hex digits, which are safe as a file name.
    #[must_use]
    pub fn hex(&self) -> &str {
        self.0.get("sha256:".len()..).unwrap_or_default()
    }
}

impl FromStr for Digest {
    type Err = Error;
    fn from_str(value: &str) -> Result<Self, Error> {
        if value.strip_prefix("sha256:").is_some_and(|hex| is_lower_hex(hex, 64)) {
            Ok(Self(value.into()))
        } else {
            Err(Error::new("digest", value, "sha256:<64 hex>"))
        }
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

as_text!(Digest);

/// A container version with the digest that it was resolved to, written `git-…@sha256:…`. In a configuration the digest is
/// missing until the version has been resolved.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PinnedVersion {
    /// The tag.
    pub version: ContainerVersion,
    /// The digest that the tag named when the version was deployed.
    pub digest: Option<Digest>,
}

impl PinnedVersion {
    /// Returns the parts which, concatenated, are the text of the version.
    #[must_use]
    pub fn parts(&self) -> [&str; 3] {
        let digest = self.digest.as_ref().map(|digest| ["@", digest.as_str()]);
        let [at, digest] = digest.unwrap_or_default();
        [self.version.as_str(), at, digest]
    }
}

impl FromStr for PinnedVersion {
    type Err = Error;
    fn from_str(value: &str) -> Result<Self, Error> {
        match value.split_once('@') {
            Some((version, digest)) => Ok(Self { version: version.parse()?, digest: Some(digest.parse()?) }),
            None => Ok(Self { version: value.parse()?, digest: None }),
        }
    }
}

impl fmt::Display for PinnedVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.parts().into_iter().try_for_each(|part| f.write_str(part))
    }
}

as_text!(PinnedVersion);

impl ToJson for PinnedVersion {
    fn to_json(&self, out: &mut Vec<u8>) {
        crate::json::write::plain(&self.parts(), out);
    }
}

fn is_lower_hex(value: &str, length: usize) -> bool {
    // Without an early exit sixteen bytes are compared at a time.
    let others =
        value.bytes().fold(0, |others, b| others | u8::from(!matches!(b, b'0'..=b'9' | b'a'..=b'f')));
    value.len() == length && others == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    const SHA: &str = "0123456789abcdef0123456789abcdef01234567";

    #[rstest]
    #[case(format!("git-{SHA}"), true)]
    #[case(format!("sha-{SHA}"), true)]
    #[case(SHA.to_owned(), true)]
    #[case(format!("v-{SHA}"), false)]
    #[case("latest".to_owned(), false)]
    #[case(SHA.to_uppercase(), false)]
    #[case(format!("git-{SHA}/.."), false)]
    #[case(String::new(), false)]
    fn versions(#[case] value: String, #[case] valid: bool) {
        assert_eq!(value.parse::<ContainerVersion>().is_ok(), valid);
    }

    #[test]
    fn pinned_versions_round_trip() {
        let digest = Digest::from_sha256(&[7; 32]);
        for text in [format!("git-{SHA}"), format!("git-{SHA}@{digest}")] {
            assert_eq!(text.parse::<PinnedVersion>().unwrap().to_string(), text);
        }
        assert!(format!("git-{SHA}@sha256:00").parse::<PinnedVersion>().is_err());
    }

    #[test]
    fn digest_has_hex() {
        assert_eq!(Digest::from_sha256(&[0xab; 32]).hex(), "ab".repeat(32));
    }
}
