//! Reads and validates the text of a configuration.

use super::error::Refusal;
use super::unique::Unique;
use super::{Config, legacy};
use crate::deployed::ToolingRef;
use trackyard_protocol::channel::Channel;

/// A configuration that was read, and remarks about it.
#[derive(Debug, Clone, PartialEq)]
pub struct Read {
    /// The configuration.
    pub config: Config,
    /// Remarks that are not errors.
    pub notes: Vec<String>,
}

/// Reads a configuration's text.
///
/// # Errors
/// For text that is not YAML, has a key twice, an unknown field or an invalid value, with its position. Also for an empty
/// text: a file that an editor has just truncated must not unload all versions.
pub fn read(text: &str) -> Result<Read, Refusal> {
    if text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
        return Err(Refusal::new("the file is empty; write {} for a configuration of defaults only"));
    }
    let _: Unique = serde_yaml::from_str(text)?;
    let mut config: Config = serde_yaml::from_str(text)?;
    let mut notes = Vec::new();
    if let Some(workers) = config.workers.take() {
        if !config.container_versions.is_empty() {
            return Err(Refusal::new("workers (the legacy form) and container_versions exclude each other"));
        }
        convert(workers, &mut config);
        notes.push("read in the legacy form: its ports are ignored, its versions kept".to_owned());
    }
    validate(&config)?;
    Ok(Read { config, notes })
}

fn convert(workers: legacy::Workers, config: &mut Config) {
    for (channel, tracks) in workers {
        for (track, workers) in tracks.0 {
            config.container_versions.add_track(channel, track, workers.worker_versions.unwrap_or_default());
        }
    }
}

fn validate(config: &Config) -> Result<(), Refusal> {
    config.limits.check()?;
    if config.builds.wall > config.builds.wall_max {
        return Err(Refusal::new("builds: wall is above wall_max"));
    }
    for (tooling, versions) in config.container_versions.iter() {
        if tooling.channel == Channel::Builders {
            return Err(Refusal::new("container_versions.builders: builders have no container versions"));
        }
        let mut sorted: Vec<_> = versions.iter().map(|pinned| &pinned.version).collect();
        sorted.sort();
        if let Some([twice, _]) = sorted.windows(2).find(|pair| matches!(pair, [a, b] if a == b)) {
            let ToolingRef { channel, track } = tooling;
            return Err(Refusal::new(format!(
                "container_versions.{channel}.{track}: {twice} is listed twice"
            )));
        }
    }
    match config.images.repositories.iter().find(|(_, template)| !template.contains("{track}")) {
        Some((channel, _)) => {
            Err(Refusal::new(format!("images.repositories.{channel}: {{track}} is missing in the name")))
        }
        None => Ok(()),
    }
}
