//! Output for people: data on standard output, everything else on standard error.

use std::io::{self, IsTerminal, Write};

use clap::builder::styling::{AnsiColor, Style};

/// Standard output and standard error. Colours are left out with `NO_COLOR`, and where no terminal shows them.
#[derive(Debug, Clone, Copy, Default)]
pub struct Console;

impl Console {
    /// Writes data to standard output.
    ///
    /// # Errors
    /// If standard output cannot be written, as when its reader has gone away.
    pub fn data(self, text: &str) -> io::Result<()> {
        let mut out = anstream::stdout();
        writeln!(out, "{}", text.strip_suffix('\n').unwrap_or(text))?;
        out.flush()
    }

    /// Writes a line to standard error. Nothing depends on it, so a closed standard error is ignored.
    pub fn say(self, line: &str) {
        let _ = writeln!(anstream::stderr(), "{line}");
    }

    /// Writes a progress line, if standard error is a terminal.
    pub fn phase(self, line: &str) {
        if io::stderr().is_terminal() {
            self.say(&painted(AnsiColor::BrightBlack, line));
        }
    }

    /// Writes an error, and what to type next.
    pub fn error(self, message: &str, hint: Option<&str>) {
        self.say(&error_text(message, hint));
    }
}

/// Formats an error, and what to type next.
#[must_use]
pub fn error_text(message: &str, hint: Option<&str>) -> String {
    let head = format!("{} {message}", painted(AnsiColor::Red, "error:"));
    match hint {
        Some(hint) => format!("{head}\n{} {hint}", painted(AnsiColor::Cyan, "  try:")),
        None => head,
    }
}

/// Returns text in a colour.
#[must_use]
pub fn painted(colour: AnsiColor, text: &str) -> String {
    let style = Style::new().fg_color(Some(colour.into()));
    format!("{style}{text}{style:#}")
}

/// Escapes what could move a terminal's cursor, change its colours or reorder its text. For text from a container or from
/// the network. Line ends and tabs stay.
#[must_use]
pub fn escape_control(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\t' => escaped.push(c),
            c if c.is_control() || is_direction_mark(c) => escaped.extend(c.escape_unicode()),
            c => escaped.push(c),
        }
    }
    escaped
}

/// True for the marks that reorder text on the screen.
const fn is_direction_mark(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_escaped() {
        assert_eq!(escape_control("ok\n\tä \u{1b}[2J\r\u{202e}x"), "ok\n\tä \\u{1b}[2J\\u{d}\\u{202e}x");
    }

    #[test]
    fn an_error_is_shown_with_its_hint() {
        let text = error_text("no router", Some("trackyard local up"));
        assert_eq!(
            anstream::adapter::strip_str(&text).to_string(),
            "error: no router\n  try: trackyard local up"
        );
    }
}
