//! The kinds of Trackyard may be installed after the operator: it waits for them, and says what it waits for.

use std::time::Duration;

use kube::{Client, Resource};
use tokio::time::timeout;
use trackyard_crds::{ContainerVersion, GROUP, VERSION, WorkerPool};
use trackyard_daemon::readiness::Gate;

/// Between two looks.
const PAUSE: Duration = Duration::from_secs(2);
/// Longer than an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Waits until the API server serves all kinds.
pub async fn wait(client: &Client, gate: &Gate) {
    let mut told = None;
    loop {
        let why = match timeout(PATIENCE, served(client)).await {
            Err(_) => Some(format!("the API server has not answered for {} s", PATIENCE.as_secs())),
            Ok(Ok(served)) => absent(&served).map(|kinds| {
                format!(
                    "the API server knows no {kinds} of {GROUP}/{VERSION}; install the chart trackyard-crds"
                )
            }),
            Ok(Err(error)) => Some(format!("the API server does not say which kinds it knows: {error}")),
        };
        let Some(why) = why else { break };
        gate.close(&why);
        if told.as_ref() != Some(&why) {
            tracing::warn!(why, "waits for its kinds");
            told = Some(why);
        }
        tokio::time::sleep(PAUSE).await;
    }
    if told.is_some() {
        tracing::info!("its kinds are there");
    }
    gate.open();
}

/// The kinds of the group.
async fn served(client: &Client) -> Result<Vec<String>, kube::Error> {
    match client.list_api_group_resources(&format!("{GROUP}/{VERSION}")).await {
        Ok(list) => Ok(list.resources.into_iter().map(|resource| resource.kind).collect()),
        // A group that nobody knows is a page that nobody knows: no answer of the API has a reason for it.
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

fn absent(served: &[String]) -> Option<String> {
    let needed = [WorkerPool::kind(&()), ContainerVersion::kind(&())];
    let absent: Vec<&str> = needed
        .iter()
        .filter(|kind| !served.iter().any(|served| served == *kind))
        .map(|kind| &**kind)
        .collect();
    (!absent.is_empty()).then(|| absent.join(" and "))
}

#[cfg(test)]
mod tests {
    use super::absent;
    use rstest::rstest;

    #[rstest]
    #[case::none(&[], Some("WorkerPool and ContainerVersion"))]
    #[case::one(&["WorkerPool", "Scale"], Some("ContainerVersion"))]
    #[case::all(&["ContainerVersion", "WorkerPool", "Scale"], None)]
    fn what_is_absent(#[case] served: &[&str], #[case] expected: Option<&str>) {
        let served: Vec<String> = served.iter().map(|&kind| kind.to_owned()).collect();
        assert_eq!(absent(&served).as_deref(), expected);
    }
}
