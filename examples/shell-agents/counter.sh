#!/bin/sh
# Reads the task from the file that phisync names, and leaves the answer in the other one: stdout is
# free for talk.
set -eu

text=$(tr -d '\n' <"$PHISYNC_TASK_FILE" | sed -n 's/.*"input":{[^}]*"text":"\([^"]*\)".*/\1/p')
letters=$(printf %s "$text" | tr -cd 'A-Za-z' | wc -c)
echo "counted run $PHISYNC_RUN_ID, attempt $PHISYNC_ATTEMPT"
printf '{"letters": %d}\n' "$letters" >"$PHISYNC_OUTPUT_FILE"
