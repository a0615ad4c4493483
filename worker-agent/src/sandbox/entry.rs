//! How a track's container is called: the interface that tooling images implement.

use trackyard_protocol::channel::Channel;
use trackyard_protocol::name::ExerciseSlug;

/// The directory inside the container that holds the submission and gets the results.
pub const JOB_DIR: &str = "/mnt/exercism-iteration";

/// The entry script of an image. It is decided once, when the image becomes ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EntryScript {
    tool: Tool,
    interface: Interface,
}

/// The kind of tooling that a channel runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Tool {
    TestRunner,
    Analyzer,
    Representer,
}

/// The interface that an image implements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Interface {
    /// `bin/run.sh EXERCISE INPUT OUTPUT`.
    Run,
    /// The legacy `bin/analyze.sh EXERCISE DIR` and `bin/generate.sh EXERCISE DIR`.
    Legacy,
}

impl EntryScript {
    /// Returns the entry scripts that an image of this channel may have, the preferred one first. Builders have none.
    pub fn candidates(channel: Channel) -> impl Iterator<Item = Self> {
        let (tool, interfaces): (_, &[Interface]) = match channel {
            Channel::TestRunners => (Tool::TestRunner, &[Interface::Run]),
            Channel::StaticAnalyzers => (Tool::Analyzer, &[Interface::Run, Interface::Legacy]),
            Channel::Representers => (Tool::Representer, &[Interface::Run, Interface::Legacy]),
            Channel::Builders => (Tool::TestRunner, &[]),
        };
        interfaces.iter().map(move |interface| Self { tool, interface: *interface })
    }

    /// Returns the message about an image that has no entry script for `channel`.
    #[must_use]
    pub fn missing(channel: Channel) -> String {
        let scripts: Vec<String> = Self::candidates(channel)
            .map(|entry| format!("{}/{}", entry.working_dir(), entry.script()))
            .collect();
        format!("the image has no executable {}", scripts.join(" or "))
    }

    /// Returns the working directory inside the container.
    #[must_use]
    pub const fn working_dir(self) -> &'static str {
        match self.tool {
            Tool::TestRunner => "/opt/test-runner",
            Tool::Analyzer => "/opt/analyzer",
            Tool::Representer => "/opt/representer",
        }
    }

    /// Returns the script's path, relative to the working directory.
    #[must_use]
    pub const fn script(self) -> &'static str {
        match (self.interface, self.tool) {
            (Interface::Run, _) | (Interface::Legacy, Tool::TestRunner) => "bin/run.sh",
            (Interface::Legacy, Tool::Analyzer) => "bin/analyze.sh",
            (Interface::Legacy, Tool::Representer) => "bin/generate.sh",
        }
    }

    /// Returns the arguments of the command, the script first.
    #[must_use]
    pub fn argv(self, exercise: &ExerciseSlug) -> Vec<String> {
        let dir = format!("{JOB_DIR}/");
        let mut argv = vec![self.script().to_owned(), exercise.to_string(), dir.clone()];
        if self.interface == Interface::Run {
            argv.push(dir);
        }
        argv
    }

    /// Returns the name of the file that holds the result, in the job directory.
    #[must_use]
    pub const fn result(self) -> &'static str {
        match self.tool {
            Tool::TestRunner => "results.json",
            Tool::Analyzer => "analysis.json",
            Tool::Representer => "representation.txt",
        }
    }

    /// Returns the names of the other files that the interface lets the tool write.
    #[must_use]
    pub const fn outputs(self) -> &'static [&'static str] {
        match self.tool {
            Tool::TestRunner => &[],
            Tool::Analyzer => &["tags.json"],
            Tool::Representer => &["mapping.json", "representation.json"],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(Channel::TestRunners, &["bin/run.sh"], "/opt/test-runner")]
    #[case(Channel::StaticAnalyzers, &["bin/run.sh", "bin/analyze.sh"], "/opt/analyzer")]
    #[case(Channel::Representers, &["bin/run.sh", "bin/generate.sh"], "/opt/representer")]
    #[case(Channel::Builders, &[], "")]
    fn scripts_by_channel(#[case] channel: Channel, #[case] scripts: &[&str], #[case] dir: &str) {
        let entries: Vec<EntryScript> = EntryScript::candidates(channel).collect();
        assert_eq!(entries.iter().map(|e| e.script()).collect::<Vec<_>>(), scripts);
        assert!(entries.iter().all(|e| e.working_dir() == dir));
    }

    #[test]
    fn the_legacy_interface_takes_one_dir() {
        let exercise = ExerciseSlug::new("two-fer").unwrap();
        let dir = "/mnt/exercism-iteration/";
        let argv: Vec<Vec<String>> =
            EntryScript::candidates(Channel::Representers).map(|e| e.argv(&exercise)).collect();
        assert_eq!(argv[0], ["bin/run.sh", "two-fer", dir, dir]);
        assert_eq!(argv[1], ["bin/generate.sh", "two-fer", dir]);
    }
}
