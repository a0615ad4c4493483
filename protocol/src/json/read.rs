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

/// A text of which a part is read.
#[derive(Debug, Clone)]
pub(crate) struct Reader<'a> {
    all: &'a str,
    /// How many bytes are read.
    at: usize,
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
        let all = std::str::from_utf8(bytes).ok().filter(|_| plain)?;
        Some(Self { all, at: 0, before: b'{' })
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
        self.whole_number()
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
        self.skip(b"}")
    }

    /// The end of all.
    pub(crate) fn end(&self) -> Option<()> {
        self.rest().is_empty().then_some(())
    }

    /// The next field of an object whose fields come in any order and may have spaces between them. `Some(None)` at the
    /// object's end.
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

    /// Skips a value; gives what is between the quotes of a text.
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

/// Not zero for what is not plain. A number, which is summed up sixteen bytes at a time.
const fn is_special(byte: u8) -> u8 {
    (byte < b' ') as u8 | (byte == b'\\') as u8
}
