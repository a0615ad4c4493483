//! Whether a text is JSON, for what passes through as it stands: a worker's response and context.

/// True only for one value, as serde_json would take it. False also for what is to be left to serde_json: a number with
/// an exponent, or a value in more than 63 brackets.
pub(crate) fn is_value(text: &str) -> bool {
    let mut checker = Checker { rest: text.as_bytes(), open: 1 };
    checker.value().is_some() && checker.next().is_none()
}

struct Checker<'a> {
    rest: &'a [u8],
    /// A one, then a bit for each bracket that is open, the innermost last: whether it is an object's.
    open: u64,
}

impl Checker<'_> {
    /// A whole value.
    fn value(&mut self) -> Option<()> {
        loop {
            self.begin()?;
            if !self.goes_on()? {
                return Some(());
            }
        }
    }

    /// A value up to the end of the first that holds no other.
    fn begin(&mut self) -> Option<()> {
        loop {
            let bit = match self.next()? {
                b'"' => return self.string(),
                b't' => return self.literal(b"rue"),
                b'f' => return self.literal(b"alse"),
                b'n' => return self.literal(b"ull"),
                b'[' => 0,
                b'{' => 1,
                first => return self.number(first),
            };
            self.open = (self.open.leading_zeros() > 0).then_some(self.open << 1 | bit)?;
            let rest = self.rest;
            if self.closes()? {
                return Some(());
            }
            self.rest = rest;
            self.name()?;
        }
    }

    /// After a value: ends the brackets that end there. False if that was the last of them.
    fn goes_on(&mut self) -> Option<bool> {
        while self.open > 1 {
            let rest = self.rest;
            if !self.closes()? {
                self.rest = rest;
                (self.next()? == b',').then_some(())?;
                self.name()?;
                return Some(true);
            }
        }
        Some(false)
    }

    /// Whether the next byte ends the innermost bracket.
    fn closes(&mut self) -> Option<bool> {
        let closes = self.next()? == if self.is_in_object() { b'}' } else { b']' };
        self.open >>= u32::from(closes);
        Some(closes)
    }

    const fn is_in_object(&self) -> bool {
        self.open & 1 == 1
    }

    /// In an object, the name before a value.
    fn name(&mut self) -> Option<()> {
        if self.is_in_object() {
            (self.next()? == b'"').then_some(())?;
            self.string()?;
            (self.next()? == b':').then_some(())?;
        }
        Some(())
    }

    /// What follows a quote, and the second quote.
    fn string(&mut self) -> Option<()> {
        loop {
            self.skip_eights();
            match self.byte()? {
                b'"' => return Some(()),
                b'\\' => self.escape()?,
                control if control < b' ' => return None,
                _ => {}
            }
        }
    }

    /// Skips eight bytes at a time, to the first that is not plain or near the end.
    fn skip_eights(&mut self) {
        while let Some((eight, rest)) = self.rest.split_first_chunk() {
            let skipped = special(u64::from_le_bytes(*eight)).trailing_zeros() / 8;
            match skipped {
                8 => self.rest = rest,
                less => return self.rest = self.rest.get(less as usize..).unwrap_or_default(),
            }
        }
    }

    fn escape(&mut self) -> Option<()> {
        match self.byte()? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(()),
            b'u' => {
                let (digits, rest) = self.rest.split_first_chunk::<4>()?;
                self.rest = rest;
                digits.iter().all(u8::is_ascii_hexdigit).then_some(())
            }
            _ => None,
        }
    }

    fn number(&mut self, first: u8) -> Option<()> {
        match if first == b'-' { self.byte()? } else { first } {
            b'0' => {}
            b'1'..=b'9' => _ = self.digits(),
            _ => return None,
        }
        match self.rest.strip_prefix(b".") {
            Some(rest) => {
                self.rest = rest;
                (self.digits() > 0).then_some(())
            }
            None => Some(()),
        }
    }

    fn digits(&mut self) -> usize {
        let count = self.rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.rest = self.rest.get(count..).unwrap_or_default();
        count
    }

    fn literal(&mut self, rest: &[u8]) -> Option<()> {
        self.rest = self.rest.strip_prefix(rest)?;
        Some(())
    }

    /// The next byte that is no space.
    fn next(&mut self) -> Option<u8> {
        loop {
            match self.byte()? {
                b' ' | b'\n' | b'\t' | b'\r' => {}
                byte => return Some(byte),
            }
        }
    }

    fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*byte)
    }
}

/// The highest bit of the first of eight bytes, from the lowest on, that is a quote, a backslash or a control character.
/// Bits above it mean nothing.
const fn special(eight: u64) -> u64 {
    const ONES: u64 = u64::MAX / 255;
    const fn below(eight: u64, bound: u64) -> u64 {
        eight.wrapping_sub(ONES * bound) & !eight
    }
    // The quote is the next but one to the first that is no control character; this makes it the next.
    let control_or_quote = below(eight ^ (ONES * 2), b' ' as u64 + 1);
    let backslash = below(eight ^ (ONES * b'\\' as u64), 1);
    (control_or_quote | backslash) & (ONES << 7)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;
    use serde_json::value::RawValue;

    #[rstest]
    #[case(
        " {\"a\": [1, -0.5, {}, [], true, false, null], \"b\\n\\u00e9\": \"\u{e9}\u{7f} 'long enough for eights'\"}\n"
    )]
    #[case("0")]
    #[case("\"\"")]
    fn what_tests_write_is_taken(#[case] text: &str) {
        assert!(is_value(text));
    }

    #[rstest]
    #[case(63, true)]
    #[case(64, false)]
    #[case(100_000, false)]
    fn what_is_too_deep_is_left_to_others(#[case] deep: usize, #[case] taken: bool) {
        assert_eq!(is_value(&format!("{}{}", "[".repeat(deep), "]".repeat(deep))), taken);
    }

    proptest! {
        #[test]
        fn what_is_taken_serde_json_takes_too(text in "([\\[{}\\],:]|\"a\"|\"[^x]{0,12}\"|-?[0-9.]{1,3}|true|null| |\n|\\PC){0,12}") {
            if is_value(&text) {
                let raw: Result<&RawValue, _> = serde_json::from_str(&text);
                prop_assert_eq!(raw.unwrap().get(), text.trim());
            }
        }

        #[test]
        fn what_is_nearly_json_is_taken_as_serde_json_takes_it(
            at: prop::sample::Index, put in "[\\[\\]{}:,\" \n\t0-9a-dfé\\\\.\u{1}-]{0,3}", less in 0_usize..4,
        ) {
            let mut text = r#"{"version":2,"tests":[{"name":"a \"b\" \u00ab","ok":true},{"name":null}],"x":-10.5, "y":[]}"#.to_owned();
            let at = at.index(text.len());
            text.replace_range(at..text.len().min(at + less), &put);
            prop_assert_eq!(is_value(&text), serde_json::from_str::<&RawValue>(&text).is_ok());
        }
    }
}
