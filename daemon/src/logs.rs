//! Logs on standard error: text on a terminal, one JSON object a line otherwise.

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;

/// The flags of every binary that has logs.
#[derive(Debug, Clone, clap::Args)]
pub struct LogArgs {
    /// What to log: a level (error, warn, info, debug, trace), or `target=level` pairs with commas between
    #[arg(long = "log", env = "TRACKYARD_LOG", value_name = "FILTER", default_value = "info")]
    pub filter: String,
    /// How to write logs; `auto` is text on a terminal and JSON otherwise
    #[arg(long = "log-format", env = "TRACKYARD_LOG_FORMAT", value_enum, default_value_t = Format::Auto)]
    pub format: Format,
}

/// How a line of log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Text on a terminal, JSON otherwise.
    Auto,
    /// For people.
    Text,
    /// For machines.
    Json,
}

/// Why there are no logs.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The filter cannot be read.
    #[error("--log {filter:?} is not a filter: {source}; write a level such as debug, or target=level")]
    Filter {
        /// What was given.
        filter: String,
        /// What is wrong with it.
        source: tracing_subscriber::filter::ParseError,
    },
    /// Logs were started twice in one process.
    #[error("logs are already set up")]
    Twice,
}

impl LogArgs {
    /// Starts the logs of this process.
    ///
    /// # Errors
    /// If the filter is not one, or logs are set up already.
    pub fn init(&self) -> Result<(), Error> {
        let filter = EnvFilter::try_new(&self.filter)
            .map_err(|source| Error::Filter { filter: self.filter.clone(), source })?;
        let terminal = io::stderr().is_terminal();
        let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
        if self.is_json(terminal) {
            builder.json().flatten_event(true).with_current_span(false).try_init()
        } else {
            builder.with_ansi(terminal).with_target(false).try_init()
        }
        .map_err(|_| Error::Twice)
    }

    fn is_json(&self, terminal: bool) -> bool {
        match self.format {
            Format::Auto => !terminal,
            Format::Text => false,
            Format::Json => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(filter: &str, format: Format) -> LogArgs {
        LogArgs { filter: filter.to_owned(), format }
    }

    #[test]
    fn a_terminal_gets_text_and_a_pipe_json() {
        let choice = |format, terminal| args("info", format).is_json(terminal);
        assert!(!choice(Format::Auto, true) && choice(Format::Auto, false));
        assert!(!choice(Format::Text, false) && choice(Format::Json, true));
    }

    #[test]
    fn a_bad_filter_is_named() {
        let error = args("trackyard=loud", Format::Auto).init().unwrap_err();
        assert!(error.to_string().contains("trackyard=loud"), "{error}");
    }
}
