"""Says when expressions are due by cronsim, an implementation that is not ours: a line of JSON for each that is read."""

import json
import sys
from datetime import datetime, timezone
from zoneinfo import ZoneInfo

from cronsim import CronSim

for line in sys.stdin:
    case = json.loads(line)
    after = datetime.fromtimestamp(case["after"], timezone.utc).astimezone(ZoneInfo(case["zone"]))
    moments = CronSim(case["cron"], after)
    due = []
    while len(due) < case["count"]:
        moment = int(next(moments).timestamp())
        # What was skipped is made up for once, however often it was to be: cronsim says it each time.
        if not due or moment != due[-1]:
            due.append(moment)
    print(json.dumps(due))
