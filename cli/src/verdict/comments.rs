//! `analysis.json`.

use serde_json::Value;

use crate::console::harmless;

/// What an analyzer wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Analysis {
    /// One line on all of it.
    pub about: String,
    comments: Vec<(String, String)>,
}

impl Analysis {
    /// Reads what is there; a container may have written anything.
    #[must_use]
    pub fn read(response: &Value) -> Self {
        let comments = response.get("comments").and_then(Value::as_array).into_iter().flatten();
        Self {
            about: response.get("summary").and_then(Value::as_str).unwrap_or_default().to_owned(),
            comments: comments.map(comment).collect(),
        }
    }

    /// The comments' names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.comments.iter().map(|(name, _)| name.as_str())
    }

    /// Such as `analyzed: 2 comments`.
    #[must_use]
    pub fn summary(&self) -> String {
        let count = self.comments.len();
        format!("analyzed: {count} comment{}", if count == 1 { "" } else { "s" })
    }

    /// The analyzer's own summary, then a line for each comment.
    #[must_use]
    pub fn list(&self) -> String {
        let about =
            Some(&self.about).filter(|text| !text.is_empty()).map(|text| format!("  {}", harmless(text)));
        let line = |(name, kind): &(String, String)| format!("  {:<13} {}", harmless(kind), harmless(name));
        about.into_iter().chain(self.comments.iter().map(line)).collect::<Vec<_>>().join("\n")
    }
}

/// A comment is an object, or its name alone; the type that it has when it names none is `informative`.
fn comment(value: &Value) -> (String, String) {
    let field = |name| value.get(name).and_then(Value::as_str);
    let name = value.as_str().or_else(|| field("comment")).unwrap_or("a comment without a name");
    (name.to_owned(), field("type").unwrap_or("informative").to_owned())
}
