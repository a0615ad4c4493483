//! Reads plain JSON: strings without escapes or control characters, and whole numbers that are not negative. `None` stands
//! for anything else, malformed JSON included: serde_json then reads the whole text, and says what is wrong. serde_json
//! reads everything that is accepted here in the same way.

use memchr::memchr;

/// Returns the name of a field as it is written before its value.
macro_rules! name {
    ($name:ident) => {
        concat!("\"", stringify!($name), "\":")
    };
}

pub(crate) use name;

/// A text that is read from its start.
#[derive(Debug, Clone)]
pub(crate) struct Reader<'a> {
    all: &'a str,
    /// Number of bytes read.
    at: usize,
    /// The byte before the next field: the brace, or a comma.
    before: u8,
}

/// A field of an object.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Field<'a> {
    pub(crate) name: &'a str,
    /// The value as it is written: a string with its quotes, a whole number, `true` or `false`.
    pub(crate) json: &'a str,
    /// The content between the quotes, if it is a string.
    pub(crate) text: Option<&'a str>,
}

impl<'a> Reader<'a> {
    /// Returns a reader of `bytes`.
    pub(crate) fn new(bytes: &'a [u8]) -> Option<Self> {
        let plain = bytes.iter().fold(0, |special, byte| special | is_special(*byte)) == 0;
        let all = std::str::from_utf8(bytes).ok().filter(|_| plain)?;
        Some(Self { all, at: 0, before: b'{' })
    }

    /// Reads a string field. Names include quotes and colon, see [`name!`](super::name).
    #[inline(always)]
    pub(crate) fn text(&mut self, name: &'static str) -> Option<&'a str> {
        self.name(name)?;
        self.string()
    }

    /// Reads a number field.
    #[inline(always)]
    pub(crate) fn number(&mut self, name: &'static str) -> Option<u64> {
        self.name(name)?;
        self.whole_number()
    }

    /// Reads the start of an object field.
    #[inline(always)]
    pub(crate) fn open(&mut self, name: &'static str) -> Option<()> {
        self.name(name)?;
        self.before = b'{';
        Some(())
    }

    /// Reads the end of an object that has at least one field.
    pub(crate) fn close(&mut self) -> Option<()> {
        self.before = b',';
        self.skip(b"}")
    }

    /// Checks that nothing is left.
    pub(crate) fn end(&self) -> Option<()> {
        self.rest().is_empty().then_some(())
    }

    /// Reads the next field of an object whose fields come in any order and may be separated by whitespace. Returns
    /// `Some(None)` at the end of the object.
    #[inline]
    pub(crate) fn field(&mut self) -> Option<Option<Field<'a>>> {
        self.skip_spaces();
        if self.before == b',' && self.skip(b"}").is_some() {
            self.skip_spaces();
            return Some(None);
        }
        self.skip(&[self.before])?;
        self.before = b',';
        self.skip_spaces();
        let name = self.string()?;
        self.skip_spaces();
        self.skip(b":")?;
        self.skip_spaces();
        let from = self.at;
        let text = self.value()?;
        Some(Some(Field { name, json: self.all.get(from..self.at)?, text }))
    }

    /// Skips a value. Returns the content of a string.
    fn value(&mut self) -> Option<Option<&'a str>> {
        match self.rest().first()? {
            b'"' => return self.string().map(Some),
            b't' => self.skip(b"true")?,
            b'f' => self.skip(b"false")?,
            _ => _ = self.whole_number()?,
        }
        Some(None)
    }

    fn skip_spaces(&mut self) {
        while self.skip(b" ").is_some() {}
    }

    #[inline(always)]
    fn name(&mut self, name: &'static str) -> Option<()> {
        self.skip(&[self.before])?;
        self.before = b',';
        self.skip(name.as_bytes())
    }

    #[inline(always)]
    fn skip(&mut self, expected: &[u8]) -> Option<()> {
        self.rest().starts_with(expected).then(|| self.at += expected.len())
    }

    fn string(&mut self) -> Option<&'a str> {
        self.skip(b"\"")?;
        let (from, length) = (self.at, memchr(b'"', self.rest())?);
        self.at += length + 1;
        self.all.get(from..from + length)
    }

    fn whole_number(&mut self) -> Option<u64> {
        let (from, mut number) = (self.at, 0_u64);
        while let Some(digit @ b'0'..=b'9') = self.rest().first() {
            number = number.checked_mul(10)?.checked_add(u64::from(digit - b'0'))?;
            self.at += 1;
        }
        match self.all.as_bytes().get(from..self.at)? {
            [] | [b'0', _, ..] => None,
            _ => Some(number),
        }
    }

    #[inline(always)]
    fn rest(&self) -> &'a [u8] {
        self.all.as_bytes().get(self.at..).unwrap_or_default()
    }
}

/// Returns nonzero for a byte that is not plain. It is a number, so that sixteen bytes are summed at a time.
const fn is_special(byte: u8) -> u8 {
    (byte < b' ') as u8 | (byte == b'\\') as u8
}
