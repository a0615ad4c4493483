# frozen_string_literal: true

# Runs the tests of one exercise and writes results.json, version 2.
#
# The tests run in a process of their own (see suite.rb), which writes each step
# to a journal. So there is a report even if the submission exits, crashes or
# overflows the stack.

require "json"
require "rbconfig"
require "tempfile"

SUITE = File.join(__dir__, "suite.rb")

# Returns the journal of a test run, and how its process ended.
def run_suite(test_file)
  # A file, not a pipe: a process left behind by the submission could hold a
  # pipe open forever.
  Tempfile.create("journal") do |journal|
    pid = spawn(RbConfig.ruby, SUITE, test_file, journal.fileno.to_s,
                chdir: File.dirname(test_file), in: File::NULL, journal.fileno => journal.fileno)
    _, status = Process.wait2(pid)
    lines = File.readlines(journal.path, encoding: "UTF-8")
    events = lines.select { |line| line.end_with?("\n") }.map { |line| JSON.parse(line) }
    [events, status]
  end
end

# Makes the report from a journal.
def summarize(events, status)
  planned = running = nil
  finished = {}
  events.each do |event|
    case event["event"]
    when "broken" then return error(event["message"])
    when "plan" then planned = event["tests"]
    when "start" then running = event["test"]
    when "end"
      finished[event["test"]] = event["outcome"]
      running = nil
    end
  end

  how = describe_exit(status)
  return error("The tests could not be loaded: the process #{how}.") if planned.nil?
  return error("The test file holds no tests.") if planned.empty?

  tests = planned.each_with_index.map do |test, number|
    where = number == running ? "in this test" : "before this test"
    test.merge(finished[number] ||
               { "status" => "error", "message" => "The process #{how} #{where}.", "output" => nil })
  end
  passed = tests.all? { |test| test["status"] == "pass" }
  { version: 2, status: passed ? "pass" : "fail", message: nil, tests: tests }
end

def describe_exit(status)
  return "was ended by SIG#{Signal.signame(status.termsig)}" if status.signaled?

  "ended with exit code #{status.exitstatus}"
end

def error(message)
  { version: 2, status: "error", message: message, tests: [] }
end

# The file is renamed into place, so it is whole or absent, and a link left there
# by the submission is replaced, not followed.
def write(path, report)
  draft = Tempfile.create("results", File.dirname(path))
  draft.write(JSON.pretty_generate(report), "\n")
  draft.chmod(0o644)
  draft.close
  File.rename(draft.path, path)
end

slug, source, target = ARGV
test_file = File.join(File.realpath(source), "#{slug.tr('-', '_')}_test.rb")
report =
  if File.file?(test_file)
    summarize(*run_suite(test_file))
  else
    error("There is no #{File.basename(test_file)} beside the solution.")
  end
write(File.join(File.realpath(target), "results.json"), report)
