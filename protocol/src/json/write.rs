//! Writing: names, numbers and texts go straight to the bytes.

/// What is written as one JSON value.
pub(crate) trait ToJson {
    /// Appends the value.
    fn to_json(&self, out: &mut Vec<u8>);
}

/// An object that is being written.
pub(crate) struct Object<'a>(&'a mut Vec<u8>);

impl<'a> Object<'a> {
    /// Begins it at the end of `out`.
    pub(crate) fn open(out: &'a mut Vec<u8>) -> Self {
        out.push(b'{');
        Self(out)
    }

    /// Adds a field. `name` holds nothing that would need an escape.
    pub(crate) fn field(self, name: &str, value: &(impl ToJson + ?Sized)) -> Self {
        self.0.push(b'"');
        self.0.extend_from_slice(name.as_bytes());
        self.0.extend_from_slice(b"\":");
        value.to_json(self.0);
        self.0.push(b',');
        self
    }

    /// Adds a field if there is a value.
    pub(crate) fn optional(self, name: &str, value: Option<&(impl ToJson + ?Sized)>) -> Self {
        match value {
            Some(value) => self.field(name, value),
            None => self,
        }
    }

    /// Adds what stands between the braces of another object.
    pub(crate) fn fields(self, fields: &str) -> Self {
        if !fields.is_empty() {
            self.0.extend_from_slice(fields.as_bytes());
            self.0.push(b',');
        }
        self
    }

    /// Ends it: the comma after the last field becomes the brace.
    pub(crate) fn close(self) {
        match self.0.last_mut() {
            Some(last @ b',') => *last = b'}',
            _ => self.0.push(b'}'),
        }
    }
}

impl ToJson for str {
    fn to_json(&self, out: &mut Vec<u8>) {
        if self.bytes().fold(false, |special, byte| special | is_special(byte)) {
            // To memory, which never fails.
            let _ = serde_json::to_writer(out, self);
            return;
        }
        out.reserve(self.len() + 2);
        out.push(b'"');
        out.extend_from_slice(self.as_bytes());
        out.push(b'"');
    }
}

/// True for what has to be escaped.
const fn is_special(byte: u8) -> bool {
    (byte < b' ') | (byte == b'"') | (byte == b'\\')
}

impl ToJson for bool {
    fn to_json(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(if *self { b"true" } else { b"false" });
    }
}

macro_rules! numbers {
    ($($type:ty),*) => {
        $(impl ToJson for $type {
            fn to_json(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(itoa::Buffer::new().format(*self).as_bytes());
            }
        })*
    };
}

numbers!(u16, u32, u64);

/// Implements [`ToJson`] for a type with `as_str`.
macro_rules! write_as_plain_text {
    ($name:ident) => {
        impl crate::json::ToJson for $name {
            fn to_json(&self, out: &mut Vec<u8>) {
                self.as_str().to_json(out);
            }
        }
    };
}

pub(crate) use write_as_plain_text;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(value: &(impl ToJson + ?Sized)) -> String {
        let mut out = Vec::new();
        value.to_json(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn an_object_has_the_fields_that_there_are() {
        let mut out = Vec::new();
        Object::open(&mut out).close();
        Object::open(&mut out).field("a", &true).fields("").fields("\"b\":[]").close();
        Object::open(&mut out).optional("a", None::<&bool>).optional("b", Some("x,")).close();
        assert_eq!(out, br#"{}{"a":true,"b":[]}{"b":"x,"}"#);
    }

    proptest! {
        #[test]
        fn any_value_is_written_as_serde_json_writes_it(text: String, ascii in "[ -~\0\n\x7f]{0,40}", number: u64) {
            for text in [text, ascii] {
                prop_assert_eq!(written(text.as_str()), serde_json::to_string(&text).unwrap());
            }
            prop_assert_eq!(written(&number), serde_json::to_string(&number).unwrap());
        }
    }
}
