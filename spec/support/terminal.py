"""Runs a program on a terminal of its own: terminal.py CONTROL ROWS COLUMNS PROGRAM [ARGUMENT...]

What the program writes goes to stdout. Lines that are written to CONTROL, a path at which a FIFO is
made, are orders: "key TEXT" types TEXT, "size ROWS COLUMNS" changes the terminal's size, "continue" goes on
with a program that has stopped. Ends with the program's exit code.
"""
import fcntl
import os
import pty
import select
import signal
import struct
import sys
import termios


def resize(fd, rows, columns):
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def obey(fd, pid, line):
    word, _, rest = line.partition(" ")
    if word == "key":
        os.write(fd, rest.encode())
    elif word == "size":
        rows, columns = rest.split()
        resize(fd, int(rows), int(columns))
    elif word == "continue":
        os.kill(pid, signal.SIGCONT)


def main():
    control, rows, columns, program = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:]
    os.mkfifo(control + ".new")
    orders = os.open(control + ".new", os.O_RDWR)
    ready, go = os.pipe()
    pid, fd = pty.fork()
    if pid == 0:
        os.read(ready, 1)  # until the terminal has its size
        os.environ["TERM"] = "xterm"
        os.execv(program[0], program)
    resize(fd, rows, columns)
    os.write(go, b"x")
    os.rename(control + ".new", control)
    signal.signal(signal.SIGTERM, lambda *_: os.kill(pid, signal.SIGTERM))
    pending = b""
    while True:
        readable, _, _ = select.select([fd, orders], [], [])
        if orders in readable:
            pending += os.read(orders, 4096)
            *lines, pending = pending.split(b"\n")
            for line in lines:
                obey(fd, pid, line.decode())
        if fd in readable:
            try:
                data = os.read(fd, 65536)
            except OSError:
                break
            if not data:
                break
            os.write(1, data)
    _, status = os.waitpid(pid, 0)
    sys.exit(os.waitstatus_to_exitcode(status))


main()
