//! The commands of a block of a console, and the output that each must print. Pure.

use super::page::{Block, Fault, Line};

/// A block of a console.
#[derive(Debug, PartialEq, Eq)]
pub struct Console {
    /// Whether it goes on in the background.
    pub is_background: bool,
    /// Whether what runs in the background gets Ctrl-C before it.
    pub is_after_ctrl_c: bool,
    /// Whether its values are the reader's.
    pub is_given: bool,
    /// Whether it is not run.
    pub is_not_run: bool,
    /// The exit code of the last command.
    pub exit: i32,
    /// Its commands.
    pub steps: Vec<Step>,
}

/// A command.
#[derive(Debug, PartialEq, Eq)]
pub struct Step {
    /// The line in which the command begins, counted from 1.
    pub line: usize,
    /// The command, which may have several lines.
    pub command: String,
    /// The lines that the command must print.
    pub expected: Vec<Line>,
}

impl Console {
    /// Reads a block.
    ///
    /// # Errors
    /// For a word that is none, a block that begins with output, and one that is not run without a reason.
    pub fn read(block: &Block) -> Result<Self, Fault> {
        let mut console = Self {
            is_background: false,
            is_after_ctrl_c: false,
            is_given: false,
            is_not_run: false,
            exit: 0,
            steps: steps(&block.lines)?,
        };
        for word in &block.words {
            match (word.as_str(), word.strip_prefix("exit=").map(str::parse)) {
                ("background", _) => console.is_background = true,
                ("after-ctrl-c", _) => console.is_after_ctrl_c = true,
                ("given", _) => console.is_given = true,
                ("not-run", _) => console.is_not_run = true,
                (_, Some(Ok(code))) => console.exit = code,
                _ => return Err(Fault::new(block.line, format!("`{word}` is no word of a console"))),
            }
        }
        if console.steps.is_empty() {
            return Err(Fault::new(block.line, "a console in which nothing is typed"));
        }
        if console.is_background && console.steps.len() > 1 {
            return Err(Fault::new(block.line, "only one command can go on in the background"));
        }
        if console.is_not_run && block.comment.as_deref().is_none_or(str::is_empty) {
            return Err(Fault::new(block.line, "it is not run, and no comment above says why"));
        }
        Ok(console)
    }
}

fn steps(lines: &[Line]) -> Result<Vec<Step>, Fault> {
    let mut steps: Vec<Step> = Vec::new();
    let mut lines = lines.iter();
    while let Some(Line { number, text }) = lines.next() {
        let typed = text.strip_prefix("$ ").or_else(|| text.strip_prefix("# "));
        match (typed, steps.last_mut()) {
            (Some(typed), _) => {
                let mut command = typed.to_owned();
                let mut ends = End::all(typed);
                while command.ends_with('\\') || !ends.is_empty() {
                    let Some(next) = lines.next() else {
                        return Err(Fault::new(*number, "the command has no end"));
                    };
                    if ends.is_empty() {
                        ends = End::all(&next.text);
                    } else if ends.first().is_some_and(|end| end.is(&next.text)) {
                        ends.remove(0);
                    }
                    command = format!("{command}\n{}", next.text);
                }
                steps.push(Step { line: *number, command, expected: Vec::new() });
            }
            (None, Some(step)) => step.expected.push(Line { number: *number, text: text.clone() }),
            (None, None) => return Err(Fault::new(*number, "output before anything is typed")),
        }
    }
    // A blank line before the next command, or at the end, is for the reader's eyes.
    for step in &mut steps {
        while step.expected.last().is_some_and(|line| line.text.trim().is_empty()) {
            step.expected.pop();
        }
    }
    Ok(steps)
}

/// The line that ends a here-document.
struct End {
    word: String,
    has_tabs: bool,
}

impl End {
    /// Those of a line, in order.
    fn all(line: &str) -> Vec<Self> {
        line.split("<<").skip(1).filter_map(Self::of).collect()
    }

    /// From what follows `<<`; none for a here-string, or a number that is shifted.
    fn of(rest: &str) -> Option<Self> {
        let (has_tabs, rest) = rest.strip_prefix('-').map_or((false, rest), |rest| (true, rest));
        let rest = rest.trim_start().trim_start_matches(['\'', '"']);
        let word: String = rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
        let starts_well = word.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        starts_well.then_some(Self { word, has_tabs })
    }

    fn is(&self, line: &str) -> bool {
        let line = if self.has_tabs { line.trim_start_matches('\t') } else { line };
        line == self.word
    }
}

/// The commands of a block whose values are the reader's, with the test's own. Only variables are set in it.
///
/// # Errors
/// For a variable that the test does not know, and for anything else.
pub fn given(steps: &[Step], value: impl Fn(&str) -> Option<String>) -> Result<Vec<String>, Fault> {
    let assignment = |step: &Step, word: &str| {
        let name = word.split_once('=').map(|(name, _)| name);
        let name = name.ok_or_else(|| Fault::new(step.line, format!("`{word}` sets no variable")))?;
        let value =
            value(name).ok_or_else(|| Fault::new(step.line, format!("the test has no value for {name}")))?;
        Ok(format!("{name}='{value}'"))
    };
    let one = |step: &Step| {
        let line = step.command.split_once(" #").map_or(step.command.as_str(), |(line, _)| line);
        let words = line.split_whitespace().map(|word| match word {
            "export" => Ok(word.to_owned()),
            word => assignment(step, word),
        });
        words.collect::<Result<Vec<String>, Fault>>().map(|words| words.join(" "))
    };
    steps.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::docs::page::Page;
    use rstest::rstest;

    fn read(text: &str) -> Result<Console, Fault> {
        Console::read(&Page::read("a.md", text).unwrap().blocks[0])
    }

    fn typed(console: &Console) -> Vec<(usize, &str, usize)> {
        console.steps.iter().map(|step| (step.line, &*step.command, step.expected.len())).collect()
    }

    #[test]
    fn commands_are_told_from_what_they_print() {
        let console = read("```console exit=3\n$ a\none\ntwo\n\n# b \\\n    c\n$ d\n```").unwrap();
        assert_eq!(typed(&console), [(2, "a", 2), (6, "b \\\n    c", 0), (8, "d", 0)]);
        assert_eq!((console.exit, console.is_background), (3, false));
    }

    #[rstest]
    #[case("$ cat > f <<'END'\n$ x\n# y\nEND\nout")]
    #[case("$ cat > f <<END\n$ x\n END\nEND\nout")]
    #[case("$ a && \\\n  cat <<-END\n\tx\n\tEND\nout")]
    #[case("$ cat <<A <<B\n1\nB\nA\n2\nB\nout")]
    fn a_here_document_is_typed(#[case] block: &str) {
        let console = read(&format!("```console\n{block}\n```")).unwrap();
        assert_eq!(console.steps.len(), 1, "{console:?}");
        assert_eq!(console.steps[0].expected[0].text, "out");
    }

    #[test]
    fn a_here_string_and_a_shift_end_with_their_line() {
        let console = read("```console\n$ cat <<< x\nout\n$ echo $((1 << 2))\n4\n```").unwrap();
        assert_eq!(typed(&console), [(2, "cat <<< x", 1), (4, "echo $((1 << 2))", 1)]);
    }

    #[rstest]
    #[case("```console\nout\n$ a\n```", 2, "output before anything is typed")]
    #[case("```console quickly\n$ a\n```", 1, "`quickly` is no word of a console")]
    #[case("```console exit=x\n$ a\n```", 1, "`exit=x` is no word of a console")]
    #[case("```console\n```", 1, "a console in which nothing is typed")]
    #[case("```console not-run\n$ a\n```", 1, "it is not run, and no comment above says why")]
    #[case("```console\n$ cat <<END\nx\n```", 2, "the command has no end")]
    #[case("```console background\n$ a\n$ b\n```", 1, "only one command can go on in the background")]
    fn faults(#[case] text: &str, #[case] line: usize, #[case] what: &str) {
        assert_eq!(read(text), Err(Fault::new(line, what)));
    }

    #[test]
    fn what_is_not_run_has_a_reason() {
        assert!(
            read("<!-- no Docker here -->\n```console not-run\n$ docker build .\n```").unwrap().is_not_run
        );
    }

    #[test]
    fn given_values_are_the_tests() {
        let console = read("```console given\n$ A=x   # yours\n$ export B=y C=z\n```").unwrap();
        let value = |name: &str| (name != "C").then(|| format!("{name} of the test"));
        assert_eq!(given(&console.steps[..1], value).unwrap(), ["A='A of the test'"]);
        assert_eq!(given(&console.steps, value).unwrap_err(), Fault::new(3, "the test has no value for C"));
        let other = read("```console given\n$ rm -r /\n```").unwrap();
        assert_eq!(given(&other.steps, value).unwrap_err(), Fault::new(2, "`rm` sets no variable"));
    }
}
