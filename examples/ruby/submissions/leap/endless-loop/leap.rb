# frozen_string_literal: true

# Goes back from leap year to leap year, and never stops.
module Year
  def self.leap?(year)
    leap = 2000
    leap -= 4 until leap == year
    true
  end
end
