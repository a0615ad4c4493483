# frozen_string_literal: true

require "minitest/autorun"
require_relative "leap"

class LeapTest < Minitest::Test
  def test_odd_year_is_common
    refute Year.leap?(2021)
  end

  def test_even_year_not_divisible_by_4_is_common
    refute Year.leap?(1994)
  end

  def test_year_divisible_by_4_is_leap
    assert Year.leap?(2024)
  end

  def test_century_is_common
    refute Year.leap?(1900)
  end

  def test_fourth_century_is_leap
    assert Year.leap?(2000)
  end
end
