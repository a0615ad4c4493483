//! Reading what is written plainly: no escapes or control characters, numbers that are whole and not negative. `None`
//! stands for anything else, also for what is no JSON at all: serde_json then reads all of it, and says what is wrong.
//! What is read here, serde_json reads in the same way.

use memchr::memchr;

/// A field's name as it stands before its value.
macro_rules! name {
    ($name:ident) => {
        concat!("\"", stringify!($name), "\":")
    };
}

pub(crate) use name;

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
        let plain = bytes.iter().fold(0, |special, byte| special | is_special(*byte)) == 0;
        Some(Self { rest: std::str::from_utf8(bytes).ok().filter(|_| plain)?, before: b'{' })
    }

    /// A field that is a text. Names come with their quotes and colon, see [`name!`](super::name).
    #[inline(always)]
    pub(crate) fn text(&mut self, name: &'static str) -> Option<&'a str> {
        self.name(name)?;
        self.string()
    }

    /// A field that is a number.
    #[inline(always)]
    pub(crate) fn number(&mut self, name: &'static str) -> Option<u64> {
        self.name(name)?;
        self.digits()?.parse().ok()
    }

    /// The beginning of a field that is an object.
    #[inline(always)]
    pub(crate) fn open(&mut self, name: &'static str) -> Option<()> {
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

    #[inline(always)]
    fn name(&mut self, name: &'static str) -> Option<()> {
        let before = if self.before == b',' { "," } else { "{" };
        self.before = b',';
        self.skip(before)?;
        self.skip(name)
    }

    #[inline(always)]
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

/// Not zero for what is not plain. A number, which is summed up sixteen bytes at a time.
const fn is_special(byte: u8) -> u8 {
    (byte < b' ') as u8 | (byte == b'\\') as u8
}
