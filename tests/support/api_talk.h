/* Requests as bytes through the real HTTP/1.1 machine into the API on one shard; the answer is left
 * in talk.api.answer. */
#ifndef NX_TESTS_API_TALK_H
#define NX_TESTS_API_TALK_H

#include "session/api/api.h"
#include "support/session_world.h"

struct talk {
    struct world world;
    struct nx_api_settings settings;
    struct nx_api api;
    struct nx_api_call call; /* the last one */
    struct nx_buf request;
    char session[NX_SESSION_ID_LEN + 1]; /* of the last create */
    char code[NX_CODE_LEN_MAX + 1];      /* of the last pair */
};

void talk_begin(struct talk *talk, const struct nx_sessions_limits *limits);
void talk_end(struct talk *talk);
/* line: "POST /v1/session/%s/join", where %s stands for the session, %c for the code. headers: ready
 * lines or NULL. body: NULL or JSON, sent as application/json unless headers name a Content-Type.
 * Returns the status; the HTTP machine's own refusals count as answers. */
unsigned talk(struct talk *talk, const char *line, const char *headers, const char *body);
/* The last answer's body or headers, NUL-terminated. */
const char *talk_body(struct talk *talk);
const char *talk_headers(struct talk *talk);
/* The last answer is this refusal, with this details path (NULL: none). */
void talk_refused(struct talk *talk, unsigned status, const char *code, const char *path);
/* A string member of the last answer, in one of a few static places. */
const char *talk_member(struct talk *talk, const char *name);

#define TALK_AGENT(name) "X-Agent-Id: " name "\r\n"

#endif
