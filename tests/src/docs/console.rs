//! Parses the commands of a console block, and the output that each must print. Pure.

use super::page::{Block, Line, PageFault};

/// A console block.
#[derive(Debug, PartialEq, Eq)]
pub struct Console {
    /// Whether the command runs in the background.
    pub is_background: bool,
    /// Whether background commands get Ctrl-C before this block.
    pub is_after_ctrl_c: bool,
    /// Whether the reader chooses the values.
    pub is_given: bool,
    /// Whether the block is not run.
    pub is_not_run: bool,
    /// The exit code of the last command.
    pub exit: i32,
    /// The commands.
    pub steps: Vec<ConsoleStep>,
}

/// A command and its expected output.
#[derive(Debug, PartialEq, Eq)]
pub struct ConsoleStep {
    /// The line in which the command begins, counted from 1.
    pub line: usize,
    /// The command, which may have several lines.
    pub command: String,
    /// The lines that the command must print.
    pub expected: Vec<Line>,
}

impl Console {
    /// Parses a block.
    ///
    /// # Errors
    /// For an unknown flag, a block that begins with output, and a block that is not run without a reason.
    pub fn parse(block: &Block) -> Result<Self, PageFault> {
        let mut console = Self {
            is_background: false,
            is_after_ctrl_c: false,
            is_given: false,
            is_not_run: false,
            exit: 0,
            steps: steps(&block.lines)?,
        };
        for flag in &block.flags {
            match (flag.as_str(), flag.strip_prefix("exit=").map(str::parse)) {
                ("background", _) => console.is_background = true,
                ("after-ctrl-c", _) => console.is_after_ctrl_c = true,
                ("given", _) => console.is_given = true,
                ("not-run", _) => console.is_not_run = true,
                (_, Some(Ok(code))) => console.exit = code,
                _ => return Err(PageFault::new(block.line, format!("unknown console flag `{flag}`"))),
            }
        }
        if console.steps.is_empty() {
            return Err(PageFault::new(block.line, "a console block without a command"));
        }
        if console.is_background && console.steps.len() > 1 {
            return Err(PageFault::new(block.line, "only one command can run in the background"));
        }
        if console.is_not_run && block.comment.as_deref().is_none_or(str::is_empty) {
            return Err(PageFault::new(block.line, "the block is not run, and no comment above says why"));
        }
        Ok(console)
    }
}

fn steps(lines: &[Line]) -> Result<Vec<ConsoleStep>, PageFault> {
    let mut steps: Vec<ConsoleStep> = Vec::new();
    let mut lines = lines.iter();
    while let Some(Line { number, text }) = lines.next() {
        let typed = text.strip_prefix("$ ").or_else(|| text.strip_prefix("# "));
        match (typed, steps.last_mut()) {
            (Some(typed), _) => {
                let mut command = typed.to_owned();
                let mut ends = HereDocumentEnd::all(typed);
                while command.ends_with('\\') || !ends.is_empty() {
                    let Some(next) = lines.next() else {
                        return Err(PageFault::new(*number, "the command is incomplete"));
                    };
                    if ends.is_empty() {
                        ends = HereDocumentEnd::all(&next.text);
                    } else if ends.first().is_some_and(|end| end.matches(&next.text)) {
                        ends.remove(0);
                    }
                    command = format!("{command}\n{}", next.text);
                }
                steps.push(ConsoleStep { line: *number, command, expected: Vec::new() });
            }
            (None, Some(step)) => step.expected.push(Line { number: *number, text: text.clone() }),
            (None, None) => return Err(PageFault::new(*number, "output before the first command")),
        }
    }
    // A blank line before the next command, or at the end, is not output.
    for step in &mut steps {
        while step.expected.last().is_some_and(|line| line.text.trim().is_empty()) {
            step.expected.pop();
        }
    }
    Ok(steps)
}

/// The line that ends a here-document.
struct HereDocumentEnd {
    word: String,
    has_tabs: bool,
}

impl HereDocumentEnd {
    /// Returns those that a line begins, in order.
    fn all(line: &str) -> Vec<Self> {
        line.split("<<").skip(1).filter_map(Self::of).collect()
    }

    /// Parses the text after `<<`. Returns `None` for a here-string or a shift of a number.
    fn of(rest: &str) -> Option<Self> {
        let (has_tabs, rest) = rest.strip_prefix('-').map_or((false, rest), |rest| (true, rest));
        let rest = rest.trim_start().trim_start_matches(['\'', '"']);
        let word: String = rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
        let starts_well = word.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        starts_well.then_some(Self { word, has_tabs })
    }

    fn matches(&self, line: &str) -> bool {
        let line = if self.has_tabs { line.trim_start_matches('\t') } else { line };
        line == self.word
    }
}

/// Returns the commands of a `given` block with the test's values. Such a block may only set variables.
///
/// # Errors
/// For a variable without a value, and for anything else than an assignment.
pub fn with_given_values(
    steps: &[ConsoleStep],
    value: impl Fn(&str) -> Option<String>,
) -> Result<Vec<String>, PageFault> {
    let assignment = |step: &ConsoleStep, word: &str| {
        let name = word.split_once('=').map(|(name, _)| name);
        let name = name.ok_or_else(|| PageFault::new(step.line, format!("`{word}` sets no variable")))?;
        let value = value(name)
            .ok_or_else(|| PageFault::new(step.line, format!("the test has no value for {name}")))?;
        Ok(format!("{name}='{value}'"))
    };
    let command = |step: &ConsoleStep| {
        let line = step.command.split_once(" #").map_or(step.command.as_str(), |(line, _)| line);
        let words = line.split_whitespace().map(|word| match word {
            "export" => Ok(word.to_owned()),
            word => assignment(step, word),
        });
        words.collect::<Result<Vec<String>, PageFault>>().map(|words| words.join(" "))
    };
    steps.iter().map(command).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::docs::page::Page;
    use rstest::rstest;

    fn read(text: &str) -> Result<Console, PageFault> {
        Console::parse(&Page::parse("a.md", text).unwrap().blocks[0])
    }

    fn typed(console: &Console) -> Vec<(usize, &str, usize)> {
        console.steps.iter().map(|step| (step.line, &*step.command, step.expected.len())).collect()
    }

    #[test]
    fn commands_are_separated_from_output() {
        let console = read("```console exit=3\n$ a\none\ntwo\n\n# b \\\n    c\n$ d\n```").unwrap();
        assert_eq!(typed(&console), [(2, "a", 2), (6, "b \\\n    c", 0), (8, "d", 0)]);
        assert_eq!((console.exit, console.is_background), (3, false));
    }

    #[rstest]
    #[case("$ cat > f <<'END'\n$ x\n# y\nEND\nout")]
    #[case("$ cat > f <<END\n$ x\n END\nEND\nout")]
    #[case("$ a && \\\n  cat <<-END\n\tx\n\tEND\nout")]
    #[case("$ cat <<A <<B\n1\nB\nA\n2\nB\nout")]
    fn here_document_belongs_to_its_command(#[case] block: &str) {
        let console = read(&format!("```console\n{block}\n```")).unwrap();
        assert_eq!(console.steps.len(), 1, "{console:?}");
        assert_eq!(console.steps[0].expected[0].text, "out");
    }

    #[test]
    fn here_string_is_not_a_here_document() {
        let console = read("```console\n$ cat <<< x\nout\n$ echo $((1 << 2))\n4\n```").unwrap();
        assert_eq!(typed(&console), [(2, "cat <<< x", 1), (4, "echo $((1 << 2))", 1)]);
    }

    #[rstest]
    #[case("```console\nout\n$ a\n```", 2, "output before the first command")]
    #[case("```console quickly\n$ a\n```", 1, "unknown console flag `quickly`")]
    #[case("```console exit=x\n$ a\n```", 1, "unknown console flag `exit=x`")]
    #[case("```console\n```", 1, "a console block without a command")]
    #[case("```console not-run\n$ a\n```", 1, "the block is not run, and no comment above says why")]
    #[case("```console\n$ cat <<END\nx\n```", 2, "the command is incomplete")]
    #[case("```console background\n$ a\n$ b\n```", 1, "only one command can run in the background")]
    fn faults(#[case] text: &str, #[case] line: usize, #[case] what: &str) {
        assert_eq!(read(text), Err(PageFault::new(line, what)));
    }

    #[test]
    fn unrun_block_needs_a_reason() {
        assert!(
            read("<!-- no Docker here -->\n```console not-run\n$ docker build .\n```").unwrap().is_not_run
        );
    }

    #[test]
    fn given_values_come_from_the_test() {
        let console = read("```console given\n$ A=x   # yours\n$ export B=y C=z\n```").unwrap();
        let value = |name: &str| (name != "C").then(|| format!("{name} of the test"));
        assert_eq!(with_given_values(&console.steps[..1], value).unwrap(), ["A='A of the test'"]);
        assert_eq!(
            with_given_values(&console.steps, value).unwrap_err(),
            PageFault::new(3, "the test has no value for C")
        );
        let other = read("```console given\n$ rm -r /\n```").unwrap();
        assert_eq!(
            with_given_values(&other.steps, value).unwrap_err(),
            PageFault::new(2, "`rm` sets no variable")
        );
    }
}
