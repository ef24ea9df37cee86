#!/bin/sh
# Stands for five agents: answers every task of the six examples as its type wants it.
set -eu

task=$(tr -d '\n')
# The task's own type stands before any object in it.
type=$(printf '%s\n' "$task" | sed -n 's/^{[^{]*"type":"\([^"]*\)".*/\1/p')

has() {
    case "$task" in *"$1"*) true ;; *) false ;; esac
}

digest() {
    if command -v sha256sum >/dev/null; then sha256sum "$1"; else shasum -a 256 "$1"; fi | cut -c1-64
}

# A unified diff, in one line of JSON, that renames a field in the second line of a file.
renaming() {
    file=$1 before=$2 after=$3
    first=$(sed -n 1p "$file") old=$(sed -n 2p "$file") last=$(sed -n 3p "$file")
    new=$(printf '%s\n' "$old" | sed "s/$before/$after/")
    printf -- '--- a/%s\\n+++ b/%s\\n@@ -1,3 +1,3 @@\\n %s\\n-%s\\n+%s\\n %s\\n' \
        "$4" "$4" "$first" "$old" "$new" "$last"
}

case "$type" in
research.topic)
    echo '{"summary": "Otters use stones as tools.", "sources": ["https://example.org/otters"]}' ;;
write.article)
    if has '"comments":""'; then echo '{"text": "A first draft."}'; else echo '{"text": "A better draft."}'; fi ;;
review.article)
    if has 'A first draft'; then
        echo '{"verdict": "rework", "comments": "Say it better."}'
    else
        echo '{"verdict": "approve", "comments": ""}'
    fi ;;
cms.publish)
    echo '{"url": "https://example.org/articles/1"}' ;;
git.checkout)
    echo '{"path": "checkout", "files": ["src/main.rs"]}' ;;
security.dependencies)
    # The only task that is given the token.
    [ -n "${PHISYNC_SECRET_SCANNER_TOKEN:-}" ] || exit 1
    echo '{"critical": 0, "high": 1}' ;;
security.static)
    [ -z "${PHISYNC_SECRET_SCANNER_TOKEN:-}" ] || exit 1
    echo '{"critical": 0, "high": 2}' ;;
code.plan)
    names=$(printf '%s\n' "$task" | sed -n 's/.*Rename \([a-z_]*\) to \([a-z_]*\) in.*/\1 \2/p')
    api=repos/api/src/model.rs web=repos/web/src/api.ts
    printf '{"api_patch": "%s", "web_patch": "%s", "api_sha": "%s", "web_sha": "%s"}\n' \
        "$(renaming "$api" $names src/model.rs)" "$(renaming "$web" $names src/api.ts)" \
        "$(digest "$api")" "$(digest "$web")" ;;
review.change)
    # Refuses what nobody may call a field.
    if grep -q 'password' repos/web/src/api.ts; then
        echo '{"ok": false, "comments": "not that name"}'
    else
        echo '{"ok": true}'
    fi ;;
metrics.runs)
    echo '[{"id": "r1", "status": "completed"}, {"id": "r2", "status": "failed"}]' ;;
metrics.costs)
    echo '{"total": 12.5}' ;;
write.report)
    echo '{"text": "One run failed; the night cost 12.50."}' ;;
files.list)
    files=
    for file in src/*.rs; do
        bytes=$(wc -c <"$file" | tr -d ' ')
        files="$files${files:+, }{\"path\": \"$file\", \"sha256\": \"$(digest "$file")\", \"bytes\": $bytes}"
    done
    printf '{"files": [%s]}\n' "$files" ;;
write.doc)
    if has 'generated.rs'; then
        echo '{"skip": true}'
    else
        printf '%s\n' '{"skip": false, "text": "//! What this module is for.\n"}'
    fi ;;
incident.triage)
    if has '"level":"critical"'; then severity=high; else severity=low; fi
    printf '{"severity": "%s", "cause": "the disk is full"}\n' "$severity" ;;
cms.unpublish | report.publish | git.* | deploy.* | test.run | mail.send | build.check | ops.page | code.fix | security.*)
    echo '{}' ;;
*)
    echo '{"error": {"code": "app.unknown_task", "message": "this team does not know it"}}'
    exit 1 ;;
esac
