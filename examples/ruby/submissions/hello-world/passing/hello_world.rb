# frozen_string_literal: true

# The traditional greeting.
module HelloWorld
  def self.hello
    "Hello, World!"
  end
end
