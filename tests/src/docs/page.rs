//! Parses a Markdown page and its fenced blocks.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

/// A Markdown page.
#[derive(Debug)]
pub struct Page {
    /// The path below the repository's directory.
    pub name: String,
    /// The lines.
    pub lines: Vec<String>,
    /// The fenced blocks.
    pub blocks: Vec<Block>,
}

/// A fenced block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// The line of the fence, counted from 1.
    pub line: usize,
    /// The first word after the fence.
    pub language: String,
    /// The other words after the fence.
    pub flags: Vec<String>,
    /// The lines, without the fence's indentation.
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

/// A fault of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageFault {
    /// The line's number, counted from 1.
    pub line: usize,
    /// What is wrong.
    pub what: String,
}

impl PageFault {
    /// Creates a fault in a line.
    pub fn new(line: usize, what: impl Into<String>) -> Self {
        Self { line, what: what.into() }
    }
}

impl fmt::Display for PageFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.what)
    }
}

/// Returns the repository's directory.
#[must_use]
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().expect("the repository's directory")
}

impl Page {
    /// Reads a page by its path below the repository's directory.
    ///
    /// # Panics
    /// When there is no such page, or one of its blocks is not closed.
    #[must_use]
    pub fn open(name: &str) -> Self {
        let text =
            fs::read_to_string(repository().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        Self::parse(name, &text).unwrap_or_else(|fault| panic!("{name}, {fault}"))
    }

    /// Parses a page's text.
    ///
    /// # Errors
    /// When a block is not closed.
    pub fn parse(name: &str, text: &str) -> Result<Self, PageFault> {
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
                open =
                    Fence::of(line).map(|fence| (fence.block(number, comment_above(&lines, number)), fence));
            }
        }
        match open {
            Some((block, _)) => Err(PageFault::new(block.line, "the block is not closed")),
            None => Ok(Self { name: name.to_owned(), lines, blocks }),
        }
    }
}

impl Block {
    /// Returns the block's text.
    #[must_use]
    pub fn text(&self) -> String {
        self.lines.iter().map(|line| format!("{}\n", line.text)).collect()
    }

    /// Returns true if the block has this flag.
    #[must_use]
    pub fn has(&self, flag: &str) -> bool {
        self.flags.iter().any(|other| other == flag)
    }
}

/// Returns the HTML comment in the line above line `number`.
fn comment_above(lines: &[String], number: usize) -> Option<String> {
    let line = lines.get(number.checked_sub(2)?)?.trim();
    Some(line.strip_prefix("<!--")?.strip_suffix("-->")?.trim().to_owned())
}

/// The fence that opened a block.
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
        let mut flags = self.info.split_whitespace().map(ToOwned::to_owned);
        let language = flags.next().unwrap_or_default();
        Block { line, language, flags: flags.collect(), lines: Vec::new(), comment }
    }

    fn is_closed_by(&self, line: &str) -> bool {
        let rest = line.trim();
        rest.len() >= self.ticks && rest.bytes().all(|byte| byte == b'`')
    }

    /// Removes the fence's indentation from a line, as far as the line has it.
    fn unindented<'a>(&self, line: &'a str) -> &'a str {
        let blanks = line.len() - line.trim_start_matches(' ').len();
        line.get(blanks.min(self.indentation)..).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn block_has_flags_lines_and_comment() {
        let text = "# A\n\n```console background\n$ a\n```\n<!-- why -->\n```yaml\nb: 1\n```\n";
        let page = Page::parse("a.md", text).unwrap();
        let blocks: Vec<(usize, &str, usize, Option<&str>)> =
            page.blocks.iter().map(|b| (b.line, &*b.language, b.flags.len(), b.comment.as_deref())).collect();
        assert_eq!(blocks, [(3, "console", 1, None), (7, "yaml", 0, Some("why"))]);
        assert!(page.blocks[0].has("background"));
        assert_eq!(page.blocks[1].lines, [Line { number: 8, text: "b: 1".to_owned() }]);
    }

    #[test]
    fn block_is_unindented_like_its_fence() {
        let page = Page::parse("a.md", "1. x\n\n   ```console\n   $ a\n     b\n\n   ```\n").unwrap();
        assert_eq!(page.blocks[0].text(), "$ a\n  b\n\n");
    }

    #[test]
    fn longer_fence_contains_shorter_one() {
        let page = Page::parse("a.md", "````text\n```console\n````\n").unwrap();
        assert_eq!((page.blocks.len(), page.blocks[0].text()), (1, "```console\n".to_owned()));
    }

    #[test]
    fn unclosed_block_is_a_fault() {
        assert_eq!(Page::parse("a.md", "x\n```yaml\na: 1\n").unwrap_err().line, 2);
    }
}
