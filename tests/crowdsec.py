"""What CrowdSec itself makes of log lines: its own program with the parser and the scenarios of packaging/crowdsec.

Debian's package is unpacked (`apt-get download crowdsec && dpkg -x crowdsec_*.deb FOLDER`) and not installed:
installing it registers the machine at CrowdSec's servers. The program reads a file once, as `cscli explain` lets
it. It wants to sign in somewhere, so a server on the loopback says yes to everything; nothing leaves the machine.
"""

import contextlib
import glob
import http.server
import json
import os
import re
import shutil
import subprocess
import threading
from collections import Counter, namedtuple

OURS = os.path.join(os.path.dirname(__file__), "..", "packaging", "crowdsec")
SECONDS_MAX = 120
# found: how often (log_type, source) was parsed; bans: what was decided, as (scope, source, scenario).
Result = namedtuple("Result", ["found", "bans"])

CONFIG = """\
common: {{daemonize: false, log_media: stdout, log_level: info, working_dir: .}}
config_paths:
  config_dir: {here}/etc
  data_dir: {here}/data
  simulation_path: {here}/etc/simulation.yaml
  hub_dir: {here}/hub
  index_path: {here}/hub/.index.json
crowdsec_service: {{acquisition_path: {here}/etc/acquis.yaml, parser_routines: 1}}
cscli: {{output: human}}
db_config: {{log_level: info, type: sqlite, db_path: {here}/data/crowdsec.db, flush: {{max_items: 5000, max_age: 7d}}}}
prometheus: {{enabled: false}}
api: {{client: {{insecure_skip_verify: false, credentials_path: {here}/etc/api.yaml}}}}
"""


class Yes(http.server.BaseHTTPRequestHandler):
    """Lets everybody sign in and takes every alert."""

    def do_POST(self):  # noqa: N802 (the name is the library's)
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        signed_in = {"code": 200, "token": "a.b.c", "expire": "2099-01-01T00:00:00Z"}
        body = json.dumps(signed_in if self.path.endswith("login") else ["1"]).encode()
        self.send_response(200 if self.path.endswith("login") else 201)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def local_api():
    """The address of a server that says yes."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Yes) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            serving.join()


def set_up(unpacked, here, address):
    """A configuration with CrowdSec's own readers of syslog lines and dates, and what is ours."""
    hub = os.path.join(unpacked, "usr/share/crowdsec/hub")
    shutil.copytree(os.path.join(unpacked, "etc/crowdsec"), f"{here}/etc")
    shutil.copytree(hub, f"{here}/hub")
    os.makedirs(f"{here}/data")
    os.makedirs(f"{here}/dump")
    for source in ("s00-raw/crowdsecurity/syslog-logs.yaml", "s02-enrich/crowdsecurity/dateparse-enrich.yaml"):
        stage = f"{here}/etc/parsers/{source.split('/', maxsplit=1)[0]}"
        os.makedirs(stage)
        shutil.copy(f"{hub}/parsers/{source}", stage)
    shutil.copytree(f"{OURS}/parsers/s01-parse", f"{here}/etc/parsers/s01-parse")
    shutil.copytree(f"{OURS}/scenarios", f"{here}/etc/scenarios")
    with open(f"{here}/config.yaml", "w", encoding="utf-8") as out:
        out.write(CONFIG.format(here=here))
    with open(f"{here}/etc/api.yaml", "w", encoding="utf-8") as out:
        out.write(f"url: {address}\nlogin: test\npassword: test\n")


def parsed(dump):
    """What our parser found, from the program's account of what each parser did to each line."""
    section = re.search(r"^  gatepost/gatepost-logs:\n(.*?)(?=^ {0,2}[^\s-]|\Z)", dump, re.M | re.S)
    found = Counter()
    # The list's dashes are where the mapping above them begins.
    for event in re.split(r"^  - evt:\n", section.group(1) if section else "", flags=re.M):
        meta = dict(re.findall(r"^        (log_type|source_ip|source_range): \"?([^\s\"]+)\"?$", event, re.M))
        if re.search(r"^    success: true$", event, re.M):
            found[(meta["log_type"], meta.get("source_range", meta["source_ip"]))] += 1
    return found


def read(unpacked, directory, text):
    """What CrowdSec makes of lines as a syslog daemon gives them; works in a new folder in `directory`."""
    here = os.path.join(directory, "crowdsec-run")
    os.makedirs(here)
    log = f"{here}/syslog"
    with open(log, "w", encoding="utf-8") as out:
        out.write(text)
    program = glob.glob(f"{unpacked}/usr/bin/crowdsec")
    if not program:
        raise FileNotFoundError(f"{unpacked} has no usr/bin/crowdsec; see the beginning of tests/crowdsec.py")
    with local_api() as address:
        set_up(unpacked, here, address)
        command = [program[0], "-c", f"{here}/config.yaml", "-no-api", "-type", "syslog", "-dsn", f"file://{log}"]
        result = subprocess.run([*command, "-dump-data", f"{here}/dump"], capture_output=True, text=True, timeout=SECONDS_MAX, check=False)
    said = result.stdout + result.stderr
    if result.returncode != 0:
        raise RuntimeError(f"crowdsec ended with {result.returncode}: {said[-3000:]}")
    with open(f"{here}/dump/parser-dump.yaml", encoding="utf-8") as dump:
        found = parsed(dump.read())
    bans = set(re.findall(r"(Ip|Range) (\S+) performed '([^']+)'", said))
    return Result(found, bans)
