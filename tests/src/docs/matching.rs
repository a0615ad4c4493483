//! Compares what a command printed with the lines of a page. Pure.

use super::page::{Fault, Line};

/// The sign that stands for any text.
const ANY: &str = "…";

/// Why the output is not the expected one; none if it is.
#[must_use]
pub fn differ(expected: &[Line], printed: &[String]) -> Option<Fault> {
    let mut place = Place::new(expected);
    // Blank lines at the end are nothing to see.
    let end = printed.iter().rposition(|line| !line.trim().is_empty()).map_or(0, |last| last + 1);
    let mut too_much = None;
    for line in printed.iter().take(end) {
        let was_end = place.is_end();
        if !place.step(line) {
            return Some(place.fault(Some(line)));
        }
        if was_end && !place.is_end() {
            too_much = Some(line);
        }
    }
    match too_much {
        _ if place.is_end() => None,
        Some(line) => Some(place.too_much(line)),
        None => Some(place.fault(None)),
    }
}

/// True once the first lines of the output are all that is expected: more may follow.
#[must_use]
pub fn appeared(expected: &[Line], printed: &[String]) -> bool {
    let mut place = Place::new(expected);
    let mut printed = printed.iter();
    while !place.is_end() {
        if !printed.next().is_some_and(|line| place.step(line)) {
            return false;
        }
    }
    true
}

/// All places among the expected lines at which the output may be.
struct Place<'a> {
    expected: &'a [Line],
    at: Vec<bool>,
    furthest: usize,
}

impl<'a> Place<'a> {
    fn new(expected: &'a [Line]) -> Self {
        let mut at = vec![false; expected.len() + 1];
        at.iter_mut().take(1).for_each(|first| *first = true);
        let mut place = Self { expected, at, furthest: 0 };
        place.skip();
        place
    }

    /// Goes on by a printed line; false if it fits nowhere.
    fn step(&mut self, printed: &str) -> bool {
        let mut next = vec![false; self.at.len()];
        for (index, line) in self.expected.iter().enumerate() {
            if !self.at.get(index).copied().unwrap_or_default() {
                continue;
            }
            let stays = line.text.trim() == ANY;
            let target = if stays { index } else { index + 1 };
            if stays || fits(line.text.trim(), printed.trim()) {
                next.iter_mut().skip(target).take(1).for_each(|reached| *reached = true);
            }
        }
        if !next.contains(&true) {
            return false;
        }
        self.at = next;
        self.skip();
        true
    }

    /// A line that stands for any lines also stands for none.
    fn skip(&mut self) {
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

    fn fault(&self, printed: Option<&str>) -> Fault {
        let line = self.expected.get(self.furthest).filter(|_| !self.is_end());
        match (line, printed) {
            (Some(line), printed) => {
                let printed =
                    printed.map_or_else(|| "nothing more".to_owned(), |line| format!("`{}`", line.trim()));
                Fault::new(line.number, format!("expected `{}`, it printed {printed}", line.text.trim()))
            }
            (None, printed) => self.too_much(printed.unwrap_or_default()),
        }
    }

    fn too_much(&self, printed: &str) -> Fault {
        let last = self.expected.last().map_or(0, |line| line.number);
        Fault::new(last, format!("expected no more, it printed `{}`", printed.trim()))
    }
}

/// True if a line is as expected.
fn fits(expected: &str, printed: &str) -> bool {
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
    fn a_line(#[case] expected: &str, #[case] printed: &str, #[case] is: bool) {
        assert_eq!(fits(expected, printed), is);
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
    fn an_output(#[case] expected: &[&str], #[case] out: &[&str], #[case] found: Option<(usize, &str)>) {
        let fault = differ(&lines(expected), &printed(out));
        assert_eq!(fault, found.map(|(line, what)| Fault::new(line, what)));
    }

    #[rstest]
    #[case(&["…", "up"], &["a", "up", "more"], true)]
    #[case(&["…", "up", "…"], &["up"], true)]
    #[case(&["up"], &["a", "up"], false)]
    #[case(&["…", "up"], &["a"], false)]
    #[case(&[], &[], true)]
    fn what_appears(#[case] expected: &[&str], #[case] out: &[&str], #[case] is: bool) {
        assert_eq!(appeared(&lines(expected), &printed(out)), is);
    }
}
