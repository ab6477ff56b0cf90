#!/usr/bin/env python3
"""A name server on UDP that does what a file says, which is read anew for every question.

  dns.py ZONE.json       prints "port N", then "query NAME TYPE" for every question that came

The zone maps a lower-case name to an object; names that are not in it get NXDOMAIN:
  {"a": ["127.0.0.1"], "aaaa": ["::1"], "ttl": 60, "rcode": "SERVFAIL", "delay": ms, "drop": true,
   "delay_aaaa": ms, "drop_aaaa": true, "cname": "other.test",
   "srv": [[priority, weight, port, "target.test"]]}
"""
import json
import socket
import struct
import sys
import threading

RCODES = {"NOERROR": 0, "FORMERR": 1, "SERVFAIL": 2, "NXDOMAIN": 3, "NOTIMP": 4, "REFUSED": 5}
TYPES = {1: "A", 28: "AAAA", 5: "CNAME", 6: "SOA", 33: "SRV"}


def encode_name(name):
    return b"".join(bytes([len(p)]) + p.encode() for p in name.split(".") if p) + b"\0"


def read_question(packet):
    labels, at = [], 12
    while packet[at]:
        labels.append(packet[at + 1:at + 1 + packet[at]].decode("latin-1"))
        at += packet[at] + 1
    qtype, = struct.unpack("!H", packet[at + 1:at + 3])
    return ".".join(labels).lower(), qtype, packet[12:at + 5]


def record(name, rtype, ttl, data):
    return encode_name(name) + struct.pack("!HHIH", rtype, 1, ttl, len(data)) + data


def build(packet, question, name, qtype, entry):
    rcode = RCODES[entry.get("rcode", "NOERROR")] if entry is not None else 3
    answers, owner, ttl = [], name, (entry or {}).get("ttl", 60)
    if rcode == 0 and "cname" in entry:
        owner = entry["cname"]
        answers.append(record(name, 5, ttl, encode_name(owner)))
    if rcode == 0 and qtype == 1:
        answers += [record(owner, 1, ttl, socket.inet_pton(socket.AF_INET, a)) for a in entry.get("a", [])]
    if rcode == 0 and qtype == 28:
        answers += [record(owner, 28, ttl, socket.inet_pton(socket.AF_INET6, a))
                    for a in entry.get("aaaa", [])]
    if rcode == 0 and qtype == 33:
        answers += [record(owner, 33, ttl, struct.pack("!HHH", p, w, port) + encode_name(target))
                    for p, w, port, target in entry.get("srv", [])]
    header = packet[:2] + struct.pack("!HHHHH", 0x8180 | rcode, 1, len(answers), 0, 0)
    return header + question + b"".join(answers)


def main():
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 0))
    print("port", server.getsockname()[1], flush=True)
    while True:
        packet, peer = server.recvfrom(4096)
        name, qtype, question = read_question(packet)
        print("query", name, TYPES.get(qtype, qtype), flush=True)
        with open(sys.argv[1]) as f:
            entry = json.load(f).get(name)
        options = entry or {}
        if options.get("drop") or (qtype == 28 and options.get("drop_aaaa")):
            continue
        delay = options.get("delay", 0)
        if qtype == 28:
            delay = options.get("delay_aaaa", delay)
        reply = build(packet, question, name, qtype, entry)
        threading.Timer(delay / 1000, server.sendto, (reply, peer)).start()


main()
