//! What builds print, kept as long as they are in hand, for those who follow.

use std::collections::VecDeque;

use trackyard_protocol::build::{BuildProgress, BuildState, LogPage};
use trackyard_protocol::token::{JobKey, Token};

use super::number::WorkerId;
use super::turn::Turn;
use super::{Counter, Dispatch};

/// Bytes of one build's lines that are kept.
const MAX_BYTES: usize = 64 << 10;
/// What a line takes besides its text.
const OVERHEAD: usize = 32;

/// The last lines of one build.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tail {
    lines: VecDeque<String>,
    bytes: usize,
    next: u64,
}

impl Tail {
    fn take(&mut self, page: LogPage) {
        for line in page.lines {
            self.bytes += line.len() + OVERHEAD;
            self.lines.push_back(line);
        }
        self.next = page.next;
        while self.bytes > MAX_BYTES
            && let Some(oldest) = self.lines.pop_front()
        {
            self.bytes -= oldest.len() + OVERHEAD;
        }
    }

    fn since(&self, from: u64) -> LogPage {
        let newer = usize::try_from(self.next.saturating_sub(from)).unwrap_or(usize::MAX);
        let skipped = self.lines.len().saturating_sub(newer);
        LogPage { lines: self.lines.iter().skip(skipped).cloned().collect(), next: self.next }
    }
}

impl Dispatch {
    pub(crate) fn take_log(&mut self, id: WorkerId, token: Token, page: LogPage, turn: &mut Turn<'_>) {
        match self.attempts.get_mut(token).filter(|attempt| attempt.worker == id) {
            Some(attempt) => attempt.log.take(page),
            None => turn.count(Counter::UnknownToken),
        }
    }

    /// How far a build is, and its lines from `from` on.
    #[must_use]
    pub fn build_progress(&self, key: JobKey, from: u64) -> BuildProgress {
        let job = self.jobs.by_key(key).and_then(|no| self.jobs.get(no));
        let Some(job) = job else {
            return BuildProgress { state: BuildState::None, log: LogPage { lines: Vec::new(), next: from } };
        };
        match job.attempts.last().and_then(|token| self.attempts.get(*token)) {
            Some(attempt) => BuildProgress { state: BuildState::Running, log: attempt.log.since(from) },
            None => {
                BuildProgress { state: BuildState::Waiting, log: LogPage { lines: Vec::new(), next: from } }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_follower_gets_each_line_once_and_memory_is_bounded() {
        let mut tail = Tail::default();
        let page = |from: u64, count: u64| LogPage {
            lines: (from..from + count).map(|line| format!("{line:0100}")).collect(),
            next: from + count,
        };
        tail.take(page(0, 10));
        assert_eq!(tail.since(0).lines.len(), 10);
        assert_eq!(tail.since(8).lines, page(8, 2).lines);
        assert_eq!(tail.since(99), LogPage { lines: vec![], next: 10 });
        tail.take(page(10, 10_000));
        assert!(tail.bytes <= MAX_BYTES && tail.since(0).next == 10_010);
        assert_eq!(tail.since(10_009).lines, page(10_009, 1).lines);
    }
}
