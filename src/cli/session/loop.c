/* The verbs that go on for a while: poll-daemon, heartbeat; and poll-status, which looks whether a
 * poll-daemon is at work. A daemon holds a lock on sessions/ID/poller and writes there what it
 * does; the lock goes with the process, however it ends. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "base/json.h"
#include "base/time.h"
#include "cli/session/cmd.h"

#define POLLER          "poller"
#define INTERVAL_POLL_S 30
#define INTERVAL_BEAT_S 60
#define DAEMON_S        3600

static int64_t mono_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* From here on SIGINT, SIGTERM and SIGHUP wait until wait_ms looks: a poll is never cut in half
 * (its own time limit bounds it). */
static void hold_signals(sigset_t *ret_set)
{
    sigemptyset(ret_set);
    sigaddset(ret_set, SIGINT);
    sigaddset(ret_set, SIGTERM);
    sigaddset(ret_set, SIGHUP);
    sigprocmask(SIG_BLOCK, ret_set, NULL);
}

/* Returns true when a signal asks to stop. */
static bool wait_ms(const sigset_t *set, int64_t ms)
{
    int64_t until = mono_ms() + (ms > 0 ? ms : 0);

    for (;;) {
        int64_t left = until - mono_ms();
        struct timespec limit = {.tv_sec = left / 1000, .tv_nsec = left % 1000 * 1000000};

        if (left < 0)
            limit = (struct timespec){0};
        if (sigtimedwait(set, NULL, &limit) > 0)
            return true;
        if (errno != EINTR || left <= 0)
            return false;
    }
}

static int64_t option(const struct nx_cmd *cmd, const char *name, int64_t fallback)
{
    const char *text = nx_args_get(&cmd->args, name);

    return text ? strtoll(text, NULL, 10) : fallback; /* checked by nx_args_parse */
}

struct loop {
    char id[NX_SESSION_ID_MAX + 1];
    char agent[NX_AGENT_ID_MAX + 1];
    struct nx_server server;
    struct nx_session_client *client;
    sigset_t signals;
};

static int loop_begin(struct nx_cmd *cmd, struct loop *loop)
{
    bool own;
    int code = nx_cmd_session(cmd, cmd->args.operands[0], loop->id);

    if (code == 0)
        code = nx_cmd_need_agent(cmd, loop->id, loop->agent, &own);
    if (code == 0)
        code = nx_cmd_server(cmd, loop->id, &loop->server);
    if (code != 0)
        return code;
    nx_cmd_announce(cmd, &loop->server, loop->id);
    return nx_cmd_open(cmd, loop->server.url, cmd->http_timeout_ms, &loop->client);
}

/* Polls behind the stored cursor. Returns 0 or NX_SESSION_E_…. */
static int poll_now(
        struct nx_cmd *cmd, struct loop *loop, struct nx_session_client_result **ret_result)
{
    char after[NX_STATE_VALUE_MAX];
    bool known = nx_state_get(&cmd->state, loop->id, NX_STATE_CURSOR, after) == 0;

    return nx_session_client_poll(
            loop->client, loop->id, loop->agent, known ? after : NULL, 0, ret_result);
}

/* An answer after which asking again is pointless: the session or our seat in it is gone. */
static bool is_final(const struct nx_session_client_result *result)
{
    return result->http_status >= 400 && result->http_status < 500 && result->http_status != 408 &&
           result->http_status != 429 && result->json;
}

static int print_compact(const struct nx_cmd *cmd, const struct nx_session_client_result *result)
{
    struct nx_json value;
    struct nx_buf line;
    int code = NX_EXIT_FAILED;

    nx_buf_init(&line, cmd->mem, result->body_bytes + 64);
    if (nx_json_parse(nx_bytes_of(result->body, result->body_bytes), &value, NULL) == 0) {
        nx_json_append_compact(&line, &value);
        if (!line.error)
            code = nx_cmd_print(cmd, nx_buf_bytes(&line));
    }
    nx_buf_done(&line);
    return code;
}

/* One poll of the daemon. Returns 0 to go on, an exit code to end. */
static int daemon_step(struct nx_cmd *cmd, struct loop *loop)
{
    struct nx_session_client_result *result;
    int r = poll_now(cmd, loop, &result);
    int code = 0;

    if (r < 0) {
        nx_cmd_say(cmd, "no answer: %s; trying again", nx_session_client_fault(loop->client));
        return 0;
    }
    if (!result->ok) {
        if (is_final(result))
            code = nx_cmd_report(cmd, 0, loop->client, result);
        else
            nx_cmd_say(cmd, "status %d%s; trying again", result->http_status,
                    result->json ? "" : " and no JSON");
    } else {
        nx_cmd_adopt(cmd, loop->id, loop->server.url);
        if (result->message_count > 0)
            code = print_compact(cmd, result);
        if (code == 0 && nx_name_cursor_valid(nx_bytes_str(result->next_cursor)))
            code = nx_cmd_state_result(cmd,
                    nx_state_set(&cmd->state, loop->id, NX_STATE_CURSOR, result->next_cursor),
                    "the cursor");
    }
    nx_session_client_result_free(result);
    return code;
}

/* "y" or "yes" on standard input, else no. */
static bool confirmed(int64_t interval_s, int64_t duration_s)
{
    char line[16] = "";

    fprintf(stderr, "Poll every %lld s for %lld s? [y/n] ", (long long)interval_s,
            (long long)duration_s);
    fflush(stderr);
    if (!fgets(line, sizeof(line), stdin)) {
        fputc('\n', stderr);
        return false;
    }
    line[strcspn(line, "\r\n")] = '\0';
    return nx_bytes_equal_nocase(nx_bytes_trim(nx_bytes_str(line)), NX_BYTES("y")) ||
           nx_bytes_equal_nocase(nx_bytes_trim(nx_bytes_str(line)), NX_BYTES("yes"));
}

/* Takes the session's mark. Returns the locked descriptor, or a negative error: NX_E_BUSY when
 * another daemon holds it. */
static int take_mark(
        struct nx_cmd *cmd, const struct loop *loop, int64_t interval_s, int64_t duration_s)
{
    char started[NX_RFC3339_LEN + 1] = {0}, ends[NX_RFC3339_LEN + 1] = {0};
    int fd = nx_state_open(&cmd->state, loop->id, POLLER, true);
    int64_t now_ms = nx_cmd_wall_ms();
    char text[256];
    int len;

    if (fd < 0)
        return fd;
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        close(fd);
        return NX_E_BUSY;
    }
    nx_time_rfc3339(now_ms, started);
    nx_time_rfc3339(now_ms + duration_s * 1000, ends);
    len = snprintf(text, sizeof(text),
            "\"pid\":%ld,\"interval\":%lld,\"startedAt\":\"%s\",\"endsAt\":\"%s\"\n",
            (long)getpid(), (long long)interval_s, started, ends);
    if (ftruncate(fd, 0) < 0 || write(fd, text, (size_t)len) != len) {
        close(fd);
        return NX_E_IO;
    }
    return fd;
}

static int daemon_loop(struct nx_cmd *cmd, struct loop *loop, int64_t interval_s, int64_t end_ms)
{
    int code = 0;

    while (code == 0) {
        int64_t next_ms = mono_ms() + interval_s * 1000;

        code = daemon_step(cmd, loop);
        if (code != 0)
            break;
        if (next_ms >= end_ms) {
            if (!wait_ms(&loop->signals, end_ms - mono_ms()))
                nx_cmd_hint("The time is up.");
            break;
        }
        if (wait_ms(&loop->signals, next_ms - mono_ms()))
            break;
    }
    return code;
}

int nx_verb_run_poll_daemon(struct nx_cmd *cmd)
{
    int64_t interval_s = option(cmd, "interval", INTERVAL_POLL_S);
    int64_t duration_s = option(cmd, "ttl", DAEMON_S);
    struct loop loop = {0};
    int code = loop_begin(cmd, &loop);
    int fd = -1;

    if (duration_s > INT32_MAX)
        duration_s = INT32_MAX;
    if (code == 0 && !nx_args_flag(&cmd->args, "yes") && !confirmed(interval_s, duration_s)) {
        nx_cmd_say(cmd, "not started");
        code = NX_EXIT_FAILED;
    }
    if (code == 0) {
        fd = take_mark(cmd, &loop, interval_s, duration_s);
        if (fd == NX_E_BUSY)
            code = nx_cmd_fail(cmd, "already_polling",
                    "this session is being polled already; "
                    "nexus session poll-status shows by whom");
        else if (fd < 0)
            code = nx_cmd_state_result(cmd, fd, "the poller's mark");
    }
    if (code == 0) {
        hold_signals(&loop.signals);
        code = daemon_loop(cmd, &loop, interval_s, mono_ms() + duration_s * 1000);
    }
    if (fd >= 0) {
        if (ftruncate(fd, 0) < 0)
            nx_cmd_say(cmd, "the poller's mark could not be cleared");
        close(fd);
    }
    nx_cmd_close(cmd, loop.client);
    return code;
}

/* A poll behind the stored cursor that moves nothing: it restarts the session's expiry and shows
 * the agent as alive, under both generations. */
static int beat(struct nx_cmd *cmd, struct loop *loop)
{
    char moment[NX_RFC3339_LEN + 1] = {0};
    struct nx_session_client_result *result;
    int r = poll_now(cmd, loop, &result);
    char text[512];
    int code = 0;

    if (r < 0) {
        nx_cmd_say(cmd, "no answer: %s; trying again", nx_session_client_fault(loop->client));
        return 0;
    }
    if (result->ok) {
        nx_cmd_adopt(cmd, loop->id, loop->server.url);
        nx_time_rfc3339(nx_cmd_wall_ms(), moment);
        snprintf(text, sizeof(text),
                "{\"ok\":true,\"sessionId\":\"%s\",\"at\":\"%s\",\"newMessages\":%zu}", loop->id,
                moment, result->message_count);
        code = nx_cmd_print(cmd, nx_bytes_str(text));
    } else if (is_final(result)) {
        code = nx_cmd_report(cmd, 0, loop->client, result);
    } else {
        nx_cmd_say(cmd, "status %d%s; trying again", result->http_status,
                result->json ? "" : " and no JSON");
    }
    nx_session_client_result_free(result);
    return code;
}

int nx_verb_run_heartbeat(struct nx_cmd *cmd)
{
    int64_t interval_s = option(cmd, "interval", INTERVAL_BEAT_S);
    struct loop loop = {0};
    int code = loop_begin(cmd, &loop);

    if (code == 0)
        hold_signals(&loop.signals);
    while (code == 0) {
        code = beat(cmd, &loop);
        if (code == 0 && wait_ms(&loop.signals, interval_s * 1000))
            break;
    }
    nx_cmd_close(cmd, loop.client);
    return code;
}

/* What a daemon at work wrote into its mark; false when none is. */
static bool read_mark(const struct nx_cmd *cmd, const char *id, struct nx_buf *to)
{
    int fd = nx_state_open(&cmd->state, id, POLLER, false);
    char text[256];
    ssize_t len = 0;
    bool running;

    if (fd < 0)
        return false;
    running = flock(fd, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK;
    if (running)
        len = pread(fd, text, sizeof(text), 0);
    close(fd);
    if (running && len > 0)
        nx_buf_append(to, nx_bytes_trim(nx_bytes_of(text, (size_t)len)));
    return running && len > 0;
}

static void append_poller(
        struct nx_cmd *cmd, struct nx_buf *to, const struct nx_buf *aliases, const char *id)
{
    char alias[NX_ALIAS_MAX + 1];
    char cursor[NX_STATE_VALUE_MAX];
    struct nx_buf mark;

    nx_buf_init(&mark, cmd->mem, 1024);
    NX_BUF_LIT(to, "{\"sessionId\":");
    nx_json_append_string(to, nx_bytes_str(id));
    NX_BUF_LIT(to, ",\"alias\":");
    if (nx_doc_alias_of(aliases, id, alias))
        nx_json_append_string(to, nx_bytes_str(alias));
    else
        NX_BUF_LIT(to, "null");
    if (read_mark(cmd, id, &mark)) {
        NX_BUF_LIT(to, ",\"running\":true,");
        nx_buf_append(to, nx_buf_bytes(&mark));
    } else {
        NX_BUF_LIT(to, ",\"running\":false,\"pid\":null,\"interval\":null,\"startedAt\":null,"
                       "\"endsAt\":null");
    }
    NX_BUF_LIT(to, ",\"cursor\":");
    if (nx_state_get(&cmd->state, id, NX_STATE_CURSOR, cursor) == 0)
        nx_json_append_string(to, nx_bytes_str(cursor));
    else
        NX_BUF_LIT(to, "null");
    nx_buf_append_char(to, '}');
    nx_buf_done(&mark);
}

static int append_pollers(struct nx_cmd *cmd, struct nx_buf *to, const struct nx_buf *aliases)
{
    struct nx_state_list list;
    int r = nx_state_sessions(&cmd->state, &list);

    if (r < 0)
        return nx_cmd_fail(cmd, "state_error", "the sessions: %s", nx_error_text(r));
    NX_BUF_LIT(to, "{\"sessions\":[");
    for (size_t i = 0; i < list.count; i++) {
        nx_buf_append_str(to, i == 0 ? "\n  " : ",\n  ");
        append_poller(cmd, to, aliases, list.ids[i]);
    }
    nx_buf_append_str(to, list.count > 0 ? "\n]}" : "]}");
    nx_state_list_done(&list);
    return 0;
}

int nx_verb_run_poll_status(struct nx_cmd *cmd)
{
    char id[NX_SESSION_ID_MAX + 1];
    struct nx_buf doc, aliases;
    int code = 0;

    nx_buf_init(&doc, cmd->mem, NX_STATE_DOCUMENT_MAX);
    nx_buf_init(&aliases, cmd->mem, NX_STATE_DOCUMENT_MAX);
    if (nx_doc_read(cmd, "aliases.json", &aliases) < 0)
        nx_buf_clear(&aliases);
    if (cmd->args.operand_count > 0)
        code = nx_cmd_session(cmd, cmd->args.operands[0], id);
    if (code == 0 && cmd->args.operand_count > 0)
        append_poller(cmd, &doc, &aliases, id);
    else if (code == 0)
        code = append_pollers(cmd, &doc, &aliases);
    if (code == 0)
        code = doc.error ? nx_cmd_fail(cmd, "internal_error", "%s", nx_error_text(doc.error))
                         : nx_cmd_print(cmd, nx_buf_bytes(&doc));
    nx_buf_done(&doc);
    nx_buf_done(&aliases);
    return code;
}
