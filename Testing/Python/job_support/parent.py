"""A program that runs one job and tells on standard output when it runs; the tests kill it."""

import sys
from pathlib import Path

from running import behaviour_client, volume_of_ones

folder, name, seconds, ending = sys.argv[1:]
client = behaviour_client(Path(folder))
job = client.submit(
    "behaviour", {"input": volume_of_ones()}, bundle=None, parameters={"behaviour": name, "seconds": float(seconds)}
)
job.on_progress = lambda event: (
    event.fraction > 0 and sys.stdout.write(f"{client.facts['pid']}\n") and sys.stdout.flush()
)
while not any(getattr(event, "fraction", 0) > 0 for event in job.poll()):
    client.wait_for_news(0.1)
if ending == "wait":
    job.wait()
