//! Stored answers in pages, in the order in which they were stored. Memory is written and freed in that order. An answer
//! has no allocation of its own, which would have left the processor's caches by the time it is freed.

use std::collections::VecDeque;

use trackyard_protocol::token::JobKey;

use super::page::AnswerPage;
use super::stored::{AnswerNumber, Origin, StoredAnswer, size};
use crate::dispatch::{Ending, Output, Time};

/// The stored answers.
#[derive(Debug, Default)]
pub(super) struct AnswerLog {
    /// The first page has the oldest answer. No page is empty.
    pages: VecDeque<AnswerPage>,
    /// The last page that was emptied, kept for reuse.
    spare: Option<AnswerPage>,
    next: AnswerNumber,
    bytes: usize,
}

impl AnswerLog {
    /// Stores an answer and returns its number.
    pub(super) fn push(
        &mut self,
        key: JobKey,
        ending: &Ending,
        unclaimed: Option<Origin>,
        at: Time,
    ) -> AnswerNumber {
        let number = self.next;
        self.next = self.next.wrapping_add(1);
        self.bytes += size(ending);
        let mut stored = StoredAnswer::new(key, ending, unclaimed, at);
        let page = self.page_for(ending.output.as_ref().map_or(0, Output::bytes), number);
        stored.output = ending.output.as_ref().map(|output| page.append(output));
        page.stored.push_back(stored);
        number
    }

    /// Returns a page with room for `bytes` of output.
    fn page_for(&mut self, bytes: usize, number: AnswerNumber) -> &mut AnswerPage {
        let reused = self.pages.pop_back_if(|page| page.has_room(bytes));
        let reused = reused.or_else(|| self.spare.take_if(|page| page.has_room(bytes)));
        let mut page = reused.unwrap_or_else(|| AnswerPage::new(bytes));
        if page.stored.is_empty() {
            page.first = number;
        }
        self.pages.push_back_mut(page)
    }

    /// Returns the oldest answer.
    pub(super) fn first(&self) -> Option<(AnswerNumber, &StoredAnswer)> {
        let page = self.pages.front()?;
        Some((page.first, page.stored.front()?))
    }

    /// Removes the oldest answer.
    pub(super) fn pop(&mut self) {
        let Some(page) = self.pages.front_mut() else { return };
        page.first = page.first.wrapping_add(1);
        if let Some(stored) = page.stored.pop_front() {
            self.bytes -= stored.size();
        }
        if page.stored.is_empty() {
            self.spare =
                self.pages.pop_front().filter(AnswerPage::has_default_capacity).map(AnswerPage::cleared);
        }
    }

    /// Returns the answer with this number.
    pub(super) fn get_mut(&mut self, number: AnswerNumber) -> Option<&mut StoredAnswer> {
        let (page, index) = self.find(number)?;
        self.pages.get_mut(page)?.stored.get_mut(index)
    }

    /// Returns the key of the answer with this number.
    pub(super) fn key(&self, number: AnswerNumber) -> Option<JobKey> {
        let (page, index) = self.find(number)?;
        Some(self.pages.get(page)?.stored.get(index)?.key)
    }

    /// Returns the ending of the answer with this number, with its output.
    pub(super) fn ending(&self, number: AnswerNumber) -> Option<Ending> {
        let (page, index) = self.find(number)?;
        let page = self.pages.get(page)?;
        let stored = page.stored.get(index)?;
        Some(stored.ending(stored.output.map(|output| page.output(output))))
    }

    /// Returns the bytes of all answers.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Returns the page of a number and its index there, if the answer is still stored.
    fn find(&self, number: AnswerNumber) -> Option<(usize, usize)> {
        let oldest = self.pages.front()?.first;
        let age = |number: AnswerNumber| number.wrapping_sub(oldest);
        let page = self.pages.partition_point(|page| age(page.first) <= age(number)).checked_sub(1)?;
        let first = self.pages.get(page)?.first;
        Some((page, usize::try_from(number.wrapping_sub(first)).ok()?))
    }
}

#[cfg(test)]
mod tests {
    use super::super::page::{MAX_PAGE_ANSWERS, PAGE_BYTES};
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;
    use trackyard_protocol::reason::Reason;

    fn ending(response: usize, context: usize) -> Ending {
        let output = Output { response: vec![b'r'; response], context: vec![b'c'; context] };
        Ending { output: Some(output), ..Ending::new(Reason::Ok, "m") }
    }

    fn sizes() -> impl Strategy<Value = Vec<(usize, usize)>> {
        let response = prop_oneof![0..2000usize, Just(PAGE_BYTES), Just(3 * PAGE_BYTES)];
        prop::collection::vec((response, 0..500usize), 1..40)
    }

    proptest! {
        #[test]
        fn answers_come_back_whole_until_removed(sizes in sizes(), max_held in 1..20usize) {
            let first = AnswerNumber::MAX - 5;
            let mut log = AnswerLog { next: first, ..AnswerLog::default() };
            let mut held = VecDeque::new();
            for (count, (response, context)) in (0..).zip(sizes) {
                let number = first.wrapping_add(count);
                let ending = ending(response, context);
                prop_assert_eq!(log.push(JobKey(number.into()), &ending, None, Duration::ZERO), number);
                held.push_back((number, ending));
                if held.len() > max_held {
                    log.pop();
                    let gone = held.pop_front().map(|(number, _)| number);
                    prop_assert!(gone.is_some_and(|number| log.ending(number).is_none()));
                }
                for (number, ending) in &held {
                    prop_assert_eq!(log.ending(*number), Some(ending.clone()));
                }
                prop_assert_eq!(log.first().map(|(number, _)| number), held.front().map(|(number, _)| *number));
                prop_assert_eq!(log.bytes(), held.iter().map(|(_, ending)| size(ending)).sum::<usize>());
            }
        }
    }

    #[test]
    fn emptied_page_is_reused() {
        let mut log = AnswerLog::default();
        let push = |log: &mut AnswerLog| _ = log.push(JobKey(0), &ending(1, 1), None, Duration::ZERO);
        (0..=MAX_PAGE_ANSWERS).for_each(|_| push(&mut log));
        assert_eq!(log.pages.len(), 2);
        (0..MAX_PAGE_ANSWERS).for_each(|_| log.pop());
        assert!((log.pages.len(), log.spare.is_some()) == (1, true));
        (0..MAX_PAGE_ANSWERS).for_each(|_| push(&mut log));
        assert!((log.pages.len(), log.spare.is_some()) == (2, false));
    }
}
