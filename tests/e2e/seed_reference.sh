#!/usr/bin/env bash
# The API reference of the seed (generation 1), line by line, with curl and jq alone: every request as
# it is printed there, every status, field, error code and sentence of the life cycle. NEXUS_BIN
# names the command (build/nexus). Ends with the number of checks; the first failure ends it.
# seed_reference.sh 2: the same under the spelling of generation 2, whose default of seats is a
# setting.
# shellcheck disable=SC2016  # $names in single quotes are jq's
set -euo pipefail

api=session options=()
if [ "${1:-1}" = 2 ]; then
    api=sessions options=(--default-agents 2)
fi

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
nexus=${NEXUS_BIN:-$root/build/nexus}
work=$(mktemp -d -t nexus-seed-XXXXXX)
checks=0
server=0

finish() {
    if [ "$server" -ne 0 ]; then
        kill "$server" 2>/dev/null || true
        wait "$server" 2>/dev/null || true
    fi
    rm -rf "$work"
}
trap finish EXIT

fail() {
    printf 'FAIL %s\n' "$*" >&2
    printf -- '--- status %s, body:\n' "${status:-none}" >&2
    cat "$work/body" >&2 2>/dev/null || true
    exit 1
}

# serve [OPTION …]: (re)starts the server and sets NEXUS_URL.
serve() {
    if [ "$server" -ne 0 ]; then
        kill "$server"
        wait "$server" || fail "the server did not end in order"
    fi
    : >"$work/log"
    "$nexus" serve --listen 127.0.0.1:0 --data-dir "$work/data" "${options[@]}" "$@" >>"$work/log" 2>&1 &
    server=$!
    for _ in $(seq 200); do
        NEXUS_URL=$(grep -aoE 'http://127\.0\.0\.1:[0-9]+' "$work/log" | head -n 1 || true)
        [ -n "$NEXUS_URL" ] && return
        kill -0 "$server" 2>/dev/null || { cat "$work/log" >&2; fail "the server ended"; }
        sleep 0.05
    done
    fail "the server is not ready after 10 s"
}

# call CURL-ARGUMENT…: sets $status; the body is in $work/body, the head in $work/head.
call() {
    status=$(curl -sS -m 10 -o "$work/body" -D "$work/head" -w '%{http_code}' "$@") || fail "curl $*"
}

# is STATUS [JQ-EXPRESSION [JQ-ARGUMENT …]]: checks the last answer.
is() {
    local wanted=$1
    shift
    [ "$status" = "$wanted" ] || fail "wanted status $wanted"
    checks=$((checks + 1))
    if [ $# -gt 0 ]; then
        local expression=$1
        shift
        jq -e "$@" "$expression" "$work/body" >/dev/null || fail "$expression"
    fi
}

says() { # says TEXT …: the body has each of these words
    local word
    for word in "$@"; do
        grep -qF -- "$word" "$work/body" || fail "the body does not say: $word"
        checks=$((checks + 1))
    done
}

has_header() { # has_header REGEX
    grep -qiE -- "$1" "$work/head" || { cat "$work/head" >&2; fail "no header like $1"; }
    checks=$((checks + 1))
}

of() { jq -r "$1" "$work/body"; }

serve --rate-limit 0

# -- Create Session ---------------------------------------------------------------------------
call -X PUT "$NEXUS_URL/v1/$api" \
    -H "Content-Type: application/json" \
    -d '{"ttl": 3660, "greeting": "Hello! Let'\''s collaborate."}'
is 201 '(.sessionId | type == "string" and length > 0) and .ttl == 3660 and .maxAgents == 2 and .state == "active"'
has_header '^content-type: application/json'
SESSION=$(of .sessionId)

# greeting is optional; default TTL: 3660 seconds
call -X PUT "$NEXUS_URL/v1/$api" -H "Content-Type: application/json" -d '{}'
is 201 '.ttl == 3660 and .maxAgents == 2'

# -- Get Session Status -------------------------------------------------------------------------
call "$NEXUS_URL/v1/$api/$SESSION"
is 200 '.sessionId == $s and .state == "active" and .agents == [] and .ttl == 3660' --arg s "$SESSION"
call "$NEXUS_URL/v1/$api/000000000000000000000000000000000000000000000000"
is 404 '.error == "session_not_found"'

# -- Send before joining: not joined ----------------------------------------------------------
call -X POST "$NEXUS_URL/v1/$api/$SESSION/messages" \
    -H "X-Agent-Id: my-agent" -H "Content-Type: application/json" -d '{"text": "Hello"}'
is 403 '.error == "forbidden"'
call "$NEXUS_URL/v1/$api/$SESSION/messages" -H "X-Agent-Id: my-agent"
is 403

# -- Join Session -------------------------------------------------------------------------------
call -X POST "$NEXUS_URL/v1/$api/$SESSION/join" -H "X-Agent-Id: my-agent"
is 200 '.status == "joined" and .agentsOnline == 1'

# -- Headers: X-Agent-Id is required for join, messages, claim; its alphabet and length ----------
call -X POST "$NEXUS_URL/v1/$api/$SESSION/join"
is 400 '.error == "missing_agent_id"'
call -X POST "$NEXUS_URL/v1/$api/$SESSION/messages" -H "Content-Type: application/json" -d '{"text": "Hello"}'
is 400 '.error == "missing_agent_id"'
call "$NEXUS_URL/v1/$api/$SESSION/messages"
is 400 '.error == "missing_agent_id"'
call -X POST "$NEXUS_URL/v1/$api/$SESSION/join" -H "X-Agent-Id: not alphanumeric!"
is 400
call -X POST "$NEXUS_URL/v1/$api/$SESSION/join" -H "X-Agent-Id: $(printf 'x%.0s' $(seq 129))"
is 400
call -X PUT "$NEXUS_URL/v1/$api" -H "Content-Type: application/json" -d '{}'
OTHER=$(of .sessionId)
for agent in "Az-09_" "$(printf 'x%.0s' $(seq 128))"; do
    call -X POST "$NEXUS_URL/v1/$api/$OTHER/join" -H "X-Agent-Id: $agent"
    is 200 '.status == "joined"'
done

# -- All endpoints require Content-Type: application/json for POST/PUT bodies --------------------
call -X PUT "$NEXUS_URL/v1/$api" -H "Content-Type: text/plain" -d '{"ttl": 60}'
is 415
call -X PUT "$NEXUS_URL/v1/$api" -d '{"ttl": 60}' # curl says x-www-form-urlencoded
is 415

# -- Greeting: at cursor 0, from the system agent, visible on the first poll --------------------
call "$NEXUS_URL/v1/$api/$SESSION/messages" -H "X-Agent-Id: my-agent"
is 200 '(.messages | length) == 1 and .messages[0].cursor == "0" and .messages[0].agentId == "system"
        and .messages[0].text == "Hello! Let'\''s collaborate." and .nextCursor == "0"'

# -- Send Message ---------------------------------------------------------------------------------
call -X POST "$NEXUS_URL/v1/$api/$SESSION/messages" \
    -H "X-Agent-Id: my-agent" \
    -H "Content-Type: application/json" \
    -d '{"text": "Hello"}'
is 201 '(.id | type == "string") and .cursor == "1" and (.expiresAt | type == "string")'
sent=$(of .id)

# -- Poll Messages ----------------------------------------------------------------------------------
call "$NEXUS_URL/v1/$api/$SESSION/messages?after=0" -H "X-Agent-Id: my-agent"
is 200 '(.messages | length) == 1 and .messages[0].id == $id and .messages[0].text == "Hello"
        and .messages[0].agentId == "my-agent" and .nextCursor == "1"' --arg id "$sent"
CURSOR=$(of .nextCursor)
# Empty array = no new messages
call "$NEXUS_URL/v1/$api/$SESSION/messages?after=$CURSOR" -H "X-Agent-Id: my-agent"
is 200 '.messages == [] and .nextCursor == $c' --arg c "$CURSOR"

# -- Generate Pairing Code ----------------------------------------------------------------------
call -X PUT "$NEXUS_URL/v1/pair" -H "Content-Type: application/json" -d "{\"sessionId\": \"$SESSION\"}"
is 201 '(.code | test("^[A-Z]+-[A-Z]+-[0-9A-Z]{5}$")) and .url == $u + "/p/" + .code
        and ((.expiresAt | sub("\\.[0-9]+Z$"; "Z") | fromdateiso8601) - now | . > 590 and . < 602)' --arg u "$NEXUS_URL"
CODE=$(of .code)
call -X PUT "$NEXUS_URL/v1/pair" -H "Content-Type: application/json" -d '{"sessionId": "unknown"}'
is 404 '.error == "session_not_found"'

# -- Check Pairing Code Status ------------------------------------------------------------------
call "$NEXUS_URL/v1/pair/$CODE/status"
is 200 '. == {"state": "pending"}'

# -- Pairing Link (Self-Documenting) --------------------------------------------------------------
call "$NEXUS_URL/p/$CODE"
is 301
has_header "^location: (${NEXUS_URL})?/v1/pair/$CODE/skill"
call -L "$NEXUS_URL/p/$CODE"
is 200
has_header '^content-type: text/markdown'
says "$CODE" "/v1/pair/$CODE/claim" "$NEXUS_URL" "X-Agent-Id" "/messages" "nextCursor" "curl"
call -fL -H "Accept: text/html" "$NEXUS_URL/p/$CODE"
is 200
has_header '^content-type: text/html'
says "$CODE" "<style" "X-Agent-Id"
if grep -qiE '<(script|img|iframe|link)[^>]+(src|href)=' "$work/body"; then fail "the page loads something from outside"; fi

# -- Claim Pairing Code -----------------------------------------------------------------------------
call -X POST "$NEXUS_URL/v1/pair/$CODE/claim"
is 400 '.error == "missing_agent_id"'
call -X POST "$NEXUS_URL/v1/pair/$CODE/claim" -H "X-Agent-Id: writer-bot"
is 200 '.sessionId == $s and .status == "claimed"' --arg s "$SESSION"
# Auto-join
call "$NEXUS_URL/v1/$api/$SESSION"
is 200 '.agents == ["my-agent", "writer-bot"]'
# Single-use: invalidated after claim
call -X POST "$NEXUS_URL/v1/pair/$CODE/claim" -H "X-Agent-Id: third-bot"
is 404 '.error == "code_expired_or_used"'
call "$NEXUS_URL/v1/pair/$CODE/status"
is 200 '. == {"state": "claimed"}'
call -fL "$NEXUS_URL/p/$CODE" # a used link still teaches
is 200

# -- Cron Reminder: when the 2nd agent joins; the new agent sees greeting, messages and it --------
call "$NEXUS_URL/v1/$api/$SESSION/messages" -H "X-Agent-Id: writer-bot"
is 200 '[.messages[].agentId] == ["system", "my-agent", "system"] and ([.messages[].cursor] == ["0", "1", "2"])
        and (.messages[2].text | startswith("This is an async conversation. Set up a cron job (every 3-5 minutes)"))
        and .nextCursor == "2"'

# -- Max Agents: 2 per session ----------------------------------------------------------------------
call -X POST "$NEXUS_URL/v1/$api/$SESSION/join" -H "X-Agent-Id: third-bot"
is 409 '.error == "session_full"'

# -- Both agents exchange messages, ordered by cursor ---------------------------------------------
call -X POST "$NEXUS_URL/v1/$api/$SESSION/messages" -H "X-Agent-Id: writer-bot" \
    -H "Content-Type: application/json" -d '{"text": "Great, summarize the best one"}'
is 201 '.cursor == "3"'
call -X POST "$NEXUS_URL/v1/$api/$SESSION/messages" -H "X-Agent-Id: my-agent" \
    -H "Content-Type: application/json" -d '{"text": "Here'\''s the summary: ..."}'
is 201 '.cursor == "4"'
call "$NEXUS_URL/v1/$api/$SESSION/messages?after=2" -H "X-Agent-Id: writer-bot"
is 200 '[.messages[].cursor] == ["3", "4"] and .nextCursor == "4"
        and .messages[1].text == "Here'\''s the summary: ..."'

# -- Error Codes: 400 Invalid request (missing/bad parameters) --------------------------------------
call -X PUT "$NEXUS_URL/v1/$api" -H "Content-Type: application/json" -d '{"ttl": "soon"}'
is 400 '.error == "invalid_request" and (.details | length) > 0'
call -X POST "$NEXUS_URL/v1/$api/$SESSION/messages" -H "X-Agent-Id: my-agent" -H "Content-Type: application/json" -d '{}'
is 400 '.error == "invalid_request"'
call -X POST "$NEXUS_URL/v1/$api/$SESSION/messages" -H "X-Agent-Id: my-agent" -H "Content-Type: application/json" -d '{"text":'
is 400 '.error == "invalid_body"'

# -- Sliding TTL: each sent message resets the timer; everything expires automatically -----------
call -X PUT "$NEXUS_URL/v1/$api" -H "Content-Type: application/json" -d '{"ttl": 2}'
is 201 '.ttl == 2'
SHORT=$(of .sessionId)
call -X POST "$NEXUS_URL/v1/$api/$SHORT/join" -H "X-Agent-Id: my-agent"
is 200
for _ in 1 2 3; do
    sleep 1
    call -X POST "$NEXUS_URL/v1/$api/$SHORT/messages" -H "X-Agent-Id: my-agent" \
        -H "Content-Type: application/json" -d '{"text": "still here"}'
    is 201
done
sleep 2.5
call "$NEXUS_URL/v1/$api/$SHORT"
is 404 '.error == "session_not_found"'
call "$NEXUS_URL/v1/$api/$SHORT/messages" -H "X-Agent-Id: my-agent" # messages expire with the session
is 404 '.error == "session_not_found"'

# -- Error Codes: 429 Rate limit exceeded ------------------------------------------------------------
serve --rate-limit 3
for _ in 1 2 3; do
    call "$NEXUS_URL/v1/$api/$SESSION"
    is 200 '.agents == ["my-agent", "writer-bot"]' # and it was all still there after the restart
done
call "$NEXUS_URL/v1/$api/$SESSION"
is 429 '.error == "rate_limit_exceeded"'
has_header '^retry-after: [0-9]+'

[ "$checks" -ge 60 ] || fail "only $checks checks: it does not replay the reference any more"
printf '%d passed, 0 failed\n' "$checks"
