//! Logs on standard error: text on a terminal, otherwise one JSON object a line.

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;

/// The flags of a binary that writes logs.
#[derive(Debug, Clone, clap::Args)]
pub struct LogArgs {
    /// What to log: a level (error, warn, info, debug, trace), or `target=level` pairs with commas between
    #[arg(long = "log", env = "TRACKYARD_LOG", value_name = "FILTER", default_value = "info")]
    pub filter: String,
    /// How to write logs; `auto` is text on a terminal and JSON otherwise
    #[arg(long = "log-format", env = "TRACKYARD_LOG_FORMAT", value_enum, default_value_t = Format::Auto)]
    pub format: Format,
}

/// The format of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Text on a terminal, JSON otherwise.
    Auto,
    /// Readable text.
    Text,
    /// One JSON object a line.
    Json,
}

/// Why logging cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The filter cannot be parsed.
    #[error("--log {filter:?} is not a filter: {source}; write a level such as debug, or target=level")]
    Filter {
        /// The filter.
        filter: String,
        /// What is wrong with the filter.
        source: tracing_subscriber::filter::ParseError,
    },
    /// Logging is set up already.
    #[error("logs are already set up")]
    Twice,
}

impl LogArgs {
    /// Sets up the logs of this process.
    ///
    /// # Errors
    /// If the filter is invalid, or logging is set up already.
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
    fn terminal_gets_text_and_pipe_json() {
        let choice = |format, terminal| args("info", format).is_json(terminal);
        assert!(!choice(Format::Auto, true) && choice(Format::Auto, false));
        assert!(!choice(Format::Text, false) && choice(Format::Json, true));
    }

    #[test]
    fn bad_filter_is_named() {
        let error = args("trackyard=loud", Format::Auto).init().unwrap_err();
        assert!(error.to_string().contains("trackyard=loud"), "{error}");
    }
}
