//! Stored answers in the order in which they were stored, in pages. Memory is written and given back in that order: an
//! answer takes no memory of its own, whose place would have left the processor's caches by the time it is forgotten.

use std::collections::VecDeque;

use trackyard_protocol::token::JobKey;

use super::page::Page;
use super::stored::{Number, Origin, Stored, size};
use crate::dispatch::{Ending, Output, Time};

/// The answers that are stored.
#[derive(Debug, Default)]
pub(super) struct Log {
    /// The first has the oldest; none is empty.
    pages: VecDeque<Page>,
    /// The last page that was emptied.
    spare: Option<Page>,
    next: Number,
    bytes: usize,
}

impl Log {
    /// Stores an answer; gives its number.
    pub(super) fn push(
        &mut self,
        key: JobKey,
        ending: &Ending,
        unclaimed: Option<Origin>,
        at: Time,
    ) -> Number {
        let number = self.next;
        self.next = self.next.wrapping_add(1);
        self.bytes += size(ending);
        let mut stored = Stored::new(key, ending, unclaimed, at);
        let page = self.page_for(ending.output.as_ref().map_or(0, Output::bytes), number);
        stored.texts = ending.output.as_ref().map(|output| page.append(output));
        page.stored.push_back(stored);
        number
    }

    /// The page for so many bytes of texts.
    fn page_for(&mut self, bytes: usize, number: Number) -> &mut Page {
        let last = self.pages.pop_back_if(|page| page.has_room(bytes));
        let page = last.or_else(|| self.spare.take_if(|page| page.has_room(bytes)));
        let mut page = page.unwrap_or_else(|| Page::new(bytes));
        if page.stored.is_empty() {
            page.first = number;
        }
        self.pages.push_back_mut(page)
    }

    /// The oldest.
    pub(super) fn first(&self) -> Option<(Number, &Stored)> {
        let page = self.pages.front()?;
        Some((page.first, page.stored.front()?))
    }

    /// Forgets the oldest.
    pub(super) fn pop(&mut self) {
        let Some(page) = self.pages.front_mut() else { return };
        page.first = page.first.wrapping_add(1);
        if let Some(stored) = page.stored.pop_front() {
            self.bytes -= stored.size();
        }
        if page.stored.is_empty() {
            self.spare = self.pages.pop_front().filter(Page::is_usual).map(Page::emptied);
        }
    }

    /// The answer with this number.
    pub(super) fn get_mut(&mut self, number: Number) -> Option<&mut Stored> {
        let (page, index) = self.find(number)?;
        self.pages.get_mut(page)?.stored.get_mut(index)
    }

    /// The key of the answer with this number.
    pub(super) fn key(&self, number: Number) -> Option<JobKey> {
        let (page, index) = self.find(number)?;
        Some(self.pages.get(page)?.stored.get(index)?.key)
    }

    /// How the job of the answer with this number ended, whole.
    pub(super) fn ending(&self, number: Number) -> Option<Ending> {
        let (page, index) = self.find(number)?;
        let page = self.pages.get(page)?;
        let stored = page.stored.get(index)?;
        Some(stored.ending(stored.texts.map(|texts| page.output(texts))))
    }

    /// Bytes of all that is stored.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The page of a number, and where it is there if it still is.
    fn find(&self, number: Number) -> Option<(usize, usize)> {
        let oldest = self.pages.front()?.first;
        let age = |number: Number| number.wrapping_sub(oldest);
        let page = self.pages.partition_point(|page| age(page.first) <= age(number)).checked_sub(1)?;
        let first = self.pages.get(page)?.first;
        Some((page, usize::try_from(number.wrapping_sub(first)).ok()?))
    }
}

#[cfg(test)]
mod tests {
    use super::super::page::{ANSWERS, TEXTS};
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;
    use trackyard_protocol::reason::Reason;

    fn ending(response: usize, context: usize) -> Ending {
        let output = Output { response: vec![b'r'; response], context: vec![b'c'; context] };
        Ending { output: Some(output), ..Ending::new(Reason::Ok, "m") }
    }

    fn sizes() -> impl Strategy<Value = Vec<(usize, usize)>> {
        let response = prop_oneof![0..2000usize, Just(TEXTS), Just(3 * TEXTS)];
        prop::collection::vec((response, 0..500usize), 1..40)
    }

    proptest! {
        #[test]
        fn what_is_stored_comes_back_whole_until_its_turn_to_go(sizes in sizes(), most in 1..20usize) {
            let first = Number::MAX - 5;
            let (mut log, mut held) = (Log { next: first, ..Log::default() }, VecDeque::new());
            for (count, (response, context)) in (0..).zip(sizes) {
                let number = first.wrapping_add(count);
                let ending = ending(response, context);
                prop_assert_eq!(log.push(JobKey(number.into()), &ending, None, Duration::ZERO), number);
                held.push_back((number, ending));
                if held.len() > most {
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
    fn a_page_is_full_at_so_many_answers_and_the_memory_of_an_empty_one_is_used_again() {
        let mut log = Log::default();
        let push = |log: &mut Log| _ = log.push(JobKey(0), &ending(1, 1), None, Duration::ZERO);
        (0..=ANSWERS).for_each(|_| push(&mut log));
        assert_eq!(log.pages.len(), 2);
        (0..ANSWERS).for_each(|_| log.pop());
        assert!((log.pages.len(), log.spare.is_some()) == (1, true));
        (0..ANSWERS).for_each(|_| push(&mut log));
        assert!((log.pages.len(), log.spare.is_some()) == (2, false));
    }
}
