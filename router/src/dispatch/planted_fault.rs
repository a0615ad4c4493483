//! Faults that tests plant on purpose, to show that the simulation finds them. Only this crate's own tests set the
//! feature `planted-faults`; without it no fault can be chosen, and no code for them remains.

/// A fault to plant.
#[doc(hidden)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlantedFault {
    /// Some results are not acknowledged.
    SkipAck,
    /// Tokens of other starts of the router are treated as its own.
    SkipEpochCheck,
    /// A job that lost two workers is sent to a third.
    ThirdAttempt,
    /// Some answers go to a request for another job.
    WrongWaiter,
    /// Some slots are never freed.
    LeakedSlot,
    /// Some answers are never given.
    DroppedAnswer,
    /// Some answers are given twice.
    DoubleAnswer,
    /// A request's own deadline is ignored.
    LateAnswer,
    /// Jobs are dispatched while workers still report what they hold.
    HastyStart,
    /// Failures that a retry could fix are stored for repeated requests.
    ReplayedFailure,
    /// Jobs of an earlier start of the router that workers hold are ignored.
    SkipAdoption,
}

/// Knows which fault is active, if any.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct FaultInjector {
    #[cfg(feature = "planted-faults")]
    chosen: Option<PlantedFault>,
}

impl FaultInjector {
    #[cfg(feature = "planted-faults")]
    pub(crate) fn new(chosen: PlantedFault) -> Self {
        Self { chosen: Some(chosen) }
    }

    #[cfg(feature = "planted-faults")]
    pub(crate) fn is_active(self, fault: PlantedFault) -> bool {
        self.chosen == Some(fault)
    }

    #[cfg(not(feature = "planted-faults"))]
    pub(crate) const fn is_active(self, _: PlantedFault) -> bool {
        false
    }
}
