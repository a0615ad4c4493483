//! Faults that tests build in on purpose, to see that the simulation finds them. Without the crate's feature
//! `sabotage`, which only its own tests set, none can be chosen and no code for them is left.

/// A fault.
#[doc(hidden)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sabotage {
    /// Some results are not acknowledged.
    SkipAck,
    /// Tokens of other starts of the router are taken for its own.
    SkipEpochCheck,
    /// A job that lost two workers is sent to a third.
    ThirdAttempt,
    /// Some answers go to someone who waits for another job.
    WrongWaiter,
    /// Some slots are not given back.
    LeakedSlot,
    /// Some answers are never given.
    DroppedAnswer,
    /// Some answers are given twice.
    DoubleAnswer,
    /// A request's own deadline is forgotten.
    LateAnswer,
    /// Jobs are sent while workers still report what they hold.
    HastyStart,
    /// What a retry could mend is stored for repeated requests.
    ReplayedFailure,
    /// What workers hold of an earlier start of the router is not looked at.
    SkipAdoption,
}

/// Commits the chosen fault.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Saboteur {
    #[cfg(feature = "sabotage")]
    chosen: Option<Sabotage>,
}

impl Saboteur {
    #[cfg(feature = "sabotage")]
    pub(crate) fn new(chosen: Sabotage) -> Self {
        Self { chosen: Some(chosen) }
    }

    #[cfg(feature = "sabotage")]
    pub(crate) fn does(self, fault: Sabotage) -> bool {
        self.chosen == Some(fault)
    }

    #[cfg(not(feature = "sabotage"))]
    pub(crate) const fn does(self, _: Sabotage) -> bool {
        false
    }
}
