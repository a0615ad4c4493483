//! Parses extended headers. The tar library's own parser would split the values of extended attributes at newlines.

use super::rejection::Rejection;

const XATTR_PREFIX: &[u8] = b"SCHILY.xattr.";

/// Extended attributes, each a name and a value.
pub(crate) type Xattrs = Vec<(Vec<u8>, Vec<u8>)>;

/// What extended headers say about the next entry. It overrides the entry's own header.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Extension {
    pub(crate) path: Option<Vec<u8>>,
    pub(crate) link: Option<Vec<u8>>,
    pub(crate) size: Option<u64>,
    pub(crate) uid: Option<u64>,
    pub(crate) gid: Option<u64>,
    pub(crate) mtime: Option<(i64, u32)>,
    pub(crate) xattrs: Xattrs,
    pub(crate) sparse: bool,
}

impl Extension {
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Adds the records of one header. Each is `LENGTH KEY=VALUE\n`, where the length is that of the whole record.
    pub(crate) fn add(&mut self, mut records: &[u8]) -> Result<(), Rejection> {
        let malformed = || Rejection::Tar("a malformed extended header");
        while !records.is_empty() {
            let space = records.iter().position(|b| *b == b' ').ok_or_else(malformed)?;
            let (length, _) = records.split_at_checked(space).ok_or_else(malformed)?;
            let length: usize = number(length).and_then(|n| n.try_into().ok()).ok_or_else(malformed)?;
            let (record, rest) = records.split_at_checked(length).ok_or_else(malformed)?;
            let record = record.get(space + 1..).and_then(|r| r.strip_suffix(b"\n")).ok_or_else(malformed)?;
            let equals = record.iter().position(|b| *b == b'=').ok_or_else(malformed)?;
            let (key, value) = record.split_at_checked(equals).ok_or_else(malformed)?;
            self.set(key, value.get(1..).unwrap_or_default()).ok_or_else(malformed)?;
            records = rest;
        }
        Ok(())
    }

    /// Sets a field. Returns `None` if the value is malformed. An empty value cancels an earlier one.
    fn set(&mut self, key: &[u8], value: &[u8]) -> Option<()> {
        let given = (!value.is_empty()).then_some(value);
        match key {
            b"path" => self.path = given.map(<[u8]>::to_vec),
            b"linkpath" => self.link = given.map(<[u8]>::to_vec),
            b"size" => self.size = optional(given, number)?,
            b"uid" => self.uid = optional(given, number)?,
            b"gid" => self.gid = optional(given, number)?,
            b"mtime" => self.mtime = optional(given, time)?,
            key if key.starts_with(b"GNU.sparse.") => self.sparse = true,
            key => {
                if let Some(name) = key.strip_prefix(XATTR_PREFIX) {
                    self.xattrs.push((name.to_vec(), value.to_vec()));
                }
            }
        }
        Some(())
    }
}

fn optional<T>(value: Option<&[u8]>, read: impl Fn(&[u8]) -> Option<T>) -> Option<Option<T>> {
    match value {
        Some(value) => read(value).map(Some),
        None => Some(None),
    }
}

fn number(text: &[u8]) -> Option<u64> {
    let digits = (1..=20).contains(&text.len()) && text.iter().all(u8::is_ascii_digit);
    digits.then(|| std::str::from_utf8(text).ok()?.parse().ok())?
}

/// Parses seconds, which may be negative or have a fraction. Digits after the ninth are dropped.
fn time(text: &[u8]) -> Option<(i64, u32)> {
    let text = std::str::from_utf8(text).ok()?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let seconds: i64 = whole.parse().ok()?;
    if !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let digits: String = fraction.chars().chain("000000000".chars()).take(9).collect();
    let nanos: u32 = digits.parse().ok()?;
    if text.starts_with('-') && nanos > 0 {
        return Some((seconds.checked_sub(1)?, 1_000_000_000 - nanos));
    }
    Some((seconds, nanos))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn record(key: &str, value: &[u8]) -> Vec<u8> {
        let body = [format!(" {key}=").as_bytes(), value, b"\n"].concat();
        let length = (1..9999).find(|n: &usize| n.to_string().len() + body.len() == *n).unwrap();
        [length.to_string().as_bytes(), &body].concat()
    }

    #[test]
    fn the_last_record_counts() {
        let mut extension = Extension::default();
        let records = [
            record("path", b"a"),
            record("path", b"b=c"),
            record("size", b"7"),
            record("size", b""),
            record("SCHILY.xattr.user.x", b"1\n2\0"),
            record("comment", b"ignored"),
        ];
        extension.add(&records.concat()).unwrap();
        assert_eq!((extension.path.as_deref(), extension.size), (Some(&b"b=c"[..]), None));
        assert_eq!(extension.xattrs, [(b"user.x".to_vec(), b"1\n2\0".to_vec())]);
    }

    #[rstest]
    #[case(b"6 a=b")]
    #[case(b"7 a=b\n")]
    #[case(b"99 a=b\n")]
    #[case(b"5 ab\n")]
    #[case(b"0 a=b\n")]
    #[case(b"a=b\n")]
    #[case(b"-6 a=b\n")]
    #[case(b"99999999999999999999999 a=b\n")]
    #[case(b"10 size=x\n")]
    #[case(b"11 mtime=x\n")]
    fn malformed(#[case] records: &[u8]) {
        assert!(Extension::default().add(records).is_err());
    }

    #[rstest]
    #[case("0", Some((0, 0)))]
    #[case("12.5", Some((12, 500_000_000)))]
    #[case("12.1234567891", Some((12, 123_456_789)))]
    #[case("-1.25", Some((-2, 750_000_000)))]
    #[case("-0.5", Some((-1, 500_000_000)))]
    #[case("1e9", None)]
    #[case("1.-5", None)]
    #[case("99999999999999999999", None)]
    fn times(#[case] text: &str, #[case] expected: Option<(i64, u32)>) {
        assert_eq!(time(text.as_bytes()), expected);
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_records_or_an_error(bytes: Vec<u8>) {
            let _ = Extension::default().add(&bytes);
        }
    }
}
