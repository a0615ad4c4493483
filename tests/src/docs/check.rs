//! Checks blocks that are not run, and links. Pure, except for the linked files.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use super::console::Console;
use super::page::{Block, Page, PageFault};

/// Returns the fault of a block, as far as it can be found without running the block.
#[must_use]
pub fn fault(block: &Block) -> Option<PageFault> {
    let faulty = |what: String| Some(PageFault::new(block.line, what));
    let text = block.text();
    match block.language.as_str() {
        "console" => Console::parse(block).err(),
        "json" => {
            serde_json::from_str::<Value>(&text).err().and_then(|error| faulty(format!("not JSON: {error}")))
        }
        "yaml" => {
            let parse = |document| serde_yaml::Value::deserialize(document).err();
            let error = serde_yaml::Deserializer::from_str(&text).find_map(parse);
            error.and_then(|error| faulty(format!("not YAML: {error}")))
        }
        "mermaid" => diagram(&text).and_then(faulty),
        // These blocks are run with the page.
        "python" => None,
        // Forms and sketches, which nobody pastes.
        "text" => None,
        "" => faulty("a block without a language; use `text` for plain text".to_owned()),
        _ if block.has("not-run") && block.comment.is_some() => None,
        other => {
            faulty(format!("nothing checks `{other}`; add `not-run`, and a comment above that says why"))
        }
    }
}

/// Returns the fault of a diagram, as far as it can be found without drawing the diagram.
fn diagram(text: &str) -> Option<String> {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    if !lines.next().is_some_and(|first| first.starts_with("flowchart ")) {
        return Some("a diagram begins with `flowchart`".to_owned());
    }
    let mut open = 0;
    let mut ends = 0;
    for line in lines {
        open += i32::from(line.starts_with("subgraph "));
        ends += i32::from(line == "end");
        if line.matches('"').count() % 2 == 1 || line.matches('[').count() != line.matches(']').count() {
            return Some(format!("`{line}` is not closed"));
        }
    }
    (open != ends).then(|| format!("{open} subgraphs and {ends} ends"))
}

/// Returns the first difference between the fields and value types of a shown and a real answer; `at` is their path.
#[must_use]
pub fn differing_fields(at: &str, shown: &Value, real: &Value) -> Option<String> {
    match (shown, real) {
        (Value::Object(shown), Value::Object(real)) => {
            let names =
                |fields: &serde_json::Map<String, Value>| fields.keys().cloned().collect::<BTreeSet<_>>();
            let shown_names = names(shown);
            if let Some(name) = shown_names.symmetric_difference(&names(real)).next() {
                let is_shown = shown_names.contains(name);
                return Some(format!(
                    "{at}/{name} is only in the {} answer",
                    if is_shown { "shown" } else { "real" }
                ));
            }
            let mut fields = shown.iter().filter_map(|(name, shown)| Some((name, shown, real.get(name)?)));
            fields.find_map(|(name, shown, real)| differing_fields(&format!("{at}/{name}"), shown, real))
        }
        (Value::Array(shown), Value::Array(real)) if shown.len() == real.len() => {
            let mut items = shown.iter().zip(real).enumerate();
            items.find_map(|(index, (shown, real))| differing_fields(&format!("{at}/{index}"), shown, real))
        }
        (Value::String(_), Value::String(_))
        | (Value::Number(_), Value::Number(_))
        | (Value::Bool(_), Value::Bool(_))
        | (Value::Null, Value::Null) => None,
        (shown, real) => Some(format!("{at} is {shown} in the shown answer, and {real} in the real one")),
    }
}

/// Returns a page's links to files and headings that do not exist in the repository.
#[must_use]
pub fn dead_links(page: &Page, repository: &Path, open: impl Fn(&str) -> Option<String>) -> Vec<PageFault> {
    let directory = Path::new(&page.name).parent().unwrap_or(Path::new(""));
    let is_dead = |target: &str| {
        let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
        let name =
            if path.is_empty() { Path::new(&page.name).to_owned() } else { normalize(&directory.join(path)) };
        if !repository.join(&name).exists() {
            return true;
        }
        let text = || open(&name.display().to_string()).unwrap_or_default();
        !anchor.is_empty() && !anchors(&text()).contains(anchor)
    };
    let blocks: BTreeSet<usize> =
        page.blocks.iter().flat_map(|b| b.lines.iter().map(|line| line.number)).collect();
    let mut found = Vec::new();
    for (number, line) in (1..).zip(&page.lines).filter(|(number, _)| !blocks.contains(number)) {
        let dead = links(line).into_iter().filter(|target| !target.contains("://") && is_dead(target));
        found.extend(
            dead.map(|target| PageFault::new(number, format!("the target `{target}` does not exist"))),
        );
    }
    found
}

/// Returns the targets of a line's links, without images.
fn links(line: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for (at, _) in line.match_indices("](") {
        let is_image = line
            .get(..at)
            .and_then(|before| before.rfind('['))
            .is_some_and(|open| line.get(..open).is_some_and(|before| before.ends_with('!')));
        let target = line.get(at + 2..).and_then(|rest| rest.split(')').next());
        found.extend(target.filter(|target| !is_image && !target.is_empty()));
    }
    found
}

/// Removes `..` from a path.
fn normalize(path: &Path) -> PathBuf {
    let mut normalized = PathBuf::new();
    for component in path.components() {
        if component == Component::ParentDir {
            normalized.pop();
        } else {
            normalized.push(component);
        }
    }
    normalized
}

/// Returns the anchors of a page's headings.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = text.lines().filter_map(|line| line.strip_prefix('#'));
    let anchor = |heading: &str| {
        let text = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = text.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect::<String>()
    };
    headings.map(anchor).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::json;

    fn only(text: &str) -> Block {
        Page::parse("a.md", text).unwrap().blocks.remove(0)
    }

    #[rstest]
    #[case("```json\n{\"a\": 1}\n```", None)]
    #[case("```json\n{\"a\": }\n```", Some("not JSON"))]
    #[case("```yaml\na: {b: 1}\n---\nc: 2\n```", None)]
    #[case("```yaml\na: {b: 1\n```", Some("not YAML"))]
    #[case("```yaml\na: 1\n---\nc: [\n```", Some("not YAML"))]
    #[case("```mermaid\nflowchart LR\n  a[\"x\"] --> b\n```", None)]
    #[case("```mermaid\ngraph LR\n```", Some("begins with"))]
    #[case("```mermaid\nflowchart LR\n  subgraph x\n  a --> b\n```", Some("1 subgraphs and 0 ends"))]
    #[case("```mermaid\nflowchart LR\n  a[\"x --> b\n```", Some("is not closed"))]
    #[case("```console\n$ a\n```", None)]
    #[case("```console\na\n```", Some("before the first command"))]
    #[case("```\na\n```", Some("without a language"))]
    #[case("```sh\na\n```", Some("nothing checks `sh`"))]
    #[case("```sh not-run\na\n```", Some("nothing checks `sh`"))]
    #[case("<!-- an excerpt -->\n```sh not-run\na\n```", None)]
    fn blocks(#[case] text: &str, #[case] found: Option<&str>) {
        let fault = fault(&only(text)).map(|fault| fault.what);
        assert_eq!(fault.is_some(), found.is_some(), "{fault:?}");
        assert!(fault.unwrap_or_default().contains(found.unwrap_or_default()));
    }

    #[rstest]
    #[case(json!({"a": 1, "b": {"c": "x"}}), json!({"b": {"c": "y"}, "a": 2}), None)]
    #[case(json!({"a": 1}), json!({}), Some("/a is only in the shown answer"))]
    #[case(json!({"b": {}}), json!({"b": {"c": 1}}), Some("/b/c is only in the real answer"))]
    #[case(json!({"a": null}), json!({"a": 1}), Some("/a is null in the shown answer, and 1 in the real one"))]
    #[case(json!([{"a": 1}, {"a": 2}]), json!([{"a": 1}, {"b": 2}]), Some("/1/a is only in the shown answer"))]
    #[case(json!([1]), json!([1, 2]), Some(" is [1] in the shown answer, and [1,2] in the real one"))]
    fn answers(#[case] shown: Value, #[case] real: Value, #[case] found: Option<&str>) {
        assert_eq!(differing_fields("", &shown, &real).as_deref(), found);
    }

    #[test]
    fn dead_links_are_found() {
        let repository = tempfile::tempdir().unwrap();
        std::fs::create_dir(repository.path().join("docs")).unwrap();
        std::fs::write(repository.path().join("docs/b.md"), "## What it's for: all\n").unwrap();
        let text = "# Here\n[b](b.md) [c](c.md)\n[x](b.md#what-its-for-all) [y](b.md#what) [h](#here) [n](#there)\n\
                    ![image](none.svg) [web](https://x.example/y) [up](../docs/b.md)\n```text\n[c](c.md)\n```\n";
        std::fs::write(repository.path().join("docs/a.md"), text).unwrap();
        let page = Page::parse("docs/a.md", text).unwrap();
        let open = |name: &str| std::fs::read_to_string(repository.path().join(name)).ok();
        let found: Vec<String> =
            dead_links(&page, repository.path(), open).iter().map(ToString::to_string).collect();
        let dead = [("line 2", "`c.md`"), ("line 3", "`b.md#what`"), ("line 3", "`#there`")]
            .map(|(line, target)| format!("{line}: the target {target} does not exist"));
        assert_eq!(found, dead);
    }
}
