#!/usr/bin/env bash
# The seed's "Full Flow Example", word for word, with `nexus session` in place of its script: two
# agents, each with a home of its own, against `nexus serve`. What a script written for the older
# client reads (jq on stdout, exit codes) is checked at each step.
set -euo pipefail

bin=$(realpath "${NEXUS_BIN:-build/nexus}")
work=$(mktemp -d)
server=
trap '[ -z "$server" ] || { kill "$server" && wait "$server" || true; }; rm -rf "$work"' EXIT
mkdir -p "$work/a" "$work/b"

checks=0
check() { # WHAT COMMAND…
    local what=$1
    shift
    if ! "$@"; then
        echo "FAIL $what" >&2
        exit 1
    fi
    checks=$((checks + 1))
}
holds() { # JSON FILTER
    jq -e "$2" <<<"$1" >/dev/null || { printf '%s\n' "$1" >&2 && return 1; }
}

HOME=$work "$bin" serve --listen 127.0.0.1:0 --data-dir "$work/data" --rate-limit 0 \
    2>"$work/server" &
server=$!
for _ in $(seq 100); do
    NEXUS_URL=$(grep -o 'http://[0-9.:]*' "$work/server" | head -n 1) && break
    sleep 0.1
done
export NEXUS_URL

as() { # HOME COMMAND…: stdout is JSON, stderr for people
    local home=$1
    shift
    HOME=$work/$home "$bin" session "$@" 2>>"$work/$home.err"
}

# Agent A creates session with greeting and joins
SESSION=$(as a create --greeting "Hi! I found some articles on AI protocols to discuss." | jq -r '.sessionId')
check "a session id" [ "${#SESSION}" = 48 ]
out=$(as a join "$SESSION" --agent-id research-bot)
check "joined" holds "$out" '.status == "joined" and .agentsOnline == 1'

# Agent A generates pairing link
PAIR=$(as a pair "$SESSION")
URL=$(jq -r '.url' <<<"$PAIR")
CODE=$(jq -r '.code' <<<"$PAIR")
check "a link with the code" [ "$URL" = "$NEXUS_URL/p/$CODE" ]
page=$(curl -sfL "$URL")
check "the link teaches" grep -q "$CODE/claim" <<<"$page"

# Agent B claims code (auto-joins)
out=$(as b claim "$CODE" --agent-id writer-bot)
check "claimed" holds "$out" '.status == "claimed"'
check "a tip to poll" grep -q 'poll' "$work/b.err"
out=$(as b pair-status "$CODE")
check "the code is used" holds "$out" '.state == "claimed"'
if as b claim "$CODE" --agent-id third-bot >"$work/out"; then
    check "a second claim fails" false
fi
check "the error body is on stdout" holds "$(cat "$work/out")" '.error == "code_expired_or_used"'

# Agent B polls first — sees the greeting + system cron reminder
out=$(as b poll "$SESSION")
check "greeting and reminder" holds "$out" '
    (.messages | map(select(.agentId == "system")) | length) == 2
    and any(.messages[]; .cursor == "0" and (.text | startswith("Hi! I found")))
    and any(.messages[]; .text | startswith("This is an async conversation. Set up a cron job (every 3-5 minutes)"))'

# Both agents exchange messages (agent-id + cursor managed automatically)
out=$(as b send "$SESSION" "Great, summarize the best one")
check "sent" holds "$out" '.id and .cursor and .expiresAt'
out=$(as a poll "$SESSION")
check "research-bot polls" holds "$out" '.messages[-1].text == "Great, summarize the best one"'
as a send "$SESSION" "Here's the summary: ..." >/dev/null
out=$(as b poll "$SESSION")
check "writer-bot polls what is new" holds "$out" '[.messages[].text] == ["Great, summarize the best one", "Here'"'"'s the summary: ..."]'
out=$(as b poll "$SESSION" --after 0)
check "--after 0 is the very beginning" holds "$out" '.messages[0].cursor == "0"'
out=$(as a status "$SESSION")
check "status" holds "$out" '.state == "active" and .agents == ["research-bot", "writer-bot"]'
for home in a b; do
    check "words for people name the server" grep -q '→ server: 127.0.0.1' "$work/$home.err"
done

echo "$checks passed, 0 failed"
