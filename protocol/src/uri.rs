//! Where a submission's files are: `s3://bucket/prefix` or `file:///folder`.

use std::fmt;
use std::str::FromStr;

use crate::json::ToJson;
use crate::name::Error;
use crate::text::as_text;

const RULE: &str =
    "s3://bucket/prefix or file:///folder, of at most 1024 bytes, without . or .. or empty components";

/// A submission's place. The path is made of plain components only: none is empty, `.` or `..`, and none holds a
/// control character or a backslash.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum InputUri {
    /// All objects below a prefix.
    S3 {
        /// The bucket's name.
        bucket: String,
        /// The prefix, without a slash at either end.
        prefix: String,
    },
    /// All regular files below a folder of the worker's machine.
    File {
        /// The folder's absolute path, without a slash at its end.
        path: String,
    },
}

impl InputUri {
    /// The texts that are its text when they are joined.
    #[must_use]
    pub fn parts(&self) -> [&str; 4] {
        match self {
            Self::S3 { bucket, prefix } => ["s3://", bucket, "/", prefix],
            Self::File { path } => ["file://", path, "", ""],
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
        if let Some(rest) = value.strip_prefix("s3://") {
            let (bucket, key) = rest.split_once('/').ok_or_else(refused)?;
            let prefix = key.strip_suffix('/').unwrap_or(key);
            let valid = is_bucket(bucket) && is_plain_path(prefix);
            return valid
                .then(|| Self::S3 { bucket: bucket.to_owned(), prefix: prefix.to_owned() })
                .ok_or_else(refused);
        }
        let path = value.strip_prefix("file:///").ok_or_else(refused)?;
        let path = path.strip_suffix('/').unwrap_or(path);
        is_plain_path(path).then(|| Self::File { path: format!("/{path}") }).ok_or_else(refused)
    }
}

impl fmt::Display for InputUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.parts().into_iter().try_for_each(|part| f.write_str(part))
    }
}

as_text!(InputUri);

impl ToJson for InputUri {
    fn to_json(&self, out: &mut Vec<u8>) {
        crate::json::write::text(&self.parts(), out);
    }
}

/// True if `path` is relative and made of plain components: none empty, `.`, `..`, longer than 255 bytes, or with a
/// control character or a backslash in it. The rule for S3 keys too.
#[must_use]
pub fn is_plain_path(path: &str) -> bool {
    let is_component = |part: &str| !part.is_empty() && part.len() <= 255 && part != "." && part != "..";
    // Most are ASCII, of which sixteen bytes are looked at at a time.
    let other = path.bytes().fold(0, |other, b| other | u8::from(!matches!(b, b' '..=b'~') || b == b'\\'));
    (other == 0 || !path.contains(|c: char| c.is_control() || c == '\\')) && path.split('/').all(is_component)
}

/// The S3 rule: 3 to 63 of `a-z0-9.-`, starting and ending with a letter or digit.
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
}
