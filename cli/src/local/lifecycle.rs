//! Runs a platform around some work: starts it before, and stops it after, however the work ends.

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::LocalError;
use super::platform::{Platform, PlatformOptions};
use crate::console::Console;
use crate::error::CommandError;

/// The signals that stop `local`.
#[derive(Debug)]
struct StopSignals {
    signals: [Signal; 3],
}

impl StopSignals {
    fn new() -> Result<Self, LocalError> {
        let [interrupt, terminate, hangup] =
            [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()]
                .map(|kind| signal(kind).map_err(LocalError::system("listen for signals")));
        Ok(Self { signals: [interrupt?, terminate?, hangup?] })
    }

    async fn next(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.signals;
        tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {}, _ = hangup.recv() => {} }
    }
}

/// Starts a platform, does `work` and stops the platform. Also returns the names of the processes that had to be killed.
///
/// # Errors
/// If the platform does not start, a process ends by itself, the user stops it, or the work fails.
pub(super) async fn with_platform<T>(
    options: PlatformOptions,
    console: Console,
    work: impl AsyncFnOnce(&mut Platform) -> Result<T, CommandError>,
) -> Result<(T, Vec<String>), CommandError> {
    let mut signals = StopSignals::new()?;
    let mut platform = Platform::prepare(options, console).await?;
    let unexpected_exits = platform.unexpected_exits();
    let result = tokio::select! {
        result = async { platform.start().await?; work(&mut platform).await } => result,
        error = unexpected_exits.next() => Err(error),
        () = signals.next() => Err(CommandError::Interrupted),
    };
    console.say("local: stopping everything (press Ctrl-C to stop at once)");
    let killed = platform.stop(signals.next()).await;
    if !killed.is_empty() {
        console.say(&format!("local: killed {}, which did not end in time", killed.join(", ")));
    }
    result.map(|value| (value, killed))
}
