# frozen_string_literal: true

# The sounds of a number's factors, or else nothing.
module Raindrops
  SOUNDS = { 3 => "Pling", 5 => "Plang", 7 => "Plong" }.freeze

  def self.convert(number)
    SOUNDS.select { |factor, _| (number % factor).zero? }.values.join
  end
end
