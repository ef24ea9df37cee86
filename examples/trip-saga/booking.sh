#!/bin/sh
# Books by adding a line to a ledger and cancels by removing it. Both may be repeated: a thing that is
# booked is not booked twice, and cancelling what is not there is fine. The agent does one task at a
# time, so nobody else writes the ledger meanwhile.
set -eu

task=$(tr -d '\n')
field() {
    printf '%s\n' "$task" | sed -n 's/.*"input":{[^}]*"'"$1"'":"\([^"]*\)".*/\1/p'
}
directory=$(field ledger)
thing=$(field thing)
ledger=$directory/ledger.txt
mkdir -p "$directory"
touch "$ledger"

book() {
    grep -qxF "$thing" "$ledger" || printf '%s\n' "$thing" >>"$ledger"
    printf '{"booking": "%s"}\n' "$thing"
}

case "$task" in
*'"type":"trip.book"'*)
    book
    ;;
*'"type":"trip.book_car"'*)
    if [ "$(field car)" = none ]; then
        echo '{"error": {"code": "app.no_car", "message": "no car is left"}}'
        exit 1
    fi
    book
    ;;
*'"type":"trip.cancel"'*)
    grep -vxF "$thing" "$ledger" >"$ledger.new" || true
    mv "$ledger.new" "$ledger"
    printf '{"cancelled": "%s"}\n' "$thing"
    ;;
*)
    echo '{"error": {"code": "app.unknown_task", "message": "this agent books and cancels"}}'
    exit 1
    ;;
esac
