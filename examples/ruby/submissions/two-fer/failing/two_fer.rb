# frozen_string_literal: true

# Says who gets the two cookies, if it is told.
module TwoFer
  def self.two_fer(name = "")
    "One for #{name}, one for me."
  end
end
