//! The router's load report: what its workers do, which jobs wait, and which workers have which version.

use std::time::{Duration, Instant};

use futures_util::{Stream, stream};
use tokio::sync::watch::{self, Receiver, Sender};
use trackyard_protocol::load_report::{LoadReport, MAX_POLL};

/// Age at which a report is no longer used.
const MAX_AGE: Duration = Duration::from_secs(10);
/// Interval between two requests, so that frequent changes of the report do not cause as many requests.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// Delay after a failed request.
const RETRY_INTERVAL: Duration = Duration::from_secs(2);
/// Longer than the router holds a request back.
const REQUEST_TIMEOUT: Duration = MAX_POLL.saturating_mul(2);
/// Maximum size of a report, in bytes.
const MAX_REPORT_BYTES: usize = 64 << 20;

/// The latest load report. Clones share it.
#[derive(Debug, Clone)]
pub struct LoadReports(Receiver<Option<(Instant, LoadReport)>>);

impl LoadReports {
    /// Returns the reports of the router at `admin` (`http://HOST:PORT`), and the task that polls it until it is dropped.
    /// Without a router no report ever arrives.
    pub fn poll(admin: Option<String>) -> (Self, impl Future<Output = ()> + Send) {
        let (sender, receiver) = watch::channel(None);
        let task = async move {
            match admin {
                Some(admin) => poll_router(&admin, &sender).await,
                None => std::future::pending().await,
            }
        };
        (Self(receiver), task)
    }

    /// Returns the latest report, unless it is too old or the router has just started and does not know its workers yet.
    #[must_use]
    pub fn current(&self) -> Option<LoadReport> {
        let latest = self.0.borrow();
        let (received, report) = latest.as_ref()?;
        (received.elapsed() < MAX_AGE && !report.recovering).then(|| report.clone())
    }

    /// Returns a stream with an item for each new report and each failed request.
    pub fn changes(&self) -> impl Stream<Item = ()> + Send + 'static {
        stream::unfold(self.0.clone(), |mut latest| async move {
            latest.changed().await.ok()?;
            Some(((), latest))
        })
    }
}

async fn poll_router(admin: &str, latest: &Sender<Option<(Instant, LoadReport)>>) {
    let client = match reqwest::Client::builder().timeout(REQUEST_TIMEOUT).build() {
        Ok(client) => client,
        Err(error) => return tracing::error!(%error, "cannot create the HTTP client for the router"),
    };
    let mut since = String::new();
    loop {
        match fetch(&client, admin, &since).await {
            Ok(report) => {
                since.clone_from(&report.revision);
                latest.send_replace(Some((Instant::now(), report)));
                tokio::time::sleep(POLL_INTERVAL).await;
            }
            Err(error) => {
                tracing::warn!(%error, "cannot fetch the router's load report");
                latest.send_modify(|_| ());
                tokio::time::sleep(RETRY_INTERVAL).await;
            }
        }
    }
}

/// Why a load report could not be fetched.
#[derive(Debug, thiserror::Error)]
enum LoadReportError {
    #[error("{0}")]
    Http(#[from] reqwest::Error),
    #[error("the report is larger than {MAX_REPORT_BYTES} bytes")]
    TooLarge,
    #[error("cannot parse the report: {0}")]
    Malformed(#[from] serde_json::Error),
}

async fn fetch(client: &reqwest::Client, admin: &str, since: &str) -> Result<LoadReport, LoadReportError> {
    let request = client.get(format!("{admin}/pools")).query(&[("since", since)]);
    let mut response = request.send().await?.error_for_status()?;
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > MAX_REPORT_BYTES {
            return Err(LoadReportError::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(serde_json::from_slice(&body)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_or_recovering_report_is_not_used() {
        let current = |age: Duration, recovering| {
            let report = LoadReport { recovering, ..LoadReport::default() };
            let (_sender, receiver) = watch::channel(Some((Instant::now() - age, report)));
            LoadReports(receiver).current()
        };
        assert!(current(Duration::ZERO, false).is_some());
        assert!(current(Duration::ZERO, true).is_none());
        assert!(current(MAX_AGE, false).is_none());
    }
}
