//! The location of a submission's files: `s3://bucket/prefix` or `file:///dir`.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::json::ToJson;
use crate::name::Error;
use crate::text::as_text;

const S3: &str = "s3://";
const FILE: &str = "file://";
const RULE: &str =
    "s3://bucket/prefix or file:///directory, of at most 1024 bytes, without . or .. or empty components";

/// The location of a submission, as shared text. The path has plain components only: none is empty, `.` or `..`, and none
/// holds a control character or a backslash.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct InputUri(Arc<str>);

/// The parts of a submission's URI.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Location<'a> {
    /// All objects below a prefix.
    S3 {
        /// The bucket's name.
        bucket: &'a str,
        /// The prefix, without a slash at either end.
        prefix: &'a str,
    },
    /// All regular files below a directory of the worker's machine.
    File {
        /// The directory's absolute path, without a slash at its end.
        path: &'a str,
    },
}

impl InputUri {
    /// Returns the URI of a directory of this machine. The caller has checked the components of the absolute `path`.
    #[must_use]
    pub fn of_dir(path: &str) -> Self {
        Self(format!("{FILE}{path}").into())
    }

    /// Returns the URI as text, without a trailing slash.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the parts of the URI.
    #[must_use]
    pub fn location(&self) -> Location<'_> {
        match self.0.strip_prefix(S3).and_then(|rest| rest.split_once('/')) {
            Some((bucket, prefix)) => Location::S3 { bucket, prefix },
            None => Location::File { path: self.0.strip_prefix(FILE).unwrap_or_default() },
        }
    }
}

impl FromStr for InputUri {
    type Err = Error;
    fn from_str(value: &str) -> Result<Self, Error> {
        let refused = || Error::new("URI", value, RULE);
        if value.len() > 1024 {
            return Err(refused());
        }
        let text = value.strip_suffix('/').unwrap_or(value);
        let is_valid = if let Some(rest) = text.strip_prefix(S3) {
            let (bucket, prefix) = rest.split_once('/').ok_or_else(refused)?;
            is_bucket(bucket) && is_plain_path(prefix)
        } else {
            let path = text.strip_prefix(FILE).and_then(|path| path.strip_prefix('/'));
            path.is_some_and(is_plain_path)
        };
        is_valid.then(|| Self(text.into())).ok_or_else(refused)
    }
}

impl fmt::Display for InputUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

as_text!(InputUri);

impl ToJson for InputUri {
    fn to_json(&self, out: &mut Vec<u8>) {
        self.0.to_json(out);
    }
}

/// Returns whether `path` is relative and has plain components: none is empty, `.`, `..` or longer than 255 bytes, and none
/// holds a control character or a backslash. S3 keys obey the same rule.
#[must_use]
pub fn is_plain_path(path: &str) -> bool {
    let is_component = |part: &str| !part.is_empty() && part.len() <= 255 && part != "." && part != "..";
    // Most paths are ASCII, of which sixteen bytes are compared at a time.
    let other = path.bytes().fold(0, |other, b| other | u8::from(!matches!(b, b' '..=b'~') || b == b'\\'));
    (other == 0 || !path.contains(|c: char| c.is_control() || c == '\\')) && path.split('/').all(is_component)
}

/// Returns whether `name` obeys the rule of S3: 3 to 63 of `a-z0-9.-`, starting and ending with a letter or digit.
fn is_bucket(name: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'.' || b == b'-';
    let edge = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    (3..=63).contains(&name.len())
        && name.bytes().all(inner)
        && edge(name.bytes().next())
        && edge(name.bytes().last())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("s3://submissions/prod/12", Some("s3://submissions/prod/12"))]
    #[case("s3://submissions/prod/12/", Some("s3://submissions/prod/12"))]
    #[case("file:///srv/in/7/", Some("file:///srv/in/7"))]
    #[case("s3://submissions", None)]
    #[case("s3://submissions/", None)]
    #[case("s3://submissions//", None)]
    #[case("s3://submissions//a", None)]
    #[case("s3://submissions/a//", None)]
    #[case("s3://submissions/a/../b", None)]
    #[case("s3://Sub/a", None)]
    #[case("s3://169.254.169.254:80/a", None)]
    #[case("http://submissions/a", None)]
    #[case("file://etc/passwd", None)]
    #[case("file:///", None)]
    #[case("file:///a/./b", None)]
    #[case("file:///a\\b", None)]
    #[case("file:///a\nb", None)]
    fn uris(#[case] text: &str, #[case] normal: Option<&str>) {
        assert_eq!(text.parse::<InputUri>().ok().map(|uri| uri.to_string()).as_deref(), normal);
    }

    #[test]
    fn uri_has_location() {
        let uri = |text: &str| text.parse::<InputUri>().unwrap();
        let s3 = Location::S3 { bucket: "submissions", prefix: "prod/12" };
        assert_eq!(uri("s3://submissions/prod/12/").location(), s3);
        assert_eq!(uri("file:///srv/in").location(), Location::File { path: "/srv/in" });
        assert_eq!(InputUri::of_dir("/srv/in"), uri("file:///srv/in/"));
    }
}
