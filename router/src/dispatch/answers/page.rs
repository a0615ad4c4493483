//! A page of the log: answers, and their output in one buffer.

use std::collections::VecDeque;

use super::stored::{AnswerNumber, OutputSpan, StoredAnswer};
use crate::dispatch::Output;

/// Maximum number of answers in a page.
pub(super) const MAX_PAGE_ANSWERS: usize = 1 << 10;
/// Bytes of output in a page. Larger output gets a page of its own.
pub(super) const PAGE_BYTES: usize = 512 << 10;

/// A page of the log.
#[derive(Debug)]
pub(super) struct AnswerPage {
    /// The number of the first answer of `stored`.
    pub(super) first: AnswerNumber,
    pub(super) stored: VecDeque<StoredAnswer>,
    output: Vec<u8>,
}

impl AnswerPage {
    pub(super) fn new(bytes: usize) -> Self {
        let answers = if bytes > PAGE_BYTES { 1 } else { MAX_PAGE_ANSWERS };
        Self {
            first: 0,
            stored: VecDeque::with_capacity(answers),
            output: Vec::with_capacity(bytes.max(PAGE_BYTES)),
        }
    }

    pub(super) fn has_room(&self, bytes: usize) -> bool {
        self.stored.len() < MAX_PAGE_ANSWERS && self.output.len() + bytes <= self.output.capacity()
    }

    pub(super) fn has_default_capacity(&self) -> bool {
        self.output.capacity() == PAGE_BYTES
    }

    pub(super) fn cleared(mut self) -> Self {
        self.output.clear();
        self
    }

    pub(super) fn append(&mut self, output: &Output) -> OutputSpan {
        let response = self.end();
        self.output.extend_from_slice(&output.response);
        let context = self.end();
        self.output.extend_from_slice(&output.context);
        OutputSpan { response, context, end: self.end() }
    }

    /// Returns the position of the next output. A `u32` suffices: an answer is never larger than a message, and a page is
    /// never larger than one maximal answer.
    fn end(&self) -> u32 {
        u32::try_from(self.output.len()).unwrap_or(u32::MAX)
    }

    pub(super) fn output(&self, span: OutputSpan) -> Output {
        let part =
            |from: u32, to: u32| self.output.get(from as usize..to as usize).unwrap_or_default().to_vec();
        Output { response: part(span.response, span.context), context: part(span.context, span.end) }
    }
}
