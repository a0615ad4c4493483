//! What people see: data on standard output, all else on standard error.

use std::io::{self, IsTerminal, Write};

use clap::builder::styling::{AnsiColor, Style};

/// The two streams. Colours are dropped where nobody would see them, and with `NO_COLOR`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Console;

impl Console {
    /// Writes data.
    ///
    /// # Errors
    /// If standard output takes no more.
    pub fn data(self, text: &str) -> io::Result<()> {
        let mut out = anstream::stdout();
        writeln!(out, "{}", text.strip_suffix('\n').unwrap_or(text))?;
        out.flush()
    }

    /// Writes a line for people. That standard error is closed stops nothing.
    pub fn say(self, line: &str) {
        let _ = writeln!(anstream::stderr(), "{line}");
    }

    /// Writes a line on what happens now, where a person watches.
    pub fn phase(self, line: &str) {
        if io::stderr().is_terminal() {
            self.say(&painted(AnsiColor::BrightBlack, line));
        }
    }

    /// Writes an error and what to type next.
    pub fn error(self, message: &str, hint: Option<&str>) {
        self.say(&error_text(message, hint));
    }
}

/// An error as it is shown.
#[must_use]
pub fn error_text(message: &str, hint: Option<&str>) -> String {
    let head = format!("{} {message}", painted(AnsiColor::Red, "error:"));
    match hint {
        Some(hint) => format!("{head}\n{} {hint}", painted(AnsiColor::Cyan, "  try:")),
        None => head,
    }
}

/// Text in a colour.
#[must_use]
pub fn painted(colour: AnsiColor, text: &str) -> String {
    let style = Style::new().fg_color(Some(colour.into()));
    format!("{style}{text}{style:#}")
}

/// Text from a container or from the wire, made safe for a terminal: what would move the cursor, change colours or
/// hide text becomes visible. Line ends and tabs stay.
#[must_use]
pub fn harmless(text: &str) -> String {
    let shown = |c: char| match c {
        '\n' | '\t' => c.to_string(),
        c if c.is_control() || is_direction_mark(c) => c.escape_unicode().to_string(),
        c => c.to_string(),
    };
    text.chars().map(shown).collect()
}

/// The marks that reorder text on the screen.
const fn is_direction_mark(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_sequences_become_visible() {
        assert_eq!(harmless("ok\n\tä \u{1b}[2J\r\u{202e}x"), "ok\n\tä \\u{1b}[2J\\u{d}\\u{202e}x");
    }

    #[test]
    fn an_error_says_what_to_type_next() {
        let text = error_text("no router", Some("trackyard local up"));
        assert_eq!(
            anstream::adapter::strip_str(&text).to_string(),
            "error: no router\n  try: trackyard local up"
        );
    }
}
