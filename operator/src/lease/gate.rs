//! What every write goes through.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Instant;

use super::DEADLINE;

/// This process does not hold the lease, or has not heard for so long that it does that another may have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("another operator may have the lease: nothing is written")]
pub struct NotLeader;

/// Open while nobody else can hold the lease. Clones are the same gate.
#[derive(Debug, Clone)]
pub struct Gate(Arc<Mutex<State>>);

#[derive(Debug, Clone, Copy)]
enum State {
    /// There is no lease.
    Always,
    Until(Instant),
    Shut,
}

impl Gate {
    /// Open for ever: there is no other operator.
    #[must_use]
    pub fn always() -> Self {
        Self(Arc::new(Mutex::new(State::Always)))
    }

    /// Shut, until a lease is held.
    #[must_use]
    pub fn shut() -> Self {
        Self(Arc::new(Mutex::new(State::Shut)))
    }

    /// A renewal that was asked for at `asked` came through.
    pub(super) fn renewed(&self, asked: Instant) {
        self.set(State::Until(asked + DEADLINE));
    }

    pub(super) fn close(&self) {
        self.set(State::Shut);
    }

    fn set(&self, state: State) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }

    fn state(&self) -> State {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_open(&self) -> bool {
        match self.state() {
            State::Always => true,
            State::Until(end) => Instant::now() < end,
            State::Shut => false,
        }
    }

    /// Does a write while the gate is open: it is dropped when the gate shuts, before it sends anything more, such as
    /// another try.
    ///
    /// # Errors
    /// Those of the write; or that the gate is shut.
    pub async fn write<T, E: From<NotLeader>>(
        &self,
        write: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let mut write = pin!(write);
        poll_fn(|context| {
            // By the clock, not by a timer: a process that was stopped hears of its timers late.
            if self.is_open() { write.as_mut().poll(context) } else { Poll::Ready(Err(NotLeader.into())) }
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    async fn written(gate: &Gate) -> bool {
        gate.write(async { Ok::<(), NotLeader>(()) }).await.is_ok()
    }

    #[tokio::test]
    async fn it_opens_with_a_renewal_and_shuts_by_itself() {
        let gate = Gate::shut();
        assert!(!written(&gate).await);
        gate.renewed(Instant::now());
        assert!(written(&gate).await);
        gate.renewed(Instant::now() - DEADLINE);
        assert!(!written(&gate).await, "the answer came too late");
        gate.close();
        assert!(!written(&gate).await);
        assert!(written(&Gate::always()).await);
    }

    #[tokio::test]
    async fn a_write_that_waits_sends_nothing_more_once_the_gate_is_shut() {
        let gate = Gate::shut();
        gate.renewed(Instant::now());
        let again = async {
            tokio::time::sleep(Duration::from_millis(1)).await;
            gate.close();
            tokio::time::sleep(Duration::from_millis(1)).await;
            Ok::<(), NotLeader>(())
        };
        assert_eq!(gate.write(again).await, Err(NotLeader));
    }
}
