//! Answers against expectations, and the table of both. Pure.

use std::iter;

use clap::builder::styling::AnsiColor;
use trackyard_protocol::answer::Answer;

use super::case::Case;
use crate::console::painted;
use crate::table;
use crate::verdict::{self, Analysis, TestResults};

/// What differs, case by case; all of it empty if every verdict is the expected one.
pub(super) fn all(cases: &[Case], answers: &[Answer]) -> Vec<Vec<String>> {
    let pairs: Vec<(&Case, &Answer)> = cases.iter().zip(answers).collect();
    let twin = |case: &Case, dir: &str| {
        let same = |(other, _): &&(&Case, &Answer)| {
            other.expected.dir == dir && other.expected.channel == case.expected.channel
        };
        pairs.iter().find(same).map(|(_, answer)| *answer)
    };
    let findings = |(case, answer): &(&Case, &Answer)| {
        let mut found = one(case, answer);
        if let Some(dir) = &case.expected.same_as
            && twin(case, dir).map(|answer| &answer.response) != Some(&answer.response)
        {
            found.push(format!("the representation is not that of {dir}"));
        }
        found
    };
    pairs.iter().map(findings).collect()
}

/// What differs between an answer and what its case expects.
pub(super) fn one(case: &Case, answer: &Answer) -> Vec<String> {
    let expected = &case.expected;
    let results = TestResults::read(&answer.response);
    let analysis = Analysis::read(&answer.response);
    let reason = verdict::reason(answer);
    let mut found = Vec::new();
    differs(&mut found, "status", Some(&expected.status_code), &answer.status.status_code);
    if !expected.reason.contains(&reason) {
        found.push(format!("the reason is {reason}, not {}", expected.reason.join(" or ")));
    }
    differs(&mut found, "worker", Some(&case.worker), &verdict::worker(answer));
    differs(&mut found, "result", expected.result.as_ref(), &results.status);
    differs(&mut found, "count of tests", expected.tests.as_ref(), &results.counts());
    differs(&mut found, "summary", expected.summary.as_ref(), &analysis.about);
    let names = analysis.names().map(str::to_owned).collect();
    differs(&mut found, "list of comments", expected.comments.as_ref(), &names);
    if !found.is_empty() && !answer.status.ok {
        found.push(format!("the router says: {}", answer.status.message));
    }
    found
}

fn differs<T: PartialEq + std::fmt::Debug>(
    found: &mut Vec<String>,
    what: &str,
    expected: Option<&T>,
    is: &T,
) {
    if let Some(expected) = expected.filter(|expected| *expected != is) {
        found.push(format!("the {what} is {is:?}, not {expected:?}"));
    }
}

/// A row for each case.
pub(super) fn table(cases: &[Case], answers: &[Answer], findings: &[Vec<String>]) -> String {
    let header @ [_, verdict_column, ..] =
        ["EXERCISE", "VERDICT", "REASON", "TIME", "WORKER", "RESULT", "EXPECTED"];
    let row = |((case, answer), found): ((&Case, &Answer), &Vec<String>)| {
        vec![
            case.name(),
            answer.status.status_code.to_string(),
            verdict::reason(answer),
            verdict::seconds(answer).unwrap_or_else(|| "-".to_owned()),
            verdict::worker(answer),
            result(case, answer),
            if found.is_empty() { "yes" } else { "NO" }.to_owned(),
        ]
    };
    let rows: Vec<Vec<String>> = cases.iter().zip(answers).zip(findings).map(row).collect();
    let table = table::render(&header, &rows);
    let colours = cases.iter().zip(answers).map(|(case, answer)| verdict::colour(case.job.channel, answer));
    coloured(&table, verdict_column, colours)
}

/// The table with one column in a colour for each row.
fn coloured(table: &str, column: &str, colours: impl Iterator<Item = AnsiColor>) -> String {
    let mut lines = table.lines();
    let header = lines.next().unwrap_or_default();
    let start = header.find(column).unwrap_or_default();
    let row = |(line, colour): (&str, AnsiColor)| {
        let (before, cell) = line.split_at_checked(start).unwrap_or((line, ""));
        let (cell, after) = cell.split_at_checked(cell.find(' ').unwrap_or(cell.len())).unwrap_or((cell, ""));
        format!("\n{before}{}{after}", painted(colour, cell))
    };
    iter::once(header.to_owned()).chain(lines.zip(colours).map(row)).collect()
}

fn result(case: &Case, answer: &Answer) -> String {
    let summary = verdict::summary(case.expected.channel, answer);
    if summary.is_empty() { "-".to_owned() } else { summary }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::local::layouts::Versions;
    use serde_json::{Value, json};
    use trackyard_protocol::name::TrackSlug;

    fn case(number: usize, channel: &str, track: &str, more: &Value) -> Case {
        let mut entry = json!({"channel": channel, "track": track, "exercise": "leap", "dir": format!("{track}/x/{number}"),
            "status_code": 200, "reason": ["ok"]});
        entry.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let expected: super::super::Expected = serde_json::from_value(entry).unwrap();
        let version = format!("git-{}", "a".repeat(40)).parse().unwrap();
        let slug = TrackSlug::new(track).unwrap();
        let versions = Versions::from([(expected.channel, [(slug, vec![version])].into())]);
        Case::new(number, expected, &versions, &[TrackSlug::new("ruby").unwrap()]).unwrap()
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

    fn cases_and_answers() -> (Vec<Case>, Vec<Answer>) {
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
    fn expected_verdicts_leave_nothing_to_say() {
        let (cases, answers) = cases_and_answers();
        let findings = all(&cases, &answers);
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
        let found: Vec<String> =
            cases.iter().zip(all(&cases, &answers)).flat_map(|(case, found)| case.named(found)).collect();
        insta::assert_snapshot!(found.join("\n"));
    }
}
