//! Checks the values of a request. Every refusal here is a 400.

use std::time::Duration;

use super::{Action, BuildRequest, JobRequest, Refusal, Request, Shape, Tooling, VersionRequest};
use crate::channel::Channel;
use crate::name;
use crate::reason::Reason;

impl Shape<'_> {
    /// Checks the values.
    ///
    /// # Errors
    /// 400 with the reason that fits the field, or 502 `bad_field` for a channel that does not exist.
    pub fn check(self) -> Result<Request, Refusal> {
        Ok(match self.action {
            Action::TestSolution | Action::AnalyzeIteration | Action::Represent => Request::Job(self.job()?),
            Action::BuildContainer => Request::Build(self.build()?),
            Action::BuildLog => Request::BuildLog { build: self.build()?, from: self.from },
            Action::DeployContainerVersion => Request::Deploy(self.one_version()?),
            Action::UnloadContainerVersion => Request::Unload(self.one_version()?),
            Action::UpdateContainerVersions => {
                let versions =
                    self.versions.iter().map(|v| value(v, Reason::BadVersion)).collect::<Result<_, _>>()?;
                Request::Update { tooling: self.tooling()?, versions }
            }
            Action::CurrentConfig => Request::CurrentConfig,
            Action::ListAvailableContainers => Request::ListAvailable(self.tooling()?),
            Action::DescribeWorkers => Request::DescribeWorkers,
            Action::CurrentWorkerStatus => Request::WorkerStatus,
            Action::DeploymentCheck => Request::DeploymentCheck(self.tooling()?),
            Action::ConfigureWorker => {
                let topics =
                    self.topics.iter().map(|t| value(t, Reason::BadSlug)).collect::<Result<_, _>>()?;
                Request::ConfigureWorker { channel: self.channel()?, topics }
            }
            Action::RestartWorkers => Request::RestartWorkers,
            Action::RestartRouter => Request::RestartRouter,
        })
    }

    fn job(&self) -> Result<JobRequest, Refusal> {
        let channel = self.action.job_channel().unwrap_or(Channel::TestRunners);
        Ok(JobRequest {
            id: field(self.id.as_deref(), Reason::BadId)?,
            tooling: Tooling { channel, track: field(self.track_slug.as_deref(), Reason::BadSlug)? },
            exercise: field(self.exercise_slug.as_deref(), Reason::BadSlug)?,
            input: field(self.s3_uri.as_deref(), Reason::BadUri)?,
            version: field(self.container_version.as_deref(), Reason::BadVersion)?,
            execution_timeout: self.execution_timeout()?,
            deadline: self.deadline()?,
            fresh: self.fresh,
        })
    }

    fn build(&self) -> Result<BuildRequest, Refusal> {
        let reference = self.git_reference.as_deref().unwrap_or_default();
        if !is_git_reference(reference) {
            let message = "git_reference must be a 40-hex sha, a branch or a tag";
            return Err(Refusal::new(Reason::BadReference, message));
        }
        let id = self.id.as_ref().map(|id| value(id, Reason::BadId)).transpose()?;
        Ok(BuildRequest {
            id,
            tooling: self.tooling()?,
            git_reference: reference.to_owned(),
            execution_timeout: self.execution_timeout()?,
            deadline: self.deadline()?,
        })
    }

    fn execution_timeout(&self) -> Result<Option<Duration>, Refusal> {
        let seconds = whole(self.execution_timeout, "execution_timeout", "seconds")?;
        Ok(seconds.map(Duration::from_secs))
    }

    fn deadline(&self) -> Result<Option<Duration>, Refusal> {
        let millis = whole(self.deadline_ms, "deadline_ms", "milliseconds")?;
        Ok(millis.map(Duration::from_millis))
    }

    fn one_version(&self) -> Result<VersionRequest, Refusal> {
        Ok(VersionRequest {
            tooling: self.tooling()?,
            version: field(self.versions.first().map(String::as_str), Reason::BadVersion)?,
        })
    }

    fn tooling(&self) -> Result<Tooling, Refusal> {
        let channel = self.channel()?;
        if channel == Channel::Builders {
            return Err(Refusal::new(Reason::BadField, "the channel builders has no container versions"));
        }
        Ok(Tooling { channel, track: field(self.track_slug.as_deref(), Reason::BadSlug)? })
    }

    fn channel(&self) -> Result<Channel, Refusal> {
        let word = self.channel.as_deref().unwrap_or_default();
        word.parse().map_err(|_| {
            let message = "channel must be test_runners, static_analyzers, representers or builders";
            Refusal::new(Reason::BadField, message)
        })
    }
}

fn field<T: std::str::FromStr<Err = name::Error>>(text: Option<&str>, reason: Reason) -> Result<T, Refusal> {
    value(text.unwrap_or_default(), reason)
}

fn value<T: std::str::FromStr<Err = name::Error>>(text: &str, reason: Reason) -> Result<T, Refusal> {
    text.parse().map_err(|error: name::Error| Refusal::new(reason, error.to_string()))
}

fn whole(json: Option<&str>, field: &str, unit: &str) -> Result<Option<u64>, Refusal> {
    let Some(json) = json else { return Ok(None) };
    match json.parse::<u32>() {
        Ok(number) if number > 0 => Ok(Some(number.into())),
        _ => Err(Refusal::new(
            Reason::BadTimeout,
            format!("{field} must be a whole number of {unit}, at least 1"),
        )),
    }
}

/// Returns whether `text` obeys a subset of git's own rules (git-check-ref-format), which no command line can misread.
fn is_git_reference(text: &str) -> bool {
    let component = |part: &str| !part.starts_with('.') && !part.ends_with(".lock") && !part.ends_with('.');
    (1..=255).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._/+-".contains(&b))
        && text.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric())
        && !text.contains("..")
        && !text.contains("//")
        && !text.ends_with('/')
        && text.split('/').all(component)
}
