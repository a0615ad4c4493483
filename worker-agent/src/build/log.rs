//! A build's log, bounded: its first half and its end are kept. It can be read while it grows.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use trackyard_protocol::build::LogPage;

/// Maximum length of a line; the rest is cut.
const MAX_LINE_BYTES: usize = 4 << 10;

/// A log. Clones share it.
#[derive(Debug, Clone)]
pub struct LogBuffer(Arc<Mutex<Lines>>);

#[derive(Debug)]
struct Lines {
    limit: usize,
    head: Vec<String>,
    head_bytes: usize,
    tail: VecDeque<String>,
    tail_bytes: usize,
    dropped: u64,
}

impl LogBuffer {
    /// Returns an empty log that keeps `limit` bytes.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        let lines = Lines {
            limit,
            head: Vec::new(),
            head_bytes: 0,
            tail: VecDeque::new(),
            tail_bytes: 0,
            dropped: 0,
        };
        Self(Arc::new(Mutex::new(lines)))
    }

    /// Adds a line, without control characters.
    pub fn line(&self, line: &str) {
        let clean = line.chars().filter(|c| !c.is_control() || *c == '\t');
        let mut text: String = clean.take(MAX_LINE_BYTES).collect();
        text.truncate(text.floor_char_boundary(MAX_LINE_BYTES));
        self.lines().push(text);
    }

    /// Returns the lines from number `from` on.
    #[must_use]
    pub fn since(&self, from: u64) -> LogPage {
        let lines = self.lines();
        let head = u64::try_from(lines.head.len()).unwrap_or(u64::MAX);
        let numbered = (0..).zip(&lines.head).chain((head + lines.dropped..).zip(&lines.tail));
        let wanted = numbered.filter(|(number, _)| *number >= from);
        let wanted = wanted.map(|(_, line)| line.clone()).collect();
        let tail = u64::try_from(lines.tail.len()).unwrap_or(u64::MAX);
        LogPage { lines: wanted, next: head + lines.dropped + tail }
    }

    /// Returns all lines that were kept, as one text.
    #[must_use]
    pub fn text(&self) -> String {
        let lines = self.lines();
        let gap = (lines.dropped > 0).then(|| format!("[{} lines left out]", lines.dropped));
        let all = lines.head.iter().chain(&gap).chain(&lines.tail);
        all.fold(String::new(), |text, line| text + line + "\n")
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lines {
    fn push(&mut self, line: String) {
        let half = self.limit / 2;
        let bytes = line.len() + 1;
        if self.tail.is_empty() && self.dropped == 0 && self.head_bytes + bytes <= half {
            self.head_bytes += bytes;
            return self.head.push(line);
        }
        self.tail_bytes += bytes;
        self.tail.push_back(line);
        while self.tail_bytes > half {
            let Some(oldest) = self.tail.pop_front() else { break };
            self.tail_bytes -= oldest.len() + 1;
            self.dropped += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_half_and_end_are_kept() {
        let log = LogBuffer::new(20);
        (0..100).for_each(|number| log.line(&format!("line{number}")));
        assert_eq!(log.text(), "line0\n[98 lines left out]\nline99\n");
        assert_eq!(log.since(0), LogPage { lines: vec!["line0".to_owned(), "line99".to_owned()], next: 100 });
        assert_eq!(log.since(100), LogPage { lines: vec![], next: 100 });
    }

    #[test]
    fn reader_gets_each_line_once() {
        let log = LogBuffer::new(1000);
        let mut next = 0;
        let mut read = Vec::new();
        for number in 0..10 {
            log.line(&number.to_string());
            let page = log.since(next);
            next = page.next;
            read.extend(page.lines);
        }
        assert_eq!(read.concat(), "0123456789");
    }

    #[test]
    fn lines_are_cut_and_control_characters_removed() {
        let log = LogBuffer::new(1 << 20);
        log.line("a\u{1b}[2Jb\r\tc");
        log.line(&"é".repeat(MAX_LINE_BYTES));
        let page = log.since(0);
        assert_eq!(page.lines[0], "a[2Jb\tc");
        assert_eq!(page.lines[1].len(), MAX_LINE_BYTES);
    }
}
