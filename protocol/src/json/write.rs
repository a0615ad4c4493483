//! Writes JSON: names, numbers and strings are appended to the bytes directly.

/// A type that is written as one JSON value.
pub(crate) trait ToJson {
    /// Appends the value.
    fn to_json(&self, out: &mut Vec<u8>);

    /// Returns whether a field with this value is left out.
    fn is_absent(&self) -> bool {
        false
    }
}

/// Appends an object to `out`. Its fields are the variables of these names.
macro_rules! object {
    ($out:expr, $($field:ident),+ $(,)?) => {{
        let out: &mut Vec<u8> = $out;
        out.push(b'{');
        crate::json::fields!(out, $($field),+);
    }};
}

/// Appends the fields and the end of an object whose start has been written.
macro_rules! fields {
    ($out:expr, $($field:ident),+ $(,)?) => {{
        let out: &mut Vec<u8> = $out;
        $(crate::json::write::field(out, crate::json::name!($field), $field);)+
        crate::json::write::close(out);
    }};
}

/// Implements [`ToJson`] for a struct by its fields, in this order.
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

/// Implements [`ToJson`] for a type whose `as_str` never needs escapes.
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

/// Appends a field and a comma. A name that is known at compile time takes only a few store instructions.
#[inline(always)]
pub(crate) fn field(out: &mut Vec<u8>, name: &'static str, value: &(impl ToJson + ?Sized)) {
    if !value.is_absent() {
        out.extend_from_slice(name.as_bytes());
        value.to_json(out);
        out.push(b',');
    }
}

/// Ends an object: replaces the comma after the last field by the brace.
pub(crate) fn close(out: &mut Vec<u8>) {
    match out.last_mut() {
        Some(last @ b',') => *last = b'}',
        _ => out.push(b'}'),
    }
}

/// Appends a string of these parts, none of which needs escapes.
pub(crate) fn plain(parts: &[&str], out: &mut Vec<u8>) {
    out.reserve(parts.iter().map(|part| part.len()).sum::<usize>() + 2);
    out.push(b'"');
    parts.iter().for_each(|part| out.extend_from_slice(part.as_bytes()));
    out.push(b'"');
}

/// Appends a string of these parts, with escapes where needed.
pub(crate) fn text(parts: &[&str], out: &mut Vec<u8>) {
    let has_special = |part: &&str| part.bytes().fold(0, |special, byte| special | is_special(byte)) != 0;
    if parts.iter().any(has_special) {
        // Writing to memory cannot fail.
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

/// Returns nonzero for a byte that must be escaped. It is a number, so that sixteen bytes are summed at a time.
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
    fn absent_fields_are_left_out() {
        let (mut out, yes, text, none) = (Vec::new(), &true, "x,", &None::<bool>);
        object!(&mut out, none);
        object!(&mut out, none, yes, text);
        object!(&mut out, yes, none);
        assert_eq!(out, br#"{}{"yes":true,"text":"x,"}{"yes":true}"#);
    }

    proptest! {
        #[test]
        fn values_are_written_as_by_serde_json(text: String, ascii in "[ -~\0\n\x7f]{0,40}", number: u64) {
            for text in [text, ascii] {
                prop_assert_eq!(written(text.as_str()), serde_json::to_string(&text).unwrap());
            }
            prop_assert_eq!(written(&number), serde_json::to_string(&number).unwrap());
        }
    }
}
