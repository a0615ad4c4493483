//! The output of builds in flight, for clients that follow them.

use std::collections::VecDeque;

use trackyard_protocol::build::LogPage;

/// Maximum bytes that are kept of one build's output.
const MAX_LOG_BYTES: usize = 64 << 10;
/// Bytes that a line takes besides its text.
const LINE_OVERHEAD: usize = 32;

/// The last lines of one build.
#[derive(Debug, Clone, Default)]
pub(crate) struct LogTail {
    lines: VecDeque<String>,
    bytes: usize,
    next: u64,
}

impl LogTail {
    /// Appends lines and forgets the oldest beyond the bound.
    pub(crate) fn push(&mut self, page: LogPage) {
        for line in page.lines {
            self.bytes += line.len() + LINE_OVERHEAD;
            self.lines.push_back(line);
        }
        self.next = page.next;
        while self.bytes > MAX_LOG_BYTES
            && let Some(oldest) = self.lines.pop_front()
        {
            self.bytes -= oldest.len() + LINE_OVERHEAD;
        }
    }

    /// Returns the lines from number `from` on, as far as they are kept.
    pub(crate) fn since(&self, from: u64) -> LogPage {
        let newer = usize::try_from(self.next.saturating_sub(from)).unwrap_or(usize::MAX);
        let skipped = self.lines.len().saturating_sub(newer);
        LogPage { lines: self.lines.iter().skip(skipped).cloned().collect(), next: self.next }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follower_gets_each_line_once_in_bounded_memory() {
        let mut tail = LogTail::default();
        let page = |from: u64, count: u64| LogPage {
            lines: (from..from + count).map(|line| format!("{line:0100}")).collect(),
            next: from + count,
        };
        tail.push(page(0, 10));
        assert_eq!(tail.since(0).lines.len(), 10);
        assert_eq!(tail.since(8).lines, page(8, 2).lines);
        assert_eq!(tail.since(99), LogPage { lines: vec![], next: 10 });
        tail.push(page(10, 10_000));
        assert!(tail.bytes <= MAX_LOG_BYTES && tail.since(0).next == 10_010);
        assert_eq!(tail.since(10_009).lines, page(10_009, 1).lines);
    }
}
