# frozen_string_literal: true

# The Gregorian calendar, but for its last rule.
module Year
  def self.leap?(year)
    (year % 4).zero? && !(year % 100).zero?
  end
end
