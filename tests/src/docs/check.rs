//! Blocks that are not typed: do they hold what they say? And links, and figures. Pure, but for the files that are linked.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use super::console::Console;
use super::page::{Block, Fault, Page};

/// Returns what is wrong with a block; none if it can be used as it stands, as far as that is seen without running it.
#[must_use]
pub fn fault(block: &Block) -> Option<Fault> {
    let faulty = |what: String| Some(Fault::new(block.line, what));
    let text = block.text();
    match block.language.as_str() {
        "console" => Console::read(block).err(),
        "json" => {
            serde_json::from_str::<Value>(&text).err().and_then(|error| faulty(format!("not JSON: {error}")))
        }
        "yaml" => {
            let parse = |document| serde_yaml::Value::deserialize(document).err();
            let error = serde_yaml::Deserializer::from_str(&text).find_map(parse);
            error.and_then(|error| faulty(format!("not YAML: {error}")))
        }
        "mermaid" => diagram(&text).and_then(faulty),
        // It is run with the page; here it is only said that such a block is known.
        "python" => None,
        // Forms and sketches, nothing that can be pasted.
        "text" => None,
        "" => faulty("a block without a language; say `text` if it is none".to_owned()),
        _ if block.has("not-run") && block.comment.is_some() => None,
        other => faulty(format!("nothing checks `{other}`; say `not-run`, and in a comment above why")),
    }
}

/// Returns what is wrong with a diagram, as far as that is seen without drawing it.
fn diagram(text: &str) -> Option<String> {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    if !lines.next().is_some_and(|first| first.starts_with("flowchart ")) {
        return Some("a diagram begins with `flowchart`".to_owned());
    }
    let (mut open, mut ends) = (0, 0);
    for line in lines {
        open += i32::from(line.starts_with("subgraph "));
        ends += i32::from(line == "end");
        if line.matches('"').count() % 2 == 1 || line.matches('[').count() != line.matches(']').count() {
            return Some(format!("`{line}` is not closed"));
        }
    }
    (open != ends).then(|| format!("{open} subgraphs and {ends} ends"))
}

/// Returns where an answer has other fields than the one that is shown, or other kinds of values.
#[must_use]
pub fn differing_fields(at: &str, shown: &Value, real: &Value) -> Option<String> {
    match (shown, real) {
        (Value::Object(shown), Value::Object(real)) => {
            let names =
                |fields: &serde_json::Map<String, Value>| fields.keys().cloned().collect::<BTreeSet<_>>();
            let (wanted, got) = (names(shown), names(real));
            if let Some(name) = wanted.symmetric_difference(&got).next() {
                let is_shown = wanted.contains(name);
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

/// The links of a page that lead nowhere in the repository.
#[must_use]
pub fn dead_links(page: &Page, repository: &Path, open: impl Fn(&str) -> Option<String>) -> Vec<Fault> {
    let directory = Path::new(&page.name).parent().unwrap_or(Path::new(""));
    let is_dead = |target: &str| {
        let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
        let name =
            if path.is_empty() { Path::new(&page.name).to_owned() } else { plain(&directory.join(path)) };
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
        found.extend(dead.map(|target| Fault::new(number, format!("`{target}` is not there"))));
    }
    found
}

/// Returns where a line's links lead; not its images.
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

/// A path without `..` in it.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for component in path.components() {
        if component == Component::ParentDir {
            plain.pop();
        } else {
            plain.push(component);
        }
    }
    plain
}

/// Returns the anchors of a page's headings.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = text.lines().filter_map(|line| line.strip_prefix('#'));
    let anchor = |heading: &str| {
        let words = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = words.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
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
        Page::read("a.md", text).unwrap().blocks.remove(0)
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
    #[case("```console\na\n```", Some("before anything is typed"))]
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
    fn links_that_lead_nowhere_are_found() {
        let repository = tempfile::tempdir().unwrap();
        std::fs::create_dir(repository.path().join("docs")).unwrap();
        std::fs::write(repository.path().join("docs/b.md"), "## What it's for: all\n").unwrap();
        let text = "# Here\n[b](b.md) [c](c.md)\n[x](b.md#what-its-for-all) [y](b.md#what) [h](#here) [n](#there)\n\
                    ![image](none.svg) [web](https://x.example/y) [up](../docs/b.md)\n```text\n[c](c.md)\n```\n";
        std::fs::write(repository.path().join("docs/a.md"), text).unwrap();
        let page = Page::read("docs/a.md", text).unwrap();
        let open = |name: &str| std::fs::read_to_string(repository.path().join(name)).ok();
        let found: Vec<String> =
            dead_links(&page, repository.path(), open).iter().map(ToString::to_string).collect();
        let dead = ["line 2: `c.md`", "line 3: `b.md#what`", "line 3: `#there`"]
            .map(|l| format!("{l} is not there"));
        assert_eq!(found, dead);
    }
}
