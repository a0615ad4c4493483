# frozen_string_literal: true

# The traditional greeting.
module HelloWorld
  def self.hello
    puts "I am about to greet the world"
    "Hello World"
  end
end
