"""A small service for the supervisor's tests: `python dummy_service.py NAME BEHAVIOUR FOLDER PORT`. Standard library
only, so that it starts in tenths of a second.
"""

import errno
import os
import signal
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread


class Metrics(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def main(name: str, behaviour: str, folder: Path, port: int) -> None:
    if behaviour == "crash":
        sys.exit("no luck")
    if behaviour == "refuse":
        print("learner.gamma: wrong")
        sys.exit(2)
    if behaviour == "diverge":
        print("updates in a row had a gradient that is not finite")
        sys.exit(65)
    if behaviour == "full":
        print("versions/v7: No space left on device")
        sys.exit(74)
    if behaviour == "away":
        print("no Kafka broker answers")
        sys.exit(75)
    if behaviour == "fill":
        fill(folder)
    signal.signal(signal.SIGTERM, signal.SIG_IGN if behaviour == "stubborn" else lambda *_: sys.exit(0))
    signal.signal(signal.SIGHUP, lambda *_: (folder / f"{name}.reloaded").touch())
    if behaviour == "family":
        for new_session in (False, True):
            subprocess.Popen(["sleep", "600"], start_new_session=new_session)
    Thread(target=HTTPServer(("127.0.0.1", port), Metrics).serve_forever, daemon=True).start()
    new = folder / f"{name}.new"
    new.write_text(str(os.getpid()))
    new.replace(folder / f"{name}.ready")
    while behaviour != "leave" or not (folder / "leave").exists():
        time.sleep(0.02)


def fill(folder: Path) -> None:
    try:
        with (folder / "ballast").open("wb") as ballast:
            while True:
                ballast.write(b"0" * 65536)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            sys.exit(74)
        raise


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]))
