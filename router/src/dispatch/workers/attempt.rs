//! Attempts: which worker has which job in hand, known by the router's own token and by nothing else.

use trackyard_protocol::token::{Epoch, Token};

use crate::dispatch::Time;
use crate::dispatch::ids::{JobNo, Map, Numbers, WorkerId};
use crate::dispatch::log::Tail;
use crate::dispatch::planted_fault::{Sabotage, Saboteur};

/// One dispatch of a job to one worker.
#[derive(Debug, Clone)]
pub(crate) struct Attempt {
    /// The token as the worker knows it.
    pub(crate) token: Token,
    /// Absent once nobody waits: the attempt only fills its slot until the worker closes it.
    pub(crate) job: Option<JobNo>,
    pub(crate) worker: WorkerId,
    pub(crate) state: State,
    /// From 1.
    pub(crate) number: u32,
    pub(crate) sent: Time,
    /// True while its worker is lost: it may come back, but its job does not count on it.
    pub(crate) stranded: bool,
    /// True if the job counts this attempt as lost.
    pub(crate) blamed: bool,
    /// What it has printed, for a build.
    pub(crate) log: Tail,
}

impl Attempt {
    /// An attempt that a worker has in hand already.
    pub(crate) fn held(token: Token, job: Option<JobNo>, worker: WorkerId, state: State, now: Time) -> Self {
        Self {
            token,
            job,
            worker,
            state,
            number: 1,
            sent: now,
            stranded: false,
            blamed: false,
            log: Tail::default(),
        }
    }
}

/// How far an attempt is, as the worker has said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// Nothing was heard of it.
    Sent,
    /// The worker has it in hand.
    Accepted,
    /// It ended, its slot is free, its result is on the way.
    Finished,
}

/// All attempts that are not closed.
#[derive(Debug)]
pub(crate) struct Attempts {
    epoch: Epoch,
    sequence: Numbers,
    attempts: Map<Token, Attempt>,
    saboteur: Saboteur,
}

impl Attempts {
    pub(crate) fn new(epoch: Epoch, saboteur: Saboteur) -> Self {
        Self { epoch, sequence: Numbers::default(), attempts: Map::default(), saboteur }
    }

    pub(crate) fn next_token(&mut self) -> Token {
        Token { epoch: self.epoch, sequence: self.sequence.next() }
    }

    /// True for a token of another start of the router.
    pub(crate) fn is_foreign(&self, token: Token) -> bool {
        self.identity(token).epoch != self.epoch
    }

    /// True for a token of this start that no attempt has had yet.
    pub(crate) fn is_to_come(&self, token: Token) -> bool {
        token.epoch == self.epoch && token.sequence > self.sequence.last()
    }

    pub(crate) fn insert(&mut self, attempt: Attempt) {
        self.attempts.insert(self.identity(attempt.token), attempt);
    }

    pub(crate) fn get(&self, token: Token) -> Option<&Attempt> {
        self.attempts.get(&self.identity(token))
    }

    pub(crate) fn get_mut(&mut self, token: Token) -> Option<&mut Attempt> {
        self.attempts.get_mut(&self.identity(token))
    }

    pub(crate) fn remove(&mut self, token: Token) -> Option<Attempt> {
        self.attempts.remove(&self.identity(token))
    }

    pub(crate) fn len(&self) -> usize {
        self.attempts.len()
    }

    fn identity(&self, token: Token) -> Token {
        let epoch = if self.saboteur.does(Sabotage::SkipEpochCheck) { self.epoch } else { token.epoch };
        Token { epoch, ..token }
    }
}
