//! A platform around some work: up before it, down after it, however it ends.

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::Error;
use super::platform::{Options, Platform};
use crate::console::Console;
use crate::error::Error as CommandError;

/// The signals that end `local`.
#[derive(Debug)]
struct Stop {
    signals: [Signal; 3],
}

impl Stop {
    fn new() -> Result<Self, Error> {
        let listen = |kind| signal(kind).map_err(Error::system("listen for signals"));
        let signals = [
            listen(SignalKind::interrupt())?,
            listen(SignalKind::terminate())?,
            listen(SignalKind::hangup())?,
        ];
        Ok(Self { signals })
    }

    async fn next(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.signals;
        tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {}, _ = hangup.recv() => {} }
    }
}

/// Brings a platform up, does `work` and takes it down; the parts that had to be killed come back too.
///
/// # Errors
/// If the platform does not come up, a part ends by itself, the user ends it, or the work fails.
pub(super) async fn with_platform<T>(
    options: Options,
    console: Console,
    work: impl AsyncFnOnce(&mut Platform) -> Result<T, CommandError>,
) -> Result<(T, Vec<String>), CommandError> {
    let mut stop = Stop::new()?;
    let mut platform = Platform::prepare(options, console).await?;
    let deaths = platform.deaths();
    let result = tokio::select! {
        result = async { platform.bring_up().await?; work(&mut platform).await } => result,
        error = deaths.next() => Err(error.into()),
        () = stop.next() => Err(Error::Interrupted.into()),
    };
    console.say("local: taking everything down (Ctrl-C: at once)");
    let killed = platform.down(stop.next()).await;
    if !killed.is_empty() {
        console.say(&format!("local: killed {}, which did not end in time", killed.join(", ")));
    }
    result.map(|value| (value, killed))
}
