#!/usr/bin/env python3
"""Tests the example tooling on this machine, without a container.

Usage: check.py [unittest options]

Needs bash, Python 3.10 or newer, and Ruby with minitest (on Debian:
apt-get install ruby ruby-minitest). Submissions that only a sandbox can stop
are not run here.
"""

import json
import os
import re
import shutil
import subprocess
import tempfile
import unittest
from collections import Counter
from pathlib import Path

EXAMPLES = Path(__file__).resolve().parent
EXPECTED = json.loads((EXAMPLES / "expected.json").read_text())
TOOLING = {"test_runners": "test-runner", "static_analyzers": "analyzer", "representers": "representer"}
EXTENSION = {"python": "py", "ruby": "rb"}

# The assertions that the tests use, each with its opposite.
OPPOSITE = {
    "self.assertEqual(": "self.assertNotEqual(",
    "self.assertIs(": "self.assertIsNot(",
    "assert_equal ": "refute_equal ",
    "assert ": "refute ",
    "refute ": "assert ",
}
ASSERTION = re.compile("(?<= )(" + "|".join(re.escape(assertion) for assertion in OPPOSITE) + ")")


def run(case, dir):
    """Runs a case's tooling on a copy of its submission, as a worker does."""
    tooling = EXAMPLES / case["track"] / TOOLING[case["channel"]]
    path = f"{dir}/"
    return subprocess.run(
        ["bin/run.sh", case["exercise"], path, path],
        cwd=tooling,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "HOME": "/tmp", "LANG": "C.UTF-8"},
    )


def read(path):
    return json.loads(path.read_text())


class Case(unittest.TestCase):
    def submission(self, case):
        """Returns a copy of a case's submission, which is removed after the test."""
        home = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, home)
        return Path(shutil.copytree(EXAMPLES / case["dir"], home / "submission"))

    def cases(self, channel, **fields):
        """Returns the cases of a channel that end by themselves."""
        cases = [
            case
            for case in EXPECTED
            if case["channel"] == channel
            and case["status_code"] in (200, 513)
            and all(case[name] == value for name, value in fields.items())
        ]
        self.assertNotEqual(cases, [])
        return cases

    def run_case(self, case, dir):
        result = run(case, dir)
        self.assertEqual(result.returncode == 0, case["status_code"] == 200, f"{case['dir']}: {result.stderr}")
        return result


class TestRunners(Case):
    def test_results_are_as_expected(self):
        for case in self.cases("test_runners"):
            dir = self.submission(case)
            self.run_case(case, dir)
            report = read(dir / "results.json")
            self.assertEqual(report["version"], 2)
            self.assertEqual(report["status"], case["result"], report)
            count = Counter(test["status"] for test in report["tests"])
            self.assertEqual({status: count[status] for status in ("pass", "fail", "error")}, case["tests"], report)
            self.assertEqual(bool(report["message"]), report["status"] == "error")
            self.assertNotIn(str(dir), json.dumps(report))

    def test_entries_are_in_file_order(self):
        for case in self.cases("test_runners", result="pass"):
            dir = self.submission(case)
            self.run_case(case, dir)
            tests = read(dir / "results.json")["tests"]
            stem = case["exercise"].replace("-", "_")
            source = (dir / f"{stem}_test.{EXTENSION[case['track']]}").read_text()
            names = re.findall(r"def test_(\w+)", source)
            self.assertEqual([test["name"].split(" > ")[1] for test in tests], [n.replace("_", " ") for n in names])
            for test in tests:
                self.assertIn(test["test_code"], source)

    def test_a_broken_assertion_fails_only_its_entry(self):
        for case in self.cases("test_runners", result="pass"):
            dir = self.submission(case)
            stem = case["exercise"].replace("-", "_")
            test_file = dir / f"{stem}_test.{EXTENSION[case['track']]}"
            source = test_file.read_text()
            assertions = list(ASSERTION.finditer(source))
            self.assertEqual(len(assertions), sum(case["tests"].values()))
            for number, found in enumerate(assertions):
                test_file.write_text(source[: found.start()] + OPPOSITE[found[0]] + source[found.end() :])
                self.run_case(case, dir)
                report = read(dir / "results.json")
                self.assertEqual(report["status"], "fail")
                flipped = [i for i, test in enumerate(report["tests"]) if test["status"] != "pass"]
                self.assertEqual(flipped, [number], report)

    def test_output_of_a_test_is_truncated(self):
        for case in self.cases("test_runners", exercise="hello-world", tests={"pass": 1, "fail": 1, "error": 0}):
            dir = self.submission(case)
            self.run_case(case, dir)
            output = read(dir / "results.json")["tests"][0]["output"]
            self.assertEqual(output, "I am about to greet the world\n")

            solution = dir / f"hello_world.{EXTENSION[case['track']]}"
            solution.write_text(re.sub(r"(print|puts)\b.*", r"\1('long ' * 1000000)", solution.read_text()))
            result = self.run_case(case, dir)
            output = read(dir / "results.json")["tests"][0]["output"]
            self.assertEqual(len(output), 500)
            self.assertIn("truncated", output)
            self.assertEqual(result.stdout, "")

    def test_output_past_the_library_reaches_stdout(self):
        for case in EXPECTED:
            if case["reason"] == ["stdout_limit"]:
                self.assertGreater(len(run(case, self.submission(case)).stdout), 1 << 20)

    def test_a_missing_test_file_is_reported(self):
        for track in EXTENSION:
            with tempfile.TemporaryDirectory() as dir:
                case = {"dir": dir, "track": track, "channel": "test_runners", "exercise": "leap"}
                self.run_case({**case, "status_code": 200}, dir)
                self.assertEqual(read(Path(dir) / "results.json")["status"], "error")

    def test_a_link_instead_of_the_report_is_replaced(self):
        for case in self.cases("test_runners", result="pass", exercise="leap"):
            dir = self.submission(case)
            other = dir / "other"
            other.write_text("untouched")
            (dir / "results.json").symlink_to(other)
            self.run_case(case, dir)
            self.assertEqual(other.read_text(), "untouched")
            self.assertFalse((dir / "results.json").is_symlink())


class Analyzers(Case):
    def test_comments_are_as_expected(self):
        for case in self.cases("static_analyzers"):
            dir = self.submission(case)
            self.run_case(case, dir)
            analysis = read(dir / "analysis.json")
            self.assertEqual(analysis["summary"], case["summary"])
            self.assertEqual([comment["comment"] for comment in analysis["comments"]], case["comments"])
            kinds = {comment["type"] for comment in analysis["comments"]}
            self.assertLessEqual(kinds, {"essential", "actionable", "informative", "celebratory"})
            self.assertIsInstance(read(dir / "tags.json")["tags"], list)


class Representers(Case):
    def test_representations_are_as_expected(self):
        for case in self.cases("representers"):
            dir = self.submission(case)
            self.run_case(case, dir)
            if case["status_code"] != 200:
                self.assertFalse((dir / "representation.txt").exists())
                continue
            text = (dir / "representation.txt").read_text()
            mapping = read(dir / "mapping.json")
            self.assertEqual(read(dir / "representation.json"), {"version": 1})
            self.assertEqual(mapping["PLACEHOLDER_1"], "convert")
            self.assertNotIn("convert", text)
            if "same_as" in case:
                other = self.submission({"dir": case["same_as"]})
                self.run_case(case, other)
                self.assertEqual(text, (other / "representation.txt").read_text())


class Submissions(unittest.TestCase):
    def test_each_submission_has_an_expected_verdict(self):
        existing = {str(path.relative_to(EXAMPLES)) for path in EXAMPLES.glob("*/submissions/*/*")}
        self.assertEqual({case["dir"] for case in EXPECTED}, existing)

    def test_variants_of_an_exercise_have_the_same_tests(self):
        for exercise in EXAMPLES.glob("*/submissions/*"):
            self.assertEqual(len({path.read_text() for path in exercise.glob("*/*_test.*")}), 1, exercise)


if __name__ == "__main__":
    for tool in ("bash", "ruby"):
        if not shutil.which(tool):
            raise SystemExit(f"{tool} is missing; on Debian: apt-get install {tool}")
    unittest.main()
