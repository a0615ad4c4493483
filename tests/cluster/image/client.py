"""client.py ADDRESS: sends all lines of standard input as requests, at once, and prints each answer as a line.

After a line {"_again": SECONDS} at the start, requests without an answer are sent again every SECONDS, with the same id,
as a client does that must not lose a job.
"""
import json
import sys
import time

import zmq


def main(address):
    requests = {}
    interval = None
    for line in sys.stdin:
        request = json.loads(line)
        if "_again" in request:
            interval = request["_again"]
        else:
            requests[request.get("id", "")] = line.strip()
    socket = zmq.Context().socket(zmq.DEALER)
    socket.setsockopt(zmq.LINGER, 0)
    socket.connect(address)
    send(socket, requests.values())
    sent = time.monotonic()
    while requests:
        if not socket.poll(500):
            if interval and time.monotonic() - sent > interval:
                send(socket, requests.values())
                sent = time.monotonic()
            continue
        body = socket.recv_multipart()[-1].decode()
        answer = json.loads(body)
        retry = interval and answer["status"]["status_code"] in (503, 504)
        id = answer["context"].get("id", "")
        if not retry and requests.pop(id, None) is not None:
            print(json.dumps(answer), flush=True)


def send(socket, requests):
    for request in requests:
        socket.send_multipart([b"", request.encode()])


main(sys.argv[1])
