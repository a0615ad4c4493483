"""A client in Python: three requests on a REQ socket, then a hundred in flight on a DEALER."""

import json
import sys

import zmq

address, request = sys.argv[1], json.loads(sys.argv[2])
context = zmq.Context()


def connect(kind):
    socket = context.socket(kind)
    socket.setsockopt(zmq.LINGER, 0)
    socket.setsockopt(zmq.RCVTIMEO, 20_000)
    socket.connect(address)
    return socket


def answered(body, wanted):
    answer = json.loads(body)
    assert answer["status"]["status_code"] == 200, answer["status"]
    assert answer["context"]["id"] in wanted, answer["context"]
    wanted.remove(answer["context"]["id"])
    assert answer["response"]["id"] == answer["context"]["id"], answer


req = connect(zmq.REQ)
for number in range(3):
    name = f"py-req-{number}"
    req.send_string(json.dumps(request | {"id": name}))
    answered(req.recv(), {name})

dealer = connect(zmq.DEALER)
names = {f"py-dealer-{number}" for number in range(100)}
for name in sorted(names):
    dealer.send_multipart([b"", json.dumps(request | {"id": name}).encode()])
while names:
    empty, body = dealer.recv_multipart()
    assert empty == b""
    answered(body, names)

print("req 3 dealer 100")
context.destroy()
