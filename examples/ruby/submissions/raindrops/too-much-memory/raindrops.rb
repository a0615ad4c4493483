# frozen_string_literal: true

# Collects 4 GiB of rain.
module Raindrops
  def self.convert(number)
    buckets = Array.new(64) { "*" * (64 << 20) }
    "#{number}#{buckets.clear.join}"
  end
end
