//! Checks JSON that passes through unchanged: a worker's response and context.

/// Returns true only for one JSON value that serde_json accepts. Returns false also for what is left to serde_json: a number
/// with an exponent, or more than 63 nested brackets.
pub(crate) fn is_value(text: &str) -> bool {
    let mut checker = Checker { rest: text.as_bytes(), open: 1 };
    checker.value().is_some() && checker.next().is_none()
}

struct Checker<'a> {
    rest: &'a [u8],
    /// A 1 followed by one bit for each open bracket, the innermost last: 1 for an object.
    open: u64,
}

impl Checker<'_> {
    /// Skips a whole value.
    fn value(&mut self) -> Option<()> {
        loop {
            self.begin()?;
            if !self.goes_on()? {
                return Some(());
            }
        }
    }

    /// Skips to the end of the first scalar of a value.
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

    /// Closes the brackets that end after a value. Returns false if no bracket is left open.
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

    /// Returns whether the next byte closes the innermost bracket.
    fn closes(&mut self) -> Option<bool> {
        let closes = self.next()? == if self.is_in_object() { b'}' } else { b']' };
        self.open >>= u32::from(closes);
        Some(closes)
    }

    const fn is_in_object(&self) -> bool {
        self.open & 1 == 1
    }

    /// Skips the name of a field, if in an object.
    fn name(&mut self) -> Option<()> {
        if self.is_in_object() {
            (self.next()? == b'"').then_some(())?;
            self.string()?;
            (self.next()? == b':').then_some(())?;
        }
        Some(())
    }

    /// Skips the rest of a string after its opening quote.
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

    /// Skips eight bytes at a time, up to the first special byte or near the end.
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

    /// Returns the next byte that is not whitespace.
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

/// Sets the highest bit of the lowest of eight bytes that is a quote, a backslash or a control character. The bits above it
/// have no meaning.
const fn special(eight: u64) -> u64 {
    const ONES: u64 = u64::MAX / 255;
    const fn below(eight: u64, bound: u64) -> u64 {
        eight.wrapping_sub(ONES * bound) & !eight
    }
    // The quote (0x22) is the second byte after the control characters; flipping the lowest bit makes it the first.
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
    fn plain_json_is_accepted(#[case] text: &str) {
        assert!(is_value(text));
    }

    #[rstest]
    #[case(63, true)]
    #[case(64, false)]
    #[case(100_000, false)]
    fn deep_nesting_is_left_to_serde_json(#[case] deep: usize, #[case] taken: bool) {
        assert_eq!(is_value(&format!("{}{}", "[".repeat(deep), "]".repeat(deep))), taken);
    }

    proptest! {
        #[test]
        fn serde_json_accepts_what_is_accepted(text in "([\\[{}\\],:]|\"a\"|\"[^x]{0,12}\"|-?[0-9.]{1,3}|true|null| |\n|\\PC){0,12}") {
            if is_value(&text) {
                let raw: Result<&RawValue, _> = serde_json::from_str(&text);
                prop_assert_eq!(raw.unwrap().get(), text.trim());
            }
        }

        #[test]
        fn near_json_is_judged_as_by_serde_json(
            at: prop::sample::Index, put in "[\\[\\]{}:,\" \n\t0-9a-dfé\\\\.\u{1}-]{0,3}", less in 0_usize..4,
        ) {
            let mut text = r#"{"version":2,"tests":[{"name":"a \"b\" \u00ab","ok":true},{"name":null}],"x":-10.5, "y":[]}"#.to_owned();
            let at = at.index(text.len());
            text.replace_range(at..text.len().min(at + less), &put);
            prop_assert_eq!(is_value(&text), serde_json::from_str::<&RawValue>(&text).is_ok());
        }
    }
}
