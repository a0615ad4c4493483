"""client.py ADDRESS: sends each line of standard input as a request, all at once, and prints each answer as a line.

A line {"_again": SECONDS} at the start makes it send a request again, with the same id, that had no answer for so long:
what a client does that must not lose a job.
"""
import json
import sys
import time

import zmq


def main(address):
    requests = {}
    again = None
    for line in sys.stdin:
        request = json.loads(line)
        if "_again" in request:
            again = request["_again"]
        else:
            requests[request.get("id", "")] = line.strip()
    socket = zmq.Context().socket(zmq.DEALER)
    socket.setsockopt(zmq.LINGER, 0)
    socket.connect(address)
    send(socket, requests.values())
    sent = time.monotonic()
    while requests:
        if not socket.poll(500):
            if again and time.monotonic() - sent > again:
                send(socket, requests.values())
                sent = time.monotonic()
            continue
        body = socket.recv_multipart()[-1].decode()
        answer = json.loads(body)
        retry = again and answer["status"]["status_code"] in (503, 504)
        name = answer["context"].get("id", "")
        if not retry and requests.pop(name, None) is not None:
            print(json.dumps(answer), flush=True)


def send(socket, requests):
    for request in requests:
        socket.send_multipart([b"", request.encode()])


main(sys.argv[1])
