# frozen_string_literal: true

# The sounds of a number's factors, or else its digits.
module Raindrops
  def self.convert(number
    number.to_s
  end
end
