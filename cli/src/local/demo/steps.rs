//! The two refusals: a version that is not deployed, and a channel without a worker.

use serde_json::json;
use trackyard_protocol::answer::Answer;
use trackyard_protocol::channel::Channel;
use trackyard_protocol::client::Client;
use trackyard_protocol::name::JobId;

use super::case::{Case, Deployment};
use super::compare;
use crate::console::Console;
use crate::error::Error as CommandError;
use crate::local::Error;
use crate::local::one::ask_in_background;
use crate::local::plan::WorkerPlan;
use crate::local::platform::Platform;
use crate::router::ask;
use crate::submit::Job;
use crate::verdict;

/// A job for a version that is not deployed; then the version is deployed, and the job runs.
pub(super) async fn not_deployed(
    platform: &Platform,
    cases: &[Case],
    held: &Deployment,
    console: Console,
) -> Result<Vec<String>, CommandError> {
    let passing = |case: &&Case| {
        case.expected.channel == held.channel
            && case.expected.track == held.track
            && case.expected.result.as_deref() == Some("pass")
    };
    let case = first(cases, passing, "passes, for the track with a second version")?;
    console.say(&format!("demo: {} with {}, which is not deployed", case.name(), held.version));
    let mut found = refused(platform, case.job.clone(), held, (505, "not_deployed"), console).await?;
    console.say("demo: deploying it");
    deploy(platform.router(), held.clone()).await?;
    let job = Job { id: JobId::new("demo-deployed")?, version: held.version.clone(), ..case.job.clone() };
    let answer = ask_in_background(platform.router(), job).await?;
    console.say(&format!("demo: {}: {}", case.name(), verdict::line(held.channel, &answer)));
    found.extend(case.named(compare::one(case, &answer)));
    Ok(found)
}

/// A job for a channel whose only worker has been stopped.
pub(super) async fn no_worker(
    platform: &Platform,
    cases: &[Case],
    console: Console,
) -> Result<Vec<String>, CommandError> {
    let channel = Channel::Representers;
    let case = first(cases, |case| case.expected.channel == channel, "is for a representer")?;
    let worker = WorkerPlan { channel, track: None, flags: Vec::new() }.name();
    console.say(&format!("demo: stopping the worker {worker}, then {}", case.name()));
    platform.stop(&worker).await?;
    let same = Deployment { channel, track: case.job.track.clone(), version: case.job.version.clone() };
    refused(platform, case.job.clone(), &same, (503, "no_worker"), console).await
}

/// Sends a job under a new id and wants this refusal.
async fn refused(
    platform: &Platform,
    job: Job,
    at: &Deployment,
    (code, reason): (u16, &str),
    console: Console,
) -> Result<Vec<String>, CommandError> {
    let id = JobId::new(format!("demo-{code}"))?;
    let answer = ask_in_background(platform.router(), Job { id, version: at.version.clone(), ..job }).await?;
    console.say(&format!("demo: {}", verdict::line(at.channel, &answer)));
    Ok(unless_refused(&answer, code, reason))
}

fn unless_refused(answer: &Answer, code: u16, reason: &str) -> Vec<String> {
    let is = (answer.status.status_code, verdict::reason(answer));
    if is.0 == code && is.1 == reason {
        return Vec::new();
    }
    vec![format!("wanted {code} {reason}, got {} {}: {}", is.0, is.1, answer.status.message)]
}

async fn deploy(router: String, held: Deployment) -> Result<(), CommandError> {
    let request = json!({
        "action": "deploy_container_version",
        "channel": held.channel,
        "track_slug": held.track,
        "new_version": held.version,
    });
    let asked =
        tokio::task::spawn_blocking(move || ask(&Client::connect(&router)?, "deploy", &request).map(drop));
    asked.await.map_err(std::io::Error::other)?
}

fn first<'a>(cases: &'a [Case], fits: impl Fn(&&Case) -> bool, which: &str) -> Result<&'a Case, Error> {
    cases.iter().find(fits).ok_or_else(|| Error::Examples(format!("there is none that {which}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(505, "not_deployed", true)]
    #[case(505, "ok", false)]
    #[case(503, "not_deployed", false)]
    fn only_the_wanted_refusal_will_do(#[case] code: u16, #[case] reason: &str, #[case] fine: bool) {
        let status = json!({"ok": false, "status_code": code, "reason": reason, "message": "m"});
        let answer: Answer = serde_json::from_value(json!({ "status": status })).unwrap();
        assert_eq!(unless_refused(&answer, 505, "not_deployed").is_empty(), fine);
    }
}
