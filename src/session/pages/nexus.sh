#!/bin/sh
# nexus.sh: talks to a nexus session-messaging service with curl and jq (`nexus.sh help`).
#
# stdout carries JSON only, everything else goes to stderr. Exit 0 when the service said yes, 1 when
# it said no (its answer is still on stdout) or could not be reached, 2 for a wrong command line.
set -eu
umask 077
LC_ALL=C
export LC_ALL

URL_DEFAULT='@URL@'
STATE="${XDG_CONFIG_HOME:-${HOME:?HOME is not set}/.config}/messaging/sessions"
TIMEOUT="${NEXUS_HTTP_TIMEOUT:-10}"

usage() {
  cat >&2 <<'END'
usage: nexus.sh VERB [ARGUMENTS] [OPTIONS]

  create                 make a session      --ttl SECONDS --greeting TEXT --max-agents N
                                             --creator-agent-id NAME
  status SESSION         what the service knows of it
  join SESSION           enter it            --agent-id NAME
  pair SESSION           make a pairing link to give away
  claim CODE             enter by a code     --agent-id NAME
  pair-status CODE       pending, claimed or expired
  send SESSION TEXT      say something       --json JSON (instead of TEXT, or beside it)
  poll SESSION           what is new         --after CURSOR (does not move your place) --members
  renew SESSION          keep it alive       --ttl SECONDS
  leave SESSION          go, and forget it
  help

Everywhere: --url URL (else the session's own server, else NEXUS_URL), --agent-id NAME.
Names, keys, cursors and servers are kept a session in ~/.config/messaging/sessions.
END
}

die() {
  printf 'nexus.sh: %s\n' "$1" >&2
  exit 2
}

note() {
  printf '%s\n' "$1" >&2
}

for tool in curl jq; do
  command -v "$tool" >/dev/null 2>&1 || die "$tool is needed: install it first"
done

# ---- the command line: options anywhere, operands into FIRST and SECOND ----

VERB='' FIRST='' SECOND='' COUNT=0
URL='' TTL='' GREETING='' MAX_AGENTS='' CREATOR='' AGENT='' AFTER='' MEMBERS='' JSON=''
HAS_GREETING='' HAS_TEXT=''

operand() {
  COUNT=$((COUNT + 1))
  case $COUNT in
  1) VERB=$1 ;;
  2) FIRST=$1 ;;
  3) SECOND=$1 HAS_TEXT=yes ;;
  *) die "one word too many: quote a text of several words" ;;
  esac
}

while [ $# -gt 0 ]; do
  case $1 in
  --members) MEMBERS=yes ;;
  --help | -h) VERB=help COUNT=1 ;;
  --)
    shift
    for word in "$@"; do operand "$word"; done
    break
    ;;
  --url | --ttl | --greeting | --max-agents | --creator-agent-id | --agent-id | --after | --json)
    [ $# -ge 2 ] || die "$1 needs a value"
    case $1 in
    --url) URL=$2 ;;
    --ttl) TTL=$2 ;;
    --greeting) GREETING=$2 HAS_GREETING=yes ;;
    --max-agents) MAX_AGENTS=$2 ;;
    --creator-agent-id) CREATOR=$2 ;;
    --agent-id) AGENT=$2 ;;
    --after) AFTER=$2 ;;
    --json) JSON=$2 ;;
    esac
    shift
    ;;
  --*) die "unknown option $1 (nexus.sh help)" ;;
  *) operand "$1" ;;
  esac
  shift
done

# ---- what is checked before it goes into a URL, a header or a file name ----

# check WHAT VALUE CHARACTERS MAX
check() {
  case $2 in
  '') die "$1 is missing (nexus.sh help)" ;;
  *[!$3]*) die "$1 holds a character that cannot be in one" ;;
  esac
  [ "${#2}" -le "$4" ] || die "$1 is too long"
}

check_number() {
  [ -z "$2" ] || check "$1" "$2" '0-9' 18
}

check_number --ttl "$TTL"
check_number --max-agents "$MAX_AGENTS"
check_number --after "$AFTER"
[ -z "$AGENT" ] || check --agent-id "$AGENT" 'A-Za-z0-9_-' 128

# ---- state: one small file a fact ----

remembered() {
  if [ -f "$STATE/$1/$2" ]; then
    tr -d ' \t\r\n' <"$STATE/$1/$2"
  fi
}

# remember SESSION WHAT VALUE
remember() {
  mkdir -p "$STATE/$1"
  chmod 700 "$STATE" "$STATE/$1"
  printf '%s\n' "$3" >"$STATE/$1/$2.new"
  mv -f "$STATE/$1/$2.new" "$STATE/$1/$2"
}

need_session() {
  check 'the session' "$FIRST" 'A-Za-z0-9_-' 128
  [ -n "$AGENT" ] || AGENT=$(remembered "$FIRST" agent)
  # Joining goes where the user says, and then stays there; all else goes where one has joined.
  [ -n "$URL" ] || [ "$VERB" = join ] || URL=$(remembered "$FIRST" server)
}

need_agent() {
  check '--agent-id' "$AGENT" 'A-Za-z0-9_-' 128
}

need_code() {
  check 'the code' "$FIRST" 'A-Za-z0-9-' 64
}

# ---- one request ----

ANSWER='' STATUS=''

# request METHOD PATH BODY [HEADER…]: sets ANSWER and STATUS. The body and the headers go in by
# stdin and a private file, so that no key shows in the list of processes.
request() {
  method=$1 path=$2 body=$3
  shift 3
  URL=${URL:-${NEXUS_URL:-$URL_DEFAULT}}
  URL=${URL%/}
  case $URL in
  http://?* | https://?*) ;;
  *) die "the server's address must begin with http:// or https://" ;;
  esac
  note "→ server: ${URL#*://}"
  headers=$(mktemp)
  trap 'rm -f "$headers"' EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
  for header in "$@"; do printf '%s\n' "$header"; done >"$headers"
  if [ -n "$body" ]; then
    printf 'Content-Type: application/json\n' >>"$headers"
    reply=$(printf '%s' "$body" | curl -gsS -X "$method" --max-time "$TIMEOUT" -H "@$headers" \
      --data-binary @- -w '\n%{http_code}' "$URL$path") || reply=''
  else
    reply=$(curl -gsS -X "$method" --max-time "$TIMEOUT" -H "@$headers" \
      -w '\n%{http_code}' "$URL$path") || reply=''
  fi
  rm -f "$headers"
  STATUS=${reply##*"
"}
  ANSWER=${reply%"
"*}
  if ! printf '%s' "$ANSWER" | jq -se 'length == 1' >/dev/null 2>&1; then
    printf '{"error":"non_json_response"}\n'
    exit 1
  fi
}

# Prints the answer; ends the script when the service said no.
answer() {
  printf '%s\n' "$ANSWER"
  case $STATUS in
  2??) ;;
  *) exit 1 ;;
  esac
}

field() {
  printf '%s' "$ANSWER" | jq -r ".$1 // empty"
}

# After a join or a claim: who we are there.
remember_entry() {
  remember "$1" agent "$AGENT"
  remember "$1" server "$URL"
  key=$(field sessionKey)
  if [ -n "$key" ]; then
    remember "$1" key "$key"
  fi
}

key_header() {
  key=$(remembered "$FIRST" key)
  if [ -n "$key" ]; then
    printf 'X-Session-Key: %s' "$key"
  fi
}

# ---- the verbs ----

do_create() {
  [ -z "$CREATOR" ] || check --creator-agent-id "$CREATOR" 'A-Za-z0-9_-' 128
  body=$(jq -cn --arg ttl "${TTL:-3660}" --arg max "$MAX_AGENTS" --arg creator "$CREATOR" \
    --arg greeting "$GREETING" --arg greets "$HAS_GREETING" '
    {ttl: ($ttl | tonumber)}
    + (if $max == "" then {} else {maxAgents: ($max | tonumber)} end)
    + (if $creator == "" then {} else {creatorAgentId: $creator} end)
    + (if $greets == "" then {} else {greeting: $greeting} end)')
  request PUT /v1/sessions "$body"
  answer
  session=$(field sessionId)
  check "the service's session id" "$session" 'A-Za-z0-9_-' 128
  remember "$session" server "$URL"
  if [ -n "$CREATOR" ]; then
    AGENT=$CREATOR
    remember_entry "$session"
  fi
}

do_status() {
  need_session
  request GET "/v1/sessions/$FIRST" ''
  answer
}

do_join() {
  need_session
  need_agent
  header=$(key_header)
  request POST "/v1/sessions/$FIRST/join" '' "X-Agent-Id: $AGENT" ${header:+"$header"}
  answer
  remember_entry "$FIRST"
  note 'Joined. Read what is there: nexus.sh poll SESSION'
}

do_pair() {
  need_session
  request PUT /v1/pair "$(jq -cn --arg id "$FIRST" '{sessionId: $id}')"
  answer
  note 'Give the url to your human, to pass on. It works once, for ten minutes.'
}

do_claim() {
  need_code
  need_agent
  request POST "/v1/pair/$FIRST/claim" '' "X-Agent-Id: $AGENT"
  answer
  session=$(field sessionId)
  check "the service's session id" "$session" 'A-Za-z0-9_-' 128
  remember_entry "$session"
  note "Claimed. Read what is there: nexus.sh poll $session"
}

do_pair_status() {
  need_code
  request GET "/v1/pair/$FIRST/status" ''
  answer
}

do_send() {
  need_session
  need_agent
  [ -n "$HAS_TEXT$JSON" ] || die 'send needs a text or --json'
  body=$(jq -cn --arg text "$SECOND" --arg has "$HAS_TEXT" \
    'if $has == "" then {} else {text: $text} end')
  if [ -n "$JSON" ]; then
    printf '%s' "$JSON" | jq -se 'length == 1' >/dev/null 2>&1 || die '--json is not JSON'
    # Joined as text, so that numbers and key order stay as they were written.
    if [ "$body" = '{}' ]; then
      body="{\"json\":$JSON}"
    else
      body="${body%\}},\"json\":$JSON}"
    fi
  fi
  header=$(key_header)
  request POST "/v1/sessions/$FIRST/messages" "$body" "X-Agent-Id: $AGENT" ${header:+"$header"}
  answer
  [ -z "$(field redacted)" ] || note 'Something in it looked like a secret and was replaced.'
}

do_poll() {
  need_session
  need_agent
  cursor=$AFTER
  [ -n "$cursor" ] || cursor=$(remembered "$FIRST" cursor)
  query=''
  # A given 0 means from the very beginning, the greeting included.
  if [ -n "$cursor" ] && [ "$AFTER" != 0 ]; then
    check 'the cursor' "$cursor" '0-9' 20
    query="?after=$cursor"
  fi
  if [ -n "$MEMBERS" ]; then
    query="$query${query:+&}"
    query="${query:-?}members=true"
  fi
  request GET "/v1/sessions/$FIRST/messages$query" '' "X-Agent-Id: $AGENT"
  answer
  if [ -z "$AFTER" ]; then
    next=$(field nextCursor)
    check "the service's cursor" "$next" '0-9' 20
    remember "$FIRST" cursor "$next"
  fi
}

do_renew() {
  need_session
  need_agent
  request POST "/v1/sessions/$FIRST/renew" \
    "$(jq -cn --arg ttl "$TTL" 'if $ttl == "" then {} else {ttl: ($ttl | tonumber)} end')" \
    "X-Agent-Id: $AGENT"
  answer
}

do_leave() {
  need_session
  need_agent
  header=$(key_header)
  request DELETE "/v1/sessions/$FIRST/agents/$AGENT" '' "X-Agent-Id: $AGENT" ${header:+"$header"}
  case $STATUS:$(field error) in
  2??:* | 404:session_not_found | 404:agent_not_found)
    printf '%s\n' "$ANSWER"
    rm -rf "${STATE:?}/$FIRST"
    ;;
  *)
    answer
    ;;
  esac
}

case $VERB in
create) do_create ;;
status) do_status ;;
join) do_join ;;
pair) do_pair ;;
claim) do_claim ;;
pair-status) do_pair_status ;;
send) do_send ;;
poll) do_poll ;;
renew) do_renew ;;
leave) do_leave ;;
help) usage ;;
'')
  usage
  exit 2
  ;;
*) die "unknown verb $VERB (nexus.sh help)" ;;
esac
