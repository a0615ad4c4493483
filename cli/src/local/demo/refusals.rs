//! Checks two refusals: of a version that is not deployed, and of a channel without a worker.

use serde_json::json;
use trackyard_protocol::answer::Answer;
use trackyard_protocol::channel::Channel;
use trackyard_protocol::client::Client;
use trackyard_protocol::name::JobId;

use super::case::{DemoCase, Deployment};
use super::compare;
use crate::console::Console;
use crate::error::CommandError;
use crate::local::LocalError;
use crate::local::plan::WorkerPlan;
use crate::local::platform::Platform;
use crate::local::run_one::run_in_background;
use crate::router::request;
use crate::submit::JobRequest;
use crate::verdict;

/// Sends a job for a version that is not deployed, deploys the version, and sends the job again.
pub(super) async fn check_not_deployed(
    platform: &Platform,
    cases: &[DemoCase],
    withheld: &Deployment,
    console: Console,
) -> Result<Vec<String>, CommandError> {
    let case = find(cases, "passes, of the track with a second version", |case| {
        case.expected.channel == withheld.channel
            && case.expected.track == withheld.track
            && case.expected.result.as_deref() == Some("pass")
    })?;
    console.say(&format!("demo: {} with {}, which is not deployed", case.name(), withheld.version));
    let mut found =
        expect_refusal(platform, case.job.clone(), withheld, 505, "not_deployed", console).await?;
    console.say("demo: deploying it");
    deploy(platform.router(), withheld.clone()).await?;
    let job = JobRequest {
        id: JobId::new("demo-deployed")?,
        version: withheld.version.clone(),
        ..case.job.clone()
    };
    let answer = run_in_background(platform.router(), job).await?;
    console.say(&format!("demo: {}: {}", case.name(), verdict::line(withheld.channel, &answer)));
    found.extend(case.prefix(compare::compare(case, &answer)));
    Ok(found)
}

/// Stops the only worker of a channel, then sends a job for the channel.
pub(super) async fn check_no_worker(
    platform: &Platform,
    cases: &[DemoCase],
    console: Console,
) -> Result<Vec<String>, CommandError> {
    let channel = Channel::Representers;
    let case = find(cases, "is for a representer", |case| case.expected.channel == channel)?;
    let worker = WorkerPlan { channel, track: None, flags: Vec::new() }.name();
    console.say(&format!("demo: stopping the worker {worker}, then {}", case.name()));
    platform.stop_one(&worker).await?;
    let deployment = Deployment { channel, track: case.job.track.clone(), version: case.job.version.clone() };
    expect_refusal(platform, case.job.clone(), &deployment, 503, "no_worker", console).await
}

/// Sends a job under a new id. Returns what was not as expected.
async fn expect_refusal(
    platform: &Platform,
    job: JobRequest,
    deployment: &Deployment,
    code: u16,
    reason: &str,
    console: Console,
) -> Result<Vec<String>, CommandError> {
    let id = JobId::new(format!("demo-{code}"))?;
    let answer =
        run_in_background(platform.router(), JobRequest { id, version: deployment.version.clone(), ..job })
            .await?;
    console.say(&format!("demo: {}", verdict::line(deployment.channel, &answer)));
    Ok(refusal_findings(&answer, code, reason))
}

fn refusal_findings(answer: &Answer, code: u16, reason: &str) -> Vec<String> {
    let actual = answer.status.status_code;
    let actual_reason = verdict::reason(answer);
    if actual == code && actual_reason == reason {
        return Vec::new();
    }
    vec![format!("expected {code} {reason}, got {actual} {actual_reason}: {}", answer.status.message)]
}

async fn deploy(router: String, deployment: Deployment) -> Result<(), CommandError> {
    let body = json!({
        "action": "deploy_container_version",
        "channel": deployment.channel,
        "track_slug": deployment.track,
        "new_version": deployment.version,
    });
    let answer =
        tokio::task::spawn_blocking(move || request(&Client::connect(&router)?, "deploy", &body).map(drop));
    answer.await.map_err(std::io::Error::other)?
}

/// Finds the first case that matches; `description` completes "no example …".
fn find<'a>(
    cases: &'a [DemoCase],
    description: &str,
    matches: impl Fn(&&DemoCase) -> bool,
) -> Result<&'a DemoCase, LocalError> {
    cases.iter().find(matches).ok_or_else(|| LocalError::Examples(format!("no example {description}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(505, "not_deployed", true)]
    #[case(505, "ok", false)]
    #[case(503, "not_deployed", false)]
    fn another_refusal_is_a_finding(#[case] code: u16, #[case] reason: &str, #[case] is_expected: bool) {
        let status = json!({"ok": false, "status_code": code, "reason": reason, "message": "m"});
        let answer: Answer = serde_json::from_value(json!({ "status": status })).unwrap();
        assert_eq!(refusal_findings(&answer, 505, "not_deployed").is_empty(), is_expected);
    }
}
