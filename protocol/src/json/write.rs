//! Writing: names, numbers and texts go straight to the bytes.

/// What is written as one JSON value.
pub(crate) trait ToJson {
    /// Appends the value.
    fn to_json(&self, out: &mut Vec<u8>);

    /// True if a field with this value is left out.
    fn is_absent(&self) -> bool {
        false
    }
}

/// Writes an object whose fields are variables of these names, after the bytes of others that stand in `out` already.
macro_rules! object {
    ($out:expr, $($field:ident),+ $(,)?) => {{
        let out: &mut Vec<u8> = $out;
        out.push(b'{');
        crate::json::fields!(out, $($field),+);
    }};
}

/// Writes the fields and the end of an object that has begun.
macro_rules! fields {
    ($out:expr, $($field:ident),+ $(,)?) => {{
        let out: &mut Vec<u8> = $out;
        $(crate::json::write::field(out, crate::json::name!($field), $field);)+
        crate::json::write::close(out);
    }};
}

/// Implements [`ToJson`] for a type by all of its fields, in this order.
macro_rules! write_as_object {
    ($name:ident { $($field:ident),+ $(,)? }) => {
        impl crate::json::ToJson for $name {
            fn to_json(&self, out: &mut Vec<u8>) {
                let Self { $($field),+ } = self;
                crate::json::object!(out, $($field),+);
            }
        }
    };
}

/// Implements [`ToJson`] for a type whose `as_str` never has anything that needs an escape.
macro_rules! write_as_plain_text {
    ($name:ident) => {
        impl crate::json::ToJson for $name {
            fn to_json(&self, out: &mut Vec<u8>) {
                crate::json::write::plain(&[self.as_str()], out);
            }
        }
    };
}

pub(crate) use {fields, object, write_as_object, write_as_plain_text};

/// Appends a field and a comma. A name that is known when this is compiled is but a few stores.
#[inline(always)]
pub(crate) fn field(out: &mut Vec<u8>, name: &'static str, value: &(impl ToJson + ?Sized)) {
    if !value.is_absent() {
        out.extend_from_slice(name.as_bytes());
        value.to_json(out);
        out.push(b',');
    }
}

/// Ends an object: the comma after the last field becomes the brace.
pub(crate) fn close(out: &mut Vec<u8>) {
    match out.last_mut() {
        Some(last @ b',') => *last = b'}',
        _ => out.push(b'}'),
    }
}

/// Appends a text of these parts. None has anything that needs an escape.
pub(crate) fn plain(parts: &[&str], out: &mut Vec<u8>) {
    out.reserve(parts.iter().map(|part| part.len()).sum::<usize>() + 2);
    out.push(b'"');
    parts.iter().for_each(|part| out.extend_from_slice(part.as_bytes()));
    out.push(b'"');
}

/// Appends a text of these parts, whatever it holds.
pub(crate) fn text(parts: &[&str], out: &mut Vec<u8>) {
    let has_special = |part: &&str| part.bytes().fold(0, |special, byte| special | is_special(byte)) != 0;
    if parts.iter().any(has_special) {
        // To memory, which never fails.
        let _ = serde_json::to_writer(out, &parts.concat());
    } else {
        plain(parts, out);
    }
}

impl ToJson for str {
    fn to_json(&self, out: &mut Vec<u8>) {
        text(&[self], out);
    }
}

/// Not zero for what has to be escaped. A number, which is summed up sixteen bytes at a time.
const fn is_special(byte: u8) -> u8 {
    (byte < b' ') as u8 | (byte == b'"') as u8 | (byte == b'\\') as u8
}

impl<T: ToJson + ?Sized> ToJson for &T {
    fn to_json(&self, out: &mut Vec<u8>) {
        (**self).to_json(out);
    }
}

impl<T: ToJson> ToJson for Option<T> {
    fn to_json(&self, out: &mut Vec<u8>) {
        self.iter().for_each(|value| value.to_json(out));
    }

    fn is_absent(&self) -> bool {
        self.is_none()
    }
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
        let (mut out, yes, text, none) = (Vec::new(), &true, "x,", &None::<bool>);
        object!(&mut out, none);
        object!(&mut out, none, yes, text);
        object!(&mut out, yes, none);
        assert_eq!(out, br#"{}{"yes":true,"text":"x,"}{"yes":true}"#);
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
