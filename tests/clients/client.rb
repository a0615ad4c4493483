# A client in Ruby: three requests on a REQ socket, then a hundred in flight on a DEALER.
require "ffi-rzmq"
require "json"

address, request = ARGV[0], JSON.parse(ARGV[1])
CONTEXT = ZMQ::Context.new

def connect(kind, address)
  socket = CONTEXT.socket(kind)
  socket.setsockopt(ZMQ::LINGER, 0)
  socket.setsockopt(ZMQ::RCVTIMEO, 20_000)
  socket.connect(address)
  socket
end

def check(code, what)
  raise "#{what}: #{ZMQ::Util.error_string}" unless ZMQ::Util.resultcode_ok?(code)
end

def answered(body, wanted)
  answer = JSON.parse(body)
  raise answer["status"].inspect unless answer["status"]["status_code"] == 200
  id = answer["context"]["id"]
  raise "unexpected #{id}" unless wanted.delete(id)
  raise answer.inspect unless answer["response"]["id"] == id
end

req = connect(ZMQ::REQ, address)
3.times do |number|
  name = "rb-req-#{number}"
  check req.send_string(request.merge("id" => name).to_json), "send"
  body = +""
  check req.recv_string(body), "receive"
  answered(body, [name])
end

dealer = connect(ZMQ::DEALER, address)
names = Array.new(100) { |number| "rb-dealer-#{number}" }
names.each { |name| check dealer.send_strings(["", request.merge("id" => name).to_json]), "send" }
until names.empty?
  frames = []
  check dealer.recv_strings(frames), "receive"
  raise frames.inspect unless frames.length == 2 && frames.first.empty?
  answered(frames.last, names)
end

puts "req 3 dealer 100"
