# frozen_string_literal: true

require "minitest/autorun"
require_relative "two_fer"

class TwoFerTest < Minitest::Test
  def test_without_a_name
    assert_equal "One for you, one for me.", TwoFer.two_fer
  end

  def test_with_a_name
    assert_equal "One for Amara, one for me.", TwoFer.two_fer("Amara")
  end

  def test_with_a_name_outside_ascii
    assert_equal "One for Zoë, one for me.", TwoFer.two_fer("Zoë")
  end
end
