//! Waits for the CRDs, which may be installed after the operator, and reports which are missing.

use std::time::Duration;

use kube::{Client, Resource};
use tokio::time::timeout;
use trackyard_crds::{ContainerVersion, GROUP, VERSION, WorkerPool};
use trackyard_daemon::readiness::Gate;

const POLL_INTERVAL: Duration = Duration::from_secs(2);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// Waits until the API server serves all CRDs. The gate is closed with the reason until then.
pub async fn wait_for_crds(client: &Client, gate: &Gate) {
    let mut reported = None;
    while let Some(why) = obstacle(client).await {
        gate.close(&why);
        if reported.as_ref() != Some(&why) {
            tracing::warn!(why, "waiting for the CRDs");
            reported = Some(why);
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
    if reported.is_some() {
        tracing::info!("the CRDs are installed");
    }
    gate.open();
}

/// Returns why the controllers cannot start, if they cannot.
async fn obstacle(client: &Client) -> Option<String> {
    match timeout(REQUEST_TIMEOUT, served_kinds(client)).await {
        Err(_) => Some(format!(
            "cannot list the kinds of {GROUP}/{VERSION}: the API server has not answered for {} s",
            REQUEST_TIMEOUT.as_secs()
        )),
        Ok(Ok(served)) => missing_kinds(&served).map(|kinds| {
            format!(
                "cannot find the CRDs of {kinds} ({GROUP}/{VERSION}) in the API server; install the chart \
                 trackyard-crds"
            )
        }),
        Ok(Err(error)) => Some(format!("cannot list the kinds of {GROUP}/{VERSION}: {error}")),
    }
}

async fn served_kinds(client: &Client) -> Result<Vec<String>, kube::Error> {
    match client.list_api_group_resources(&format!("{GROUP}/{VERSION}")).await {
        Ok(list) => Ok(list.resources.into_iter().map(|resource| resource.kind).collect()),
        // The API server answers 404, without a reason of the API, for a group that has no CRD.
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

fn missing_kinds(served: &[String]) -> Option<String> {
    let needed = [WorkerPool::kind(&()), ContainerVersion::kind(&())];
    let missing: Vec<&str> = needed
        .iter()
        .filter(|kind| !served.iter().any(|served| served == *kind))
        .map(|kind| &**kind)
        .collect();
    (!missing.is_empty()).then(|| missing.join(" and "))
}

#[cfg(test)]
mod tests {
    use super::missing_kinds;
    use rstest::rstest;

    #[rstest]
    #[case::no_kind_served(&[], Some("WorkerPool and ContainerVersion"))]
    #[case::one_kind_served(&["WorkerPool", "Scale"], Some("ContainerVersion"))]
    #[case::all_kinds_served(&["ContainerVersion", "WorkerPool", "Scale"], None)]
    fn missing_kinds_are_named(#[case] served: &[&str], #[case] expected: Option<&str>) {
        let served: Vec<String> = served.iter().map(|&kind| kind.to_owned()).collect();
        assert_eq!(missing_kinds(&served).as_deref(), expected);
    }
}
