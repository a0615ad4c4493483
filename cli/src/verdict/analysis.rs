//! `analysis.json`, an analyzer's result.

use serde_json::Value;

use crate::console::escape_control;

/// What an analyzer wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Analysis {
    /// The analyzer's summary; empty if it has none.
    pub summary: String,
    comments: Vec<(String, String)>,
}

impl Analysis {
    /// Reads the fields that are valid; a container may have written anything.
    #[must_use]
    pub fn read(response: &Value) -> Self {
        let comments = response.get("comments").and_then(Value::as_array).into_iter().flatten();
        Self {
            summary: response.get("summary").and_then(Value::as_str).unwrap_or_default().to_owned(),
            comments: comments.map(comment).collect(),
        }
    }

    /// Returns the comments' names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.comments.iter().map(|(name, _)| name.as_str())
    }

    /// Counts the comments, as in `analyzed: 2 comments`.
    #[must_use]
    pub fn comment_count(&self) -> String {
        let count = self.comments.len();
        format!("analyzed: {count} comment{}", if count == 1 { "" } else { "s" })
    }

    /// Formats the analyzer's summary, then a line for each comment.
    #[must_use]
    pub fn list(&self) -> String {
        let mut lines = Vec::new();
        if !self.summary.is_empty() {
            lines.push(format!("  {}", escape_control(&self.summary)));
        }
        for (name, kind) in &self.comments {
            lines.push(format!("  {:<13} {}", escape_control(kind), escape_control(name)));
        }
        lines.join("\n")
    }
}

/// Reads a comment's name and type. A comment is an object or just a name; the default type is `informative`.
fn comment(value: &Value) -> (String, String) {
    let field = |name| value.get(name).and_then(Value::as_str);
    let name = value.as_str().or_else(|| field("comment")).unwrap_or("a comment without a name");
    (name.to_owned(), field("type").unwrap_or("informative").to_owned())
}
