# frozen_string_literal: true

require "minitest/autorun"
require_relative "hello_world"

class HelloWorldTest < Minitest::Test
  def test_greets_the_world
    assert_equal "Hello, World!", HelloWorld.hello
  end

  def test_greets_the_same_way_twice
    assert_equal HelloWorld.hello, HelloWorld.hello
  end
end
