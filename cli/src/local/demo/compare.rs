//! Compares answers with the expected verdicts, and formats the table of both. Pure.

use clap::builder::styling::AnsiColor;
use trackyard_protocol::answer::Answer;

use super::case::DemoCase;
use crate::console::painted;
use crate::table;
use crate::verdict::{self, Analysis, TestResults};

/// Returns the differences of each case; all are empty if every verdict is the expected one.
pub(super) fn compare_all(cases: &[DemoCase], answers: &[Answer]) -> Vec<Vec<String>> {
    let pairs = cases.iter().zip(answers);
    let findings = pairs.clone().map(|(case, answer)| {
        let mut found = compare(case, answer);
        if let Some(dir) = &case.expected.same_as {
            let mut others =
                pairs.clone().filter(|(other, _)| other.expected.channel == case.expected.channel);
            let same = others.find(|(other, _)| other.expected.dir == *dir);
            if same.map(|(_, other)| &other.response) != Some(&answer.response) {
                found.push(format!("the representation is not that of {dir}"));
            }
        }
        found
    });
    findings.collect()
}

/// Returns the differences between an answer and the expected verdict.
pub(super) fn compare(case: &DemoCase, answer: &Answer) -> Vec<String> {
    let expected = &case.expected;
    let results = TestResults::read(&answer.response);
    let analysis = Analysis::read(&answer.response);
    let reason = verdict::reason(answer);
    let mut found = Vec::new();
    expect_equal(&mut found, "status", Some(&expected.status_code), &answer.status.status_code);
    if !expected.reason.contains(&reason) {
        found.push(format!("the reason is {reason}, not {}", expected.reason.join(" or ")));
    }
    expect_equal(&mut found, "worker", Some(&case.worker), &verdict::worker(answer));
    expect_equal(&mut found, "result", expected.result.as_ref(), &results.status);
    expect_equal(&mut found, "count of tests", expected.tests.as_ref(), &results.counts());
    expect_equal(&mut found, "summary", expected.summary.as_ref(), &analysis.summary);
    let names = analysis.names().map(str::to_owned).collect();
    expect_equal(&mut found, "list of comments", expected.comments.as_ref(), &names);
    if !found.is_empty() && !answer.status.ok {
        found.push(format!("the router says: {}", answer.status.message));
    }
    found
}

fn expect_equal<T: PartialEq + std::fmt::Debug>(
    found: &mut Vec<String>,
    field: &str,
    expected: Option<&T>,
    actual: &T,
) {
    if let Some(expected) = expected.filter(|expected| *expected != actual) {
        found.push(format!("the {field} is {actual:?}, not {expected:?}"));
    }
}

/// Formats a row for each case.
pub(super) fn table(cases: &[DemoCase], answers: &[Answer], findings: &[Vec<String>]) -> String {
    let header @ [_, verdict_column, ..] =
        ["EXERCISE", "VERDICT", "REASON", "TIME", "WORKER", "RESULT", "EXPECTED"];
    let mut rows = Vec::new();
    for ((case, answer), found) in cases.iter().zip(answers).zip(findings) {
        rows.push(vec![
            case.name(),
            answer.status.status_code.to_string(),
            verdict::reason(answer),
            verdict::seconds(answer).unwrap_or_else(|| "-".to_owned()),
            verdict::worker(answer),
            result(case, answer),
            if found.is_empty() { "yes" } else { "NO" }.to_owned(),
        ]);
    }
    let table = table::render(&header, &rows);
    let colours = cases.iter().zip(answers).map(|(case, answer)| verdict::colour(case.job.channel, answer));
    coloured(&table, verdict_column, colours)
}

/// Colours one column of the table, with a colour for each row.
fn coloured(table: &str, column: &str, colours: impl Iterator<Item = AnsiColor>) -> String {
    let mut lines = table.lines();
    let header = lines.next().unwrap_or_default();
    let start = header.find(column).unwrap_or_default();
    let mut text = header.to_owned();
    for (line, colour) in lines.zip(colours) {
        let (before, cell) = line.split_at_checked(start).unwrap_or((line, ""));
        let (cell, after) = cell.split_at_checked(cell.find(' ').unwrap_or(cell.len())).unwrap_or((cell, ""));
        text.push_str(&format!("\n{before}{}{after}", painted(colour, cell)));
    }
    text
}

fn result(case: &DemoCase, answer: &Answer) -> String {
    let summary = verdict::summary(case.expected.channel, answer);
    if summary.is_empty() { "-".to_owned() } else { summary }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::local::layouts::LayoutVersions;
    use serde_json::{Value, json};
    use trackyard_protocol::name::TrackSlug;

    fn case(number: usize, channel: &str, track: &str, more: &Value) -> DemoCase {
        let mut entry = json!({"channel": channel, "track": track, "exercise": "leap", "dir": format!("{track}/x/{number}"),
            "status_code": 200, "reason": ["ok"]});
        entry.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let expected: super::super::Expected = serde_json::from_value(entry).unwrap();
        let version = format!("git-{}", "a".repeat(40)).parse().unwrap();
        let slug = TrackSlug::new(track).unwrap();
        let versions = LayoutVersions::from([(expected.channel, [(slug, vec![version])].into())]);
        DemoCase::new(number, expected, &versions, &[TrackSlug::new("ruby").unwrap()]).unwrap()
    }

    fn answer(code: u16, reason: &str, worker: &str, response: &Value) -> Answer {
        serde_json::from_value(json!({
            "status": {"ok": code == 200, "status_code": code, "reason": reason, "message": "as it is"},
            "response": response,
            "context": {"worker": worker, "timing": {"duration_milliseconds": 1234}},
        }))
        .unwrap()
    }

    fn two_tests(status: &str) -> Value {
        json!({"status": status, "tests": [{"name": "a", "status": "pass"}, {"name": "b", "status": status}]})
    }

    fn cases_and_answers() -> (Vec<DemoCase>, Vec<Answer>) {
        let counts = json!({"result": "fail", "tests": {"pass": 1, "fail": 1, "error": 0}});
        let stopped = json!({"status_code": 401, "reason": ["wall_time", "cpu_time"]});
        let comments = json!({"summary": "Good.", "comments": ["c"]});
        let cases = vec![
            case(0, "test_runners", "ruby", &counts),
            case(1, "test_runners", "python", &stopped),
            case(2, "static_analyzers", "python", &comments),
            case(3, "representers", "python", &json!({})),
            case(4, "representers", "python", &json!({"same_as": "python/x/3"})),
        ];
        let answers = vec![
            answer(200, "ok", "test-runners-ruby", &two_tests("fail")),
            answer(401, "cpu_time", "test-runners", &Value::Null),
            answer(
                200,
                "ok",
                "static-analyzers",
                &json!({"summary": "Good.", "comments": [{"comment": "c"}]}),
            ),
            answer(200, "ok", "representers", &json!("tree")),
            answer(200, "ok", "representers", &json!("tree")),
        ];
        (cases, answers)
    }

    #[test]
    fn expected_verdicts_have_no_findings() {
        let (cases, answers) = cases_and_answers();
        let findings = compare_all(&cases, &answers);
        assert_eq!(findings, vec![Vec::<String>::new(); 5]);
        let shown = anstream::adapter::strip_str(&table(&cases, &answers, &findings)).to_string();
        insta::assert_snapshot!(shown);
    }

    #[test]
    fn every_difference_is_found() {
        let (cases, _) = cases_and_answers();
        let answers = vec![
            answer(200, "ok", "test-runners", &two_tests("pass")),
            answer(403, "oom_killed", "test-runners", &Value::Null),
            answer(200, "ok", "static-analyzers", &json!({"summary": "Bad.", "comments": []})),
            answer(200, "ok", "representers", &json!("tree")),
            answer(200, "ok", "representers", &json!("other tree")),
        ];
        let found: Vec<String> = cases
            .iter()
            .zip(compare_all(&cases, &answers))
            .flat_map(|(case, found)| case.prefix(found))
            .collect();
        insta::assert_snapshot!(found.join("\n"));
    }
}
