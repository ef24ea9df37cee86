#!/bin/sh
# Stands for two agents. A task comes as JSON on stdin; the answer goes to stdout, as JSON.
set -eu

task=$(cat)
case "$task" in
*'"type":"facts"'*)
    echo '{"facts": ["Otters sleep on their backs.", "They use stones as tools.", "Their fur is the densest of all."]}'
    ;;
*'"type":"paragraph"'*)
    # The facts stand in the prompt, as text.
    case "$task" in
    *stones*) echo '{"text": "Otters sleep on their backs, open shells with stones and wear the densest fur of all."}' ;;
    *)
        echo '{"error": {"code": "app.no_facts", "message": "the prompt holds no facts"}}'
        exit 1
        ;;
    esac
    ;;
*)
    echo '{"error": {"code": "app.unknown_task", "message": "this agent knows about otters only"}}'
    exit 1
    ;;
esac
