//! Stored answers in the order in which they were stored, in pages. Memory is written and given back in that order: an
//! answer takes no memory of its own, whose place would have left the processor's caches by the time it is forgotten.

use std::collections::VecDeque;

use trackyard_protocol::name::WorkerName;
use trackyard_protocol::reason::Reason;
use trackyard_protocol::token::JobKey;
use trackyard_protocol::worker::Usage;

use super::Origin;
use crate::dispatch::{Ending, Output, Time};

/// The most answers of a page.
const ANSWERS: usize = 1 << 10;
/// Bytes that the workers' texts have in a page; what is larger gets a page of its own.
const TEXTS: usize = 512 << 10;
/// What an answer takes besides its texts, its entry in an index included.
pub(super) const OVERHEAD: usize = 512;

/// What an answer in the log is known by. Numbers count up and begin again after the last; there are never so many at a
/// time.
pub(super) type Number = u32;

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

/// An answer that is stored.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) key: JobKey,
    pub(super) at: Time,
    /// No client had it yet, because its job outlived the router that took the request: who gave it. Rare, and so in
    /// memory of its own.
    pub(super) unclaimed: Option<Box<Origin>>,
    reason: Reason,
    attempt: Option<u32>,
    usage: Option<Usage>,
    worker: Option<WorkerName>,
    /// Mostly none, and so in memory of its own.
    words: Option<Box<Words>>,
    texts: Option<Texts>,
}

/// What an ending says beside its reason.
#[derive(Debug)]
struct Words {
    message: String,
    error_detail: Option<String>,
}

/// Where in its page an answer's response begins, and the context after it.
#[derive(Debug, Clone, Copy)]
struct Texts {
    response: u32,
    context: u32,
    end: u32,
}

#[derive(Debug)]
struct Page {
    /// The number of the first answer of `stored`.
    first: Number,
    stored: VecDeque<Stored>,
    texts: Vec<u8>,
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

impl Page {
    fn new(bytes: usize) -> Self {
        let texts = Vec::with_capacity(bytes.max(TEXTS));
        Self { first: 0, stored: VecDeque::with_capacity(ANSWERS), texts }
    }

    fn has_room(&self, bytes: usize) -> bool {
        self.stored.len() < ANSWERS && self.texts.len() + bytes <= self.texts.capacity()
    }

    fn is_usual(&self) -> bool {
        self.texts.capacity() == TEXTS
    }

    fn emptied(mut self) -> Self {
        self.texts.clear();
        self
    }

    fn append(&mut self, output: &Output) -> Texts {
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

    fn output(&self, texts: Texts) -> Output {
        let part =
            |from: u32, to: u32| self.texts.get(from as usize..to as usize).unwrap_or_default().to_vec();
        Output { response: part(texts.response, texts.context), context: part(texts.context, texts.end) }
    }
}

impl Stored {
    fn new(key: JobKey, ending: &Ending, unclaimed: Option<Origin>, at: Time) -> Self {
        let Ending { reason, message, usage, output: _, worker, attempt, error_detail } = ending;
        let speaks = !message.is_empty() || error_detail.is_some();
        let words = || Words { message: message.clone(), error_detail: error_detail.clone() };
        Self {
            key,
            at,
            unclaimed: unclaimed.map(Box::new),
            reason: *reason,
            attempt: *attempt,
            usage: usage.clone(),
            worker: worker.clone(),
            words: speaks.then(|| words().into()),
            texts: None,
        }
    }

    fn ending(&self, output: Option<Output>) -> Ending {
        let words = self.words.as_ref();
        Ending {
            reason: self.reason,
            message: words.map(|words| words.message.clone()).unwrap_or_default(),
            usage: self.usage.clone(),
            output,
            worker: self.worker.clone(),
            attempt: self.attempt,
            error_detail: words.and_then(|words| words.error_detail.clone()),
        }
    }

    fn size(&self) -> usize {
        let texts = self.texts.map_or(0, |texts| (texts.end - texts.response) as usize);
        let words =
            self.words.as_ref().map_or(0, |words| spoken(&words.message, words.error_detail.as_ref()));
        OVERHEAD + texts + words
    }
}

/// Bytes that an answer takes.
pub(super) fn size(ending: &Ending) -> usize {
    let output = ending.output.as_ref().map_or(0, Output::bytes);
    OVERHEAD + output + spoken(&ending.message, ending.error_detail.as_ref())
}

fn spoken(message: &str, error_detail: Option<&String>) -> usize {
    message.len() + error_detail.map_or(0, String::len)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

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
