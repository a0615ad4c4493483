//! Compares the output of a command with the lines of a page. Pure.

use super::page::{Line, PageFault};

/// The character that stands for any text.
const ANY: &str = "…";

/// Returns how the output differs from the expected lines; `None` if it matches.
#[must_use]
pub fn differ(expected: &[Line], printed: &[String]) -> Option<PageFault> {
    let mut matcher = Matcher::new(expected);
    // Blank lines at the end are ignored.
    let end = printed.iter().rposition(|line| !line.trim().is_empty()).map_or(0, |last| last + 1);
    let mut surplus = None;
    for line in printed.iter().take(end) {
        let was_end = matcher.is_end();
        if !matcher.advance(line) {
            return Some(matcher.fault(Some(line)));
        }
        if was_end && !matcher.is_end() {
            surplus = Some(line);
        }
    }
    match surplus {
        _ if matcher.is_end() => None,
        Some(line) => Some(matcher.surplus_fault(line)),
        None => Some(matcher.fault(None)),
    }
}

/// Returns true if the output begins with the expected lines; more may follow.
#[must_use]
pub fn begins_with(expected: &[Line], printed: &[String]) -> bool {
    let mut matcher = Matcher::new(expected);
    let mut printed = printed.iter();
    while !matcher.is_end() {
        if !printed.next().is_some_and(|line| matcher.advance(line)) {
            return false;
        }
    }
    true
}

/// Matches output against expected lines, as a nondeterministic automaton.
struct Matcher<'a> {
    expected: &'a [Line],
    /// For each expected line, and the end, whether the output may have reached it.
    at: Vec<bool>,
    furthest: usize,
}

impl<'a> Matcher<'a> {
    fn new(expected: &'a [Line]) -> Self {
        let mut at = vec![false; expected.len() + 1];
        at.iter_mut().take(1).for_each(|first| *first = true);
        let mut matcher = Self { expected, at, furthest: 0 };
        matcher.skip_any();
        matcher
    }

    /// Advances by a printed line. Returns false if the line does not match.
    fn advance(&mut self, printed: &str) -> bool {
        let mut next = vec![false; self.at.len()];
        for (index, line) in self.expected.iter().enumerate() {
            if !self.at.get(index).copied().unwrap_or_default() {
                continue;
            }
            let stays = line.text.trim() == ANY;
            let target = if stays { index } else { index + 1 };
            if stays || matches(line.text.trim(), printed.trim()) {
                next.iter_mut().skip(target).take(1).for_each(|reached| *reached = true);
            }
        }
        if !next.contains(&true) {
            return false;
        }
        self.at = next;
        self.skip_any();
        true
    }

    /// Skips lines that stand for any lines, because these may be no lines.
    fn skip_any(&mut self) {
        for (index, line) in self.expected.iter().enumerate() {
            if self.at.get(index).copied().unwrap_or_default() {
                self.furthest = self.furthest.max(index);
                if line.text.trim() == ANY {
                    self.at.iter_mut().skip(index + 1).take(1).for_each(|next| *next = true);
                }
            }
        }
    }

    fn is_end(&self) -> bool {
        self.at.last().copied().unwrap_or_default()
    }

    fn fault(&self, printed: Option<&str>) -> PageFault {
        let line = self.expected.get(self.furthest).filter(|_| !self.is_end());
        match (line, printed) {
            (Some(line), printed) => {
                let printed =
                    printed.map_or_else(|| "nothing more".to_owned(), |line| format!("`{}`", line.trim()));
                PageFault::new(line.number, format!("expected `{}`, it printed {printed}", line.text.trim()))
            }
            (None, printed) => self.surplus_fault(printed.unwrap_or_default()),
        }
    }

    fn surplus_fault(&self, printed: &str) -> PageFault {
        let last = self.expected.last().map_or(0, |line| line.number);
        PageFault::new(last, format!("expected no more, it printed `{}`", printed.trim()))
    }
}

/// Returns true if a line is as expected.
fn matches(expected: &str, printed: &str) -> bool {
    let Some((first, others)) = expected.split_once(ANY) else { return expected == printed };
    let Some(mut rest) = printed.strip_prefix(first) else { return false };
    let (between, last) = others.rsplit_once(ANY).unwrap_or(("", others));
    for part in between.split(ANY) {
        let Some(at) = rest.find(part) else { return false };
        rest = rest.get(at + part.len()..).unwrap_or_default();
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn lines(texts: &[&str]) -> Vec<Line> {
        (1..).zip(texts).map(|(number, text)| Line { number, text: (*text).to_owned() }).collect()
    }

    fn printed(texts: &[&str]) -> Vec<String> {
        texts.iter().map(ToString::to_string).collect()
    }

    #[rstest]
    #[case("a b", "a b", true)]
    #[case("a b", "a  b", false)]
    #[case("pass: 5 passed (…)", "pass: 5 passed (0.34 s, on ruby-1)", true)]
    #[case("pass: 5 passed (…)", "pass: 4 passed (0.34 s, on ruby-1)", false)]
    #[case("…serving…", "12:00 INFO serving clients", true)]
    #[case("a…a", "a", false)]
    #[case("a…b…c", "a1b2c", true)]
    #[case("a…b…c", "a1c2b", false)]
    #[case("", "", true)]
    #[case("", "x", false)]
    fn line_matches(#[case] expected: &str, #[case] printed: &str, #[case] is: bool) {
        assert_eq!(matches(expected, printed), is);
    }

    #[rstest]
    #[case(&["a", "b"], &["a", "b"], None)]
    #[case(&["a"], &["  a  ", "", ""], None)]
    #[case(&["a", "…", "d"], &["a", "b", "c", "d"], None)]
    #[case(&["a", "…", "d"], &["a", "d"], None)]
    #[case(&["…", "d", "…"], &["d", "x", "d", "e"], None)]
    #[case(&["…"], &[], None)]
    #[case(&["a", "b"], &["a", "c"], Some((2, "expected `b`, it printed `c`")))]
    #[case(&["a", "b"], &["a"], Some((2, "expected `b`, it printed nothing more")))]
    #[case(&["a"], &["a", "b"], Some((1, "expected no more, it printed `b`")))]
    #[case(&["…", "d"], &["a", "b"], Some((2, "expected `d`, it printed nothing more")))]
    #[case(&["…", "d"], &["d", "e"], Some((2, "expected no more, it printed `e`")))]
    #[case(&["…", "d"], &["d", "e", "d"], None)]
    #[case(&["a", "", "b"], &["a", "b"], Some((2, "expected ``, it printed `b`")))]
    fn output_matches(#[case] expected: &[&str], #[case] out: &[&str], #[case] found: Option<(usize, &str)>) {
        let fault = differ(&lines(expected), &printed(out));
        assert_eq!(fault, found.map(|(line, what)| PageFault::new(line, what)));
    }

    #[rstest]
    #[case(&["…", "up"], &["a", "up", "more"], true)]
    #[case(&["…", "up", "…"], &["up"], true)]
    #[case(&["up"], &["a", "up"], false)]
    #[case(&["…", "up"], &["a"], false)]
    #[case(&[], &[], true)]
    fn expected_lines_appear(#[case] expected: &[&str], #[case] out: &[&str], #[case] is: bool) {
        assert_eq!(begins_with(&lines(expected), &printed(out)), is);
    }
}
