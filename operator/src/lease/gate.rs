//! The gate through which every write passes.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Instant;

use super::RENEW_DEADLINE;

/// This process does not hold the lease, or its last confirmed renewal is so old that another process may hold it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("cannot write: another operator may hold the lease")]
pub struct NotLeader;

/// Open while no other process can hold the lease. Clones share their state.
#[derive(Debug, Clone)]
pub struct WriteGate(Arc<Mutex<State>>);

#[derive(Debug, Clone, Copy)]
enum State {
    /// Leader election is disabled.
    AlwaysOpen,
    OpenUntil(Instant),
    Closed,
}

impl WriteGate {
    /// Returns a gate that is always open, for an operator without leader election.
    #[must_use]
    pub fn always_open() -> Self {
        Self(Arc::new(Mutex::new(State::AlwaysOpen)))
    }

    /// Returns a gate that is closed until the lease is held.
    #[must_use]
    pub fn closed() -> Self {
        Self(Arc::new(Mutex::new(State::Closed)))
    }

    /// Opens the gate after a successful renewal that was requested at `requested`.
    pub(super) fn on_renewed(&self, requested: Instant) {
        self.set(State::OpenUntil(requested + RENEW_DEADLINE));
    }

    pub(super) fn close(&self) {
        self.set(State::Closed);
    }

    fn set(&self, state: State) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }

    fn state(&self) -> State {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_open(&self) -> bool {
        match self.state() {
            State::AlwaysOpen => true,
            State::OpenUntil(end) => Instant::now() < end,
            State::Closed => false,
        }
    }

    /// Runs a write while the gate is open. When the gate closes, the write is dropped before it sends anything more, such as a
    /// retry.
    ///
    /// # Errors
    /// Those of the write, and [`NotLeader`] if the gate is closed.
    pub async fn write<T, E: From<NotLeader>>(
        &self,
        write: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let mut write = pin!(write);
        poll_fn(|context| {
            // Checks the clock instead of a timer: the timers of a suspended process fire late.
            if self.is_open() { write.as_mut().poll(context) } else { Poll::Ready(Err(NotLeader.into())) }
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    async fn can_write(gate: &WriteGate) -> bool {
        gate.write(async { Ok::<(), NotLeader>(()) }).await.is_ok()
    }

    #[tokio::test]
    async fn renewal_opens_gate_until_deadline() {
        let gate = WriteGate::closed();
        assert!(!can_write(&gate).await);
        gate.on_renewed(Instant::now());
        assert!(can_write(&gate).await);
        gate.on_renewed(Instant::now() - RENEW_DEADLINE);
        assert!(!can_write(&gate).await, "the answer came too late");
        gate.close();
        assert!(!can_write(&gate).await);
        assert!(can_write(&WriteGate::always_open()).await);
    }

    #[tokio::test]
    async fn closed_gate_stops_pending_write() {
        let gate = WriteGate::closed();
        gate.on_renewed(Instant::now());
        let write = async {
            tokio::time::sleep(Duration::from_millis(1)).await;
            gate.close();
            tokio::time::sleep(Duration::from_millis(1)).await;
            Ok::<(), NotLeader>(())
        };
        assert_eq!(gate.write(write).await, Err(NotLeader));
    }
}
