//! Shutdown by SIGTERM or SIGINT. A second signal asks for a quick shutdown.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
pub use tokio_util::sync::CancellationToken;

/// Why the signals cannot be handled.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen for SIGTERM and SIGINT: {0}")]
pub struct Error(#[from] io::Error);

/// The requested shutdown of the process.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    /// Cancelled by the first signal: the process finishes what is in flight.
    pub requested: CancellationToken,
    /// Cancelled by the second signal: the process leaves now.
    pub hurried: CancellationToken,
}

impl Shutdown {
    /// Handles the signals in a task of the current runtime.
    ///
    /// # Errors
    /// If the handlers cannot be installed.
    pub fn on_signals() -> Result<Self, Error> {
        let terminate = signal(SignalKind::terminate())?;
        let interrupt = signal(SignalKind::interrupt())?;
        let shutdown = Self::default();
        tokio::spawn(listen(shutdown.clone(), terminate, interrupt));
        Ok(shutdown)
    }
}

async fn listen(shutdown: Shutdown, mut terminate: Signal, mut interrupt: Signal) {
    for token in [shutdown.requested, shutdown.hurried] {
        let name = tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        };
        tracing::info!(signal = name, "asked to stop");
        token.cancel();
    }
}
