//! Reading what is written plainly: ASCII without escapes or control characters, numbers that are whole and not
//! negative. `None` stands for anything else, also for what is no JSON at all: serde_json then reads all of it, and says
//! what is wrong. What is read here, serde_json reads in the same way.

use memchr::memchr;

/// What is left to read.
#[derive(Debug, Clone)]
pub(crate) struct Reader<'a> {
    rest: &'a str,
    /// What stands before the next field: the brace, or a comma.
    before: u8,
}

/// A field of an object.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Field<'a> {
    pub(crate) name: &'a str,
    /// The value as it stands: a text with its quotes, a whole number, `true` or `false`.
    pub(crate) json: &'a str,
    /// What is between the quotes.
    pub(crate) text: Option<&'a str>,
}

impl<'a> Reader<'a> {
    /// Reads `bytes`.
    pub(crate) fn new(bytes: &'a [u8]) -> Option<Self> {
        if bytes.iter().fold(false, |special, byte| special | is_special(*byte)) {
            return None;
        }
        Some(Self { rest: std::str::from_utf8(bytes).ok()?, before: b'{' })
    }

    /// A field that is a text.
    pub(crate) fn text(&mut self, name: &str) -> Option<&'a str> {
        self.name(name)?;
        self.string()
    }

    /// A field that is a number.
    pub(crate) fn number(&mut self, name: &str) -> Option<u64> {
        self.name(name)?;
        self.digits()?.parse().ok()
    }

    /// The beginning of a field that is an object.
    pub(crate) fn open(&mut self, name: &str) -> Option<()> {
        self.name(name)?;
        self.before = b'{';
        Some(())
    }

    /// The end of an object with one field or more.
    pub(crate) fn close(&mut self) -> Option<()> {
        self.before = b',';
        self.skip("}")
    }

    /// The end of all.
    pub(crate) fn end(&self) -> Option<()> {
        self.rest.is_empty().then_some(())
    }

    /// The next field of an object whose fields come in any order and may have spaces between them. `Some(None)` at the
    /// object's end.
    pub(crate) fn field(&mut self) -> Option<Option<Field<'a>>> {
        self.skip_spaces();
        if self.before == b',' && self.skip("}").is_some() {
            self.skip_spaces();
            return Some(None);
        }
        self.skip(if self.before == b',' { "," } else { "{" })?;
        self.before = b',';
        self.skip_spaces();
        let name = self.string()?;
        self.skip_spaces();
        self.skip(":")?;
        self.skip_spaces();
        self.value().map(|(json, text)| Some(Field { name, json, text }))
    }

    /// A value as it stands and, if it is a text, what is between its quotes.
    fn value(&mut self) -> Option<(&'a str, Option<&'a str>)> {
        let from = self.rest;
        let text = match from.as_bytes().first()? {
            b'"' => Some(self.string()?),
            b't' => self.skip("true").map(|()| None)?,
            b'f' => self.skip("false").map(|()| None)?,
            _ => self.digits().filter(|digits| !digits.is_empty()).map(|_| None)?,
        };
        Some((from.get(..from.len() - self.rest.len())?, text))
    }

    fn skip_spaces(&mut self) {
        self.rest = self.rest.trim_start_matches(' ');
    }

    fn name(&mut self, name: &str) -> Option<()> {
        let before = std::mem::replace(&mut self.before, b',');
        let rest = self.rest.as_bytes().strip_prefix(&[before, b'"'])?;
        rest.strip_prefix(name.as_bytes())?;
        self.rest = self.rest.get(2 + name.len()..)?;
        self.skip("\":")
    }

    fn skip(&mut self, expected: &str) -> Option<()> {
        self.rest = self.rest.strip_prefix(expected)?;
        Some(())
    }

    fn string(&mut self) -> Option<&'a str> {
        let inner = self.rest.strip_prefix('"')?;
        let (text, rest) = inner.split_at_checked(memchr(b'"', inner.as_bytes())?)?;
        self.rest = rest.get(1..)?;
        Some(text)
    }

    fn digits(&mut self) -> Option<&'a str> {
        let end = self.rest.bytes().position(|byte| !byte.is_ascii_digit())?;
        let (digits, rest) = self.rest.split_at_checked(end)?;
        self.rest = rest;
        (digits == "0" || !digits.starts_with('0')).then_some(digits)
    }
}

const fn is_special(byte: u8) -> bool {
    (byte < b' ') | (byte > b'~') | (byte == b'\\')
}
