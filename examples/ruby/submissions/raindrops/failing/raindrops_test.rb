# frozen_string_literal: true

require "minitest/autorun"
require_relative "raindrops"

class RaindropsTest < Minitest::Test
  def test_number_without_a_sound
    assert_equal "34", Raindrops.convert(34)
  end

  def test_factor_3
    assert_equal "Pling", Raindrops.convert(9)
  end

  def test_factor_5
    assert_equal "Plang", Raindrops.convert(25)
  end

  def test_factor_7
    assert_equal "Plong", Raindrops.convert(49)
  end

  def test_factors_3_and_7
    assert_equal "PlingPlong", Raindrops.convert(21)
  end

  def test_all_factors
    assert_equal "PlingPlangPlong", Raindrops.convert(105)
  end
end
