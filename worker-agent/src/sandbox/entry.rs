//! How a track's container is called: the interface that tooling images are built for.

use trackyard_protocol::channel::Channel;
use trackyard_protocol::name::ExerciseSlug;

/// Where the submission is inside, and where the results are written.
pub const JOB_DIR: &str = "/mnt/exercism-iteration";

/// The entry script of an image, decided once when the image becomes ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Entry {
    tool: Tool,
    form: Form,
}

/// The kind of tooling that a channel runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Tool {
    TestRunner,
    Analyzer,
    Representer,
}

/// The interface that an image has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Form {
    /// `bin/run.sh EXERCISE INPUT OUTPUT`.
    Run,
    /// The older `bin/analyze.sh EXERCISE DIR` and `bin/generate.sh EXERCISE DIR`.
    Older,
}

impl Entry {
    /// The entries that an image of this channel may have, the preferred first. None for builders.
    pub fn candidates(channel: Channel) -> impl Iterator<Item = Self> {
        let (tool, forms): (_, &[Form]) = match channel {
            Channel::TestRunners => (Tool::TestRunner, &[Form::Run]),
            Channel::StaticAnalyzers => (Tool::Analyzer, &[Form::Run, Form::Older]),
            Channel::Representers => (Tool::Representer, &[Form::Run, Form::Older]),
            Channel::Builders => (Tool::TestRunner, &[]),
        };
        forms.iter().map(move |form| Self { tool, form: *form })
    }

    /// What to say of an image that has none.
    #[must_use]
    pub fn missing(channel: Channel) -> String {
        let scripts: Vec<String> = Self::candidates(channel)
            .map(|entry| format!("{}/{}", entry.working_dir(), entry.script()))
            .collect();
        format!("the image has no executable {}", scripts.join(" or "))
    }

    /// The working directory inside.
    #[must_use]
    pub const fn working_dir(self) -> &'static str {
        match self.tool {
            Tool::TestRunner => "/opt/test-runner",
            Tool::Analyzer => "/opt/analyzer",
            Tool::Representer => "/opt/representer",
        }
    }

    /// The script, relative to the working directory.
    #[must_use]
    pub const fn script(self) -> &'static str {
        match (self.form, self.tool) {
            (Form::Run, _) | (Form::Older, Tool::TestRunner) => "bin/run.sh",
            (Form::Older, Tool::Analyzer) => "bin/analyze.sh",
            (Form::Older, Tool::Representer) => "bin/generate.sh",
        }
    }

    /// The command, word by word.
    #[must_use]
    pub fn argv(self, exercise: &ExerciseSlug) -> Vec<String> {
        let dir = format!("{JOB_DIR}/");
        let mut argv = vec![self.script().to_owned(), exercise.to_string(), dir.clone()];
        if self.form == Form::Run {
            argv.push(dir);
        }
        argv
    }

    /// The file that holds the result, in the job directory.
    #[must_use]
    pub const fn result(self) -> &'static str {
        match self.tool {
            Tool::TestRunner => "results.json",
            Tool::Analyzer => "analysis.json",
            Tool::Representer => "representation.txt",
        }
    }

    /// The other files that the tool may write by its interface.
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
        let entries: Vec<Entry> = Entry::candidates(channel).collect();
        assert_eq!(entries.iter().map(|e| e.script()).collect::<Vec<_>>(), scripts);
        assert!(entries.iter().all(|e| e.working_dir() == dir));
    }

    #[test]
    fn the_older_form_has_one_dir() {
        let exercise = ExerciseSlug::new("two-fer").unwrap();
        let dir = "/mnt/exercism-iteration/";
        let argv: Vec<Vec<String>> =
            Entry::candidates(Channel::Representers).map(|e| e.argv(&exercise)).collect();
        assert_eq!(argv[0], ["bin/run.sh", "two-fer", dir, dir]);
        assert_eq!(argv[1], ["bin/generate.sh", "two-fer", dir]);
    }
}
