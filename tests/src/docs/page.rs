//! A Markdown page and its fenced blocks.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

/// A page.
#[derive(Debug)]
pub struct Page {
    /// Its path below the repository's directory.
    pub name: String,
    /// Its lines.
    pub lines: Vec<String>,
    /// Its fenced blocks.
    pub blocks: Vec<Block>,
}

/// A fenced block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// The line of the fence, counted from 1.
    pub line: usize,
    /// The first word after the fence.
    pub language: String,
    /// The other words.
    pub words: Vec<String>,
    /// Its lines, without the fence's indentation.
    pub lines: Vec<Line>,
    /// The HTML comment in the line above.
    pub comment: Option<String>,
}

/// A line of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The line's number, counted from 1.
    pub number: usize,
    /// The line's text.
    pub text: String,
}

/// What is wrong with a page, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The line's number, counted from 1.
    pub line: usize,
    /// The fault in words.
    pub what: String,
}

impl Fault {
    /// A fault in a line.
    pub fn new(line: usize, what: impl Into<String>) -> Self {
        Self { line, what: what.into() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.what)
    }
}

/// The repository's directory.
#[must_use]
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().expect("the repository's directory")
}

impl Page {
    /// Reads a page by its path below the repository's directory.
    ///
    /// # Panics
    /// When there is no such page, or a block of it has no end.
    #[must_use]
    pub fn open(name: &str) -> Self {
        let text = fs::read_to_string(repository().join(name))
            .unwrap_or_else(|error| unreachable!("{name}: {error}"));
        Self::read(name, &text).unwrap_or_else(|fault| unreachable!("{name}, {fault}"))
    }

    /// Reads a page's text.
    ///
    /// # Errors
    /// When a block has no end.
    pub fn read(name: &str, text: &str) -> Result<Self, Fault> {
        let lines: Vec<String> = text.lines().map(ToOwned::to_owned).collect();
        let mut blocks = Vec::new();
        let mut open: Option<(Block, Fence)> = None;
        for (number, line) in (1..).zip(&lines) {
            if let Some((block, fence)) = &mut open {
                if fence.is_closed_by(line) {
                    blocks.extend(open.take().map(|(block, _)| block));
                } else {
                    let text = fence.unindented(line).to_owned();
                    block.lines.push(Line { number, text });
                }
            } else {
                open = Fence::of(line).map(|fence| (fence.block(number, above(&lines, number)), fence));
            }
        }
        match open {
            Some((block, _)) => Err(Fault::new(block.line, "the block has no end")),
            None => Ok(Self { name: name.to_owned(), lines, blocks }),
        }
    }
}

impl Block {
    /// All of it.
    #[must_use]
    pub fn text(&self) -> String {
        self.lines.iter().map(|line| format!("{}\n", line.text)).collect()
    }

    /// True if this word is after the language.
    #[must_use]
    pub fn has(&self, word: &str) -> bool {
        self.words.iter().any(|other| other == word)
    }
}

/// The line above, counted from 1, if it is an HTML comment.
fn above(lines: &[String], number: usize) -> Option<String> {
    let line = lines.get(number.checked_sub(2)?)?.trim();
    Some(line.strip_prefix("<!--")?.strip_suffix("-->")?.trim().to_owned())
}

/// What opened a block.
#[derive(Debug)]
struct Fence {
    indentation: usize,
    ticks: usize,
    info: String,
}

impl Fence {
    fn of(line: &str) -> Option<Self> {
        let rest = line.trim_start_matches(' ');
        let info = rest.trim_start_matches('`');
        let ticks = rest.len() - info.len();
        let is_fence = ticks >= 3 && !info.contains('`');
        is_fence.then(|| Self { indentation: line.len() - rest.len(), ticks, info: info.trim().to_owned() })
    }

    fn block(&self, line: usize, comment: Option<String>) -> Block {
        let mut words = self.info.split_whitespace().map(ToOwned::to_owned);
        let language = words.next().unwrap_or_default();
        Block { line, language, words: words.collect(), lines: Vec::new(), comment }
    }

    fn is_closed_by(&self, line: &str) -> bool {
        let rest = line.trim();
        rest.len() >= self.ticks && rest.bytes().all(|byte| byte == b'`')
    }

    /// A line without as many blanks as the fence has before it, if it has them.
    fn unindented<'a>(&self, line: &'a str) -> &'a str {
        let blanks = line.len() - line.trim_start_matches(' ').len();
        line.get(blanks.min(self.indentation)..).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_have_words_lines_and_the_comment_above() {
        let text = "# A\n\n```console background\n$ a\n```\n<!-- why -->\n```yaml\nb: 1\n```\n";
        let page = Page::read("a.md", text).unwrap();
        let told: Vec<(usize, &str, usize, Option<&str>)> =
            page.blocks.iter().map(|b| (b.line, &*b.language, b.words.len(), b.comment.as_deref())).collect();
        assert_eq!(told, [(3, "console", 1, None), (7, "yaml", 0, Some("why"))]);
        assert!(page.blocks[0].has("background"));
        assert_eq!(page.blocks[1].lines, [Line { number: 8, text: "b: 1".to_owned() }]);
    }

    #[test]
    fn an_indented_block_loses_its_indentation_and_no_more() {
        let page = Page::read("a.md", "1. x\n\n   ```console\n   $ a\n     b\n\n   ```\n").unwrap();
        assert_eq!(page.blocks[0].text(), "$ a\n  b\n\n");
    }

    #[test]
    fn a_longer_fence_holds_a_shorter_one() {
        let page = Page::read("a.md", "````text\n```console\n````\n").unwrap();
        assert_eq!((page.blocks.len(), page.blocks[0].text()), (1, "```console\n".to_owned()));
    }

    #[test]
    fn a_block_without_an_end_is_a_fault() {
        assert_eq!(Page::read("a.md", "x\n```yaml\na: 1\n").unwrap_err().line, 2);
    }
}
