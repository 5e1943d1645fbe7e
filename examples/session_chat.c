/* Two agents hold a short conversation through a session messaging service, in one program:
 *
 *     cc session_chat.c $(pkg-config --cflags --libs libnexus-session) -o session_chat
 *     ./session_chat http://127.0.0.1:3000
 *
 * Alice creates a session and a pairing code, Bob claims the code; each sends and reads. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <nexus/session.h>

/* Takes a call's outcome; on failure says why and ends the program. */
static void check(const struct nx_session_client *client, const char *what, int r,
        const struct nx_session_client_result *result)
{
    if (r < 0)
        fprintf(stderr, "%s: %s (%s)\n", what, nx_session_client_strerror(r),
                nx_session_client_fault(client));
    else if (!result->ok)
        fprintf(stderr, "%s: %d %s\n", what, result->http_status,
                result->error ? result->error : "and no JSON");
    else
        return;
    exit(1);
}

/* A text that outlives its result. */
static char *keep(const char *text)
{
    char *copy = text ? strdup(text) : NULL;

    if (!copy) {
        fprintf(stderr, "the server's answer lacks something\n");
        exit(1);
    }
    return copy;
}

static void send_text(struct nx_session_client *client, const char *session, const char *agent,
        const char *key, const char *text)
{
    struct nx_session_client_send message = {
            .session_id = session, .agent_id = agent, .session_key = key, .text = text};
    struct nx_session_client_result *result = NULL;
    int r = nx_session_client_send(client, &message, &result);

    check(client, "send", r, result);
    nx_session_client_result_free(result);
}

static void print_messages(struct nx_session_client *client, const char *session, const char *agent)
{
    struct nx_session_client_result *result = NULL;
    int r = nx_session_client_poll(client, session, agent, NULL, 0, &result);

    check(client, "poll", r, result);
    for (size_t i = 0; i < result->message_count; i++)
        printf("%s reads %s: %s%s\n", agent, result->messages[i].agent_id, result->messages[i].text,
                result->messages[i].verified ? " [verified]" : "");
    nx_session_client_result_free(result);
}

int main(int argc, char **argv)
{
    struct nx_session_client_create create = {
            .greeting = "Shall we review the report?", .creator_agent_id = "alice"};
    struct nx_session_client_result *result = NULL;
    struct nx_session_client *client;
    char *session, *alice_key = NULL, *bob_key = NULL, *code;
    int r;

    r = nx_session_client_new(argc > 1 ? argv[1] : "http://127.0.0.1:3000", &client);
    if (r < 0) {
        fprintf(stderr, "%s\n", nx_session_client_strerror(r));
        return 1;
    }
    r = nx_session_client_create(client, &create, &result);
    check(client, "create", r, result);
    session = keep(result->session_id);
    if (result->session_key)
        alice_key = keep(result->session_key);
    nx_session_client_result_free(result);
    if (!alice_key) { /* a server of generation 1 knows neither creators nor keys */
        r = nx_session_client_join(client, session, "alice", NULL, &result);
        check(client, "join", r, result);
        nx_session_client_result_free(result);
    }

    r = nx_session_client_pair(client, session, &result);
    check(client, "pair", r, result);
    code = keep(result->code);
    nx_session_client_result_free(result);

    r = nx_session_client_claim(client, code, "bob", &result);
    check(client, "claim", r, result);
    if (result->session_key)
        bob_key = keep(result->session_key);
    nx_session_client_result_free(result);

    send_text(client, session, "alice", alice_key, "I wrote section one.");
    send_text(client, session, "bob", bob_key, "I like it.");
    print_messages(client, session, "bob");

    r = nx_session_client_leave(client, session, "bob", bob_key, &result);
    if (r == 0)
        printf("bob %s\n", result->gone ? "has left" : "stays");
    if (r == 0)
        nx_session_client_result_free(result);

    free(session);
    free(alice_key);
    free(bob_key);
    free(code);
    nx_session_client_free(client);
    return 0;
}
