//! The router's figures: what its workers do, what waits, who has which version.

use std::time::{Duration, Instant};

use futures_util::{Stream, stream};
use tokio::sync::watch::{self, Receiver, Sender};
use trackyard_protocol::pools::{MAX_POLL, Report};

/// Figures that are older say nothing.
const STALE: Duration = Duration::from_secs(10);
/// Between two questions: a thousand changes a second are one.
const PAUSE: Duration = Duration::from_secs(1);
/// After a router that did not answer.
const AGAIN: Duration = Duration::from_secs(2);
/// Longer than an answer may take.
const PATIENCE: Duration = MAX_POLL.saturating_mul(2);
/// Bytes of an answer.
const MOST: usize = 64 << 20;

/// The figures as they were last heard. Clones are the same.
#[derive(Debug, Clone)]
pub struct Figures(Receiver<Option<(Instant, Report)>>);

impl Figures {
    /// Asks the router at `admin` (`http://HOST:PORT`) for ever; without one there are never any figures. The work to
    /// be done for it is given too.
    pub fn follow(admin: Option<String>) -> (Self, impl Future<Output = ()> + Send) {
        let (sender, receiver) = watch::channel(None);
        let work = async move {
            match admin {
                Some(admin) => ask(&admin, &sender).await,
                None => std::future::pending().await,
            }
        };
        (Self(receiver), work)
    }

    /// What is true now; none if that is not known.
    #[must_use]
    pub fn now(&self) -> Option<Report> {
        let heard = self.0.borrow();
        let (at, report) = heard.as_ref()?;
        (at.elapsed() < STALE && !report.recovering).then(|| report.clone())
    }

    /// Gives something whenever there may be news, or when there should be and are none.
    pub fn changes(&self) -> impl Stream<Item = ()> + Send + 'static {
        stream::unfold(self.0.clone(), |mut heard| async move {
            heard.changed().await.ok()?;
            Some(((), heard))
        })
    }
}

async fn ask(admin: &str, heard: &Sender<Option<(Instant, Report)>>) {
    let client = reqwest::Client::builder().timeout(PATIENCE).build();
    let client = match client {
        Ok(client) => client,
        Err(error) => return tracing::error!(%error, "cannot ask the router"),
    };
    let mut since = String::new();
    loop {
        match once(&client, admin, &since).await {
            Ok(report) => {
                since.clone_from(&report.revision);
                heard.send_replace(Some((Instant::now(), report)));
                tokio::time::sleep(PAUSE).await;
            }
            Err(error) => {
                tracing::warn!(%error, "the router does not tell its figures");
                heard.send_modify(|_| ());
                tokio::time::sleep(AGAIN).await;
            }
        }
    }
}

/// Why there are no figures.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("{0}")]
    Http(#[from] reqwest::Error),
    #[error("the answer is longer than {MOST} bytes")]
    TooLong,
    #[error("the answer is not understood: {0}")]
    NotUnderstood(#[from] serde_json::Error),
}

async fn once(client: &reqwest::Client, admin: &str, since: &str) -> Result<Report, Error> {
    let request = client.get(format!("{admin}/pools")).query(&[("since", since)]);
    let mut answer = request.send().await?.error_for_status()?;
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await? {
        if body.len() + chunk.len() > MOST {
            return Err(Error::TooLong);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(serde_json::from_slice(&body)?)
}
