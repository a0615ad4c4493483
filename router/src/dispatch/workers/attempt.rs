//! Attempts: which worker runs which job. The router's own token identifies them, and nothing else.

use trackyard_protocol::token::{Epoch, Token};

use crate::dispatch::Time;
use crate::dispatch::ids::{IdMap, JobIndex, Sequence, WorkerId};
use crate::dispatch::log::LogTail;
use crate::dispatch::planted_fault::{FaultInjector, PlantedFault};

/// One dispatch of a job to one worker.
#[derive(Debug, Clone)]
pub(crate) struct Attempt {
    /// The token as the worker knows it.
    pub(crate) token: Token,
    /// `None` once nobody waits for it: the attempt only fills its slot until the worker closes it.
    pub(crate) job: Option<JobIndex>,
    pub(crate) worker: WorkerId,
    pub(crate) state: AttemptState,
    /// The number of this attempt of the job, from 1.
    pub(crate) number: u32,
    pub(crate) sent: Time,
    /// True while its worker is lost. The worker may come back with it, but its job does not rely on that.
    pub(crate) detached: bool,
    /// True if the job counts this attempt as lost.
    pub(crate) counted_lost: bool,
    /// The output of a build.
    pub(crate) log: LogTail,
}

impl Attempt {
    /// Creates the first attempt of a job.
    pub(crate) fn new(
        token: Token,
        job: Option<JobIndex>,
        worker: WorkerId,
        state: AttemptState,
        now: Time,
    ) -> Self {
        Self {
            token,
            job,
            worker,
            state,
            number: 1,
            sent: now,
            detached: false,
            counted_lost: false,
            log: LogTail::default(),
        }
    }
}

/// How far an attempt is, as reported by its worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AttemptState {
    /// The worker has not confirmed it.
    Sent,
    /// The worker runs it.
    Accepted,
    /// It ended and its slot is free. Its result is on the way.
    Finished,
}

/// All open attempts.
#[derive(Debug)]
pub(crate) struct Attempts {
    epoch: Epoch,
    sequence: Sequence,
    attempts: IdMap<Token, Attempt>,
    faults: FaultInjector,
}

impl Attempts {
    pub(crate) fn new(epoch: Epoch, faults: FaultInjector) -> Self {
        Self { epoch, sequence: Sequence::default(), attempts: IdMap::default(), faults }
    }

    pub(crate) fn next_token(&mut self) -> Token {
        Token { epoch: self.epoch, sequence: self.sequence.next() }
    }

    /// Returns true if the token is from another start of the router.
    pub(crate) fn is_foreign(&self, token: Token) -> bool {
        self.map_key(token).epoch != self.epoch
    }

    /// Returns true if the token is of this start, and no attempt has had it yet.
    pub(crate) fn is_future(&self, token: Token) -> bool {
        token.epoch == self.epoch && token.sequence > self.sequence.last()
    }

    pub(crate) fn insert(&mut self, attempt: Attempt) {
        self.attempts.insert(self.map_key(attempt.token), attempt);
    }

    pub(crate) fn get(&self, token: Token) -> Option<&Attempt> {
        self.attempts.get(&self.map_key(token))
    }

    pub(crate) fn get_mut(&mut self, token: Token) -> Option<&mut Attempt> {
        self.attempts.get_mut(&self.map_key(token))
    }

    pub(crate) fn remove(&mut self, token: Token) -> Option<Attempt> {
        self.attempts.remove(&self.map_key(token))
    }

    pub(crate) fn len(&self) -> usize {
        self.attempts.len()
    }

    fn map_key(&self, token: Token) -> Token {
        let skips_check = self.faults.is_active(PlantedFault::SkipEpochCheck);
        let epoch = if skips_check { self.epoch } else { token.epoch };
        Token { epoch, ..token }
    }
}
