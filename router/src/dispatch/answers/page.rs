//! A part of the log: answers, and their texts one after the other.

use std::collections::VecDeque;

use super::stored::{Number, Stored, Texts};
use crate::dispatch::Output;

/// The most answers of a page.
pub(super) const ANSWERS: usize = 1 << 10;
/// Bytes that the workers' texts have in a page; what is larger gets a page of its own.
pub(super) const TEXTS: usize = 512 << 10;
/// A page of the log.
#[derive(Debug)]
pub(super) struct Page {
    /// The number of the first answer of `stored`.
    pub(super) first: Number,
    pub(super) stored: VecDeque<Stored>,
    texts: Vec<u8>,
}

impl Page {
    pub(super) fn new(bytes: usize) -> Self {
        let answers = if bytes > TEXTS { 1 } else { ANSWERS };
        Self {
            first: 0,
            stored: VecDeque::with_capacity(answers),
            texts: Vec::with_capacity(bytes.max(TEXTS)),
        }
    }

    pub(super) fn has_room(&self, bytes: usize) -> bool {
        self.stored.len() < ANSWERS && self.texts.len() + bytes <= self.texts.capacity()
    }

    pub(super) fn is_usual(&self) -> bool {
        self.texts.capacity() == TEXTS
    }

    pub(super) fn emptied(mut self) -> Self {
        self.texts.clear();
        self
    }

    pub(super) fn append(&mut self, output: &Output) -> Texts {
        let response = self.end();
        self.texts.extend_from_slice(&output.response);
        let context = self.end();
        self.texts.extend_from_slice(&output.context);
        Texts { response, context, end: self.end() }
    }

    /// Where the next text is put. Larger than a message no answer is, and a page not larger than one that is.
    fn end(&self) -> u32 {
        u32::try_from(self.texts.len()).unwrap_or(u32::MAX)
    }

    pub(super) fn output(&self, texts: Texts) -> Output {
        let part =
            |from: u32, to: u32| self.texts.get(from as usize..to as usize).unwrap_or_default().to_vec();
        Output { response: part(texts.response, texts.context), context: part(texts.context, texts.end) }
    }
}
