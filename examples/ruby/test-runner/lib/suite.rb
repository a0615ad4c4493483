# frozen_string_literal: true

# Runs one test file and writes each step to a journal, one JSON a line.
#
# Usage: suite.rb <test-file> <journal-descriptor>
#
#     {"event": "plan", "tests": [{"name", "test_code"}]}
#     {"event": "start", "test": 0}
#     {"event": "end", "test": 0, "outcome": {"status", "message", "output"}}
#     {"event": "broken", "message"}        the test file cannot even be loaded

require "json"
require "minitest"

MAX_OUTPUT = 500 # characters per test, as the interface requires
MAX_MESSAGE = 2000 # characters

module Minitest
  # This process runs the tests, not "minitest/autorun" in a test file.
  def self.autorun; end

  class Test
    # In a student's copy all tests but the first are skipped; here all run.
    def skip(*); end
  end
end

# Appends events, but not in a process that the submission forked.
class Journal
  def initialize(descriptor)
    @file = IO.for_fd(descriptor, "w")
    @file.sync = true
    @owner = Process.pid
  end

  def note(event, **fields)
    @file.write(JSON.generate(event: event, **fields), "\n") if Process.pid == @owner
  end
end

# Keeps the beginning of what is written.
class Excerpt
  NOTE = "\nOutput was truncated. Please limit to 500 chars"

  def initialize(limit)
    @limit = limit
    @kept = +""
    @over = false
  end

  def write(*texts)
    texts.sum do |text|
      text = plain(text)
      room = @limit - @kept.length
      @kept << text[0, room]
      @over ||= text.length > room
      text.bytesize
    end
  end

  def <<(text)
    write(text)
    self
  end

  def print(*texts)
    write(*texts)
    nil
  end

  def puts(*lines)
    lines = [""] if lines.empty?
    lines.flatten.each { |line| write(line.to_s.end_with?("\n") ? line : "#{line}\n") }
    nil
  end

  def printf(*arguments) = print(format(*arguments))

  # The other methods of an IO: nothing is buffered, and this is no terminal.
  def flush = self
  def fsync = 0
  def sync = true
  def sync=(value); end
  def tty? = false
  alias isatty tty?

  def text
    return @kept[0, @limit - NOTE.length] + NOTE if @over

    @kept.empty? ? nil : @kept
  end
end

# Returns text that is valid in JSON.
def plain(text)
  text.to_s.dup.force_encoding(Encoding::UTF_8).scrub
end

# A test method of a class.
Item = Struct.new(:type, :name) do
  def file_and_line = type.instance_method(name).source_location

  def describe
    words = name.delete_prefix("test_").tr("_", " ")
    { name: "#{type.name} > #{words}", test_code: body }
  end

  # Returns the source of the method's body. The method's end is the first one
  # with the indentation of its head.
  def body
    file, line = file_and_line
    lines = File.readlines(file, encoding: "UTF-8").drop(line - 1)
    return lines.first.strip if lines.first.match?(/\A\s*def \w+(\s+=|.*\bend\s*$)/)

    margin = lines.first[/\A\s*/]
    inside = lines.drop(1).take_while { |text| !text.start_with?("#{margin}end") }
    indent = inside.reject { |text| text.strip.empty? }.map { |text| text[/\A\s*/].length }.min || 0
    inside.map { |text| text.strip.empty? ? "\n" : text[indent..] }.join.chomp
  end

  def run(dir)
    output = Excerpt.new(MAX_OUTPUT)
    problem = capture(output) { type.new(name).run.failures.first }
    { status: verdict(problem), message: problem && explain(problem, dir), output: output.text }
  end

  private

  # The student's output is what goes through $stdout. Other writes go to this
  # process's own standard output.
  def capture(output)
    real = [$stdout, $stderr]
    $stdout = $stderr = output
    yield
  rescue Exception => e # minitest does not catch exit and Interrupt
    e
  ensure
    $stdout, $stderr = real
  end

  def verdict(problem)
    case problem
    when nil then "pass"
    when Minitest::UnexpectedError then "error"
    when Minitest::Assertion then "fail"
    else "error"
    end
  end
end

# Returns the tests of a file, in file order.
def load_tests(test_file)
  $LOAD_PATH.unshift(File.dirname(test_file))
  Kernel.load(test_file)
  items = Minitest::Runnable.runnables.flat_map do |type|
    type.instance_methods.grep(/\Atest_/).map { |name| Item.new(type, name.to_s) }
  end
  items.sort_by { |item| item.file_and_line.last }
end

# Formats an exception for a student, with only the submission's own lines.
def explain(problem, dir)
  problem = problem.error if problem.is_a?(Minitest::UnexpectedError)
  text = plain(problem.message)
  unless problem.is_a?(Minitest::Assertion)
    own = (problem.backtrace || []).select { |line| line.start_with?("#{dir}/") }
    text = ["#{problem.class}: #{text}", *own.first(5).map { |line| "  #{line}" }].join("\n")
  end
  text = text.gsub("#{dir}/", "")
  text.length <= MAX_MESSAGE ? text : "#{text[0, MAX_MESSAGE]} ..."
end

def main(test_file, descriptor)
  dir = File.dirname(test_file)
  journal = Journal.new(descriptor)
  begin
    items = load_tests(test_file)
  rescue Exception => e # a submission may raise anything at all
    return journal.note("broken", message: explain(e, dir))
  end
  journal.note("plan", tests: items.map(&:describe))
  items.each_with_index do |item, number|
    journal.note("start", test: number)
    journal.note("end", test: number, outcome: item.run(dir))
  end
end

exit_code = 0
begin
  main(ARGV[0], Integer(ARGV[1]))
rescue Exception => e
  STDERR.puts e.full_message(highlight: false)
  exit_code = 1
end
# Do not wait for the submission's threads, and do not run its exit handlers.
STDOUT.flush
exit!(exit_code)
