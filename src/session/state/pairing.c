/* Pairing codes: WORD-WORD-XXXXX, single use, ten minutes, known until their session ends.
 *
 * Room: 2 × log2(512) + 5 × log2(31) = 42.8 bits, drawn anew until the code hashes to this shard,
 * so that a code alone leads to its session. Every code belongs to one shard and sessions fall on
 * shards at random, so a guess is no likelier to hit than without that rule. */
#include "base/hash.h"
#include "session/state/internal.h"

/* Digits and capitals without 0 O 1 I L. */
static const char alphabet[] = "23456789ABCDEFGHJKMNPQRSTUVWXYZ";

/* Fixed, so that a code keeps its shard across restarts; codes are ours, no peer chooses one. */
static const struct nx_hash_key code_key = {0x706169722063, 0x6f64652d31};

static uint64_t code_hash(struct nx_bytes text)
{
    return nx_hash(&code_key, text.ptr, text.len);
}

unsigned nx_code_shard(struct nx_bytes code, unsigned shards)
{
    return (unsigned)(code_hash(code) >> 48) & (shards - 1);
}

bool nx_code_canonical(struct nx_bytes code, char *ret_code, size_t *ret_len)
{
    if (code.len == 0 || code.len > NX_CODE_LEN_MAX)
        return false;
    for (size_t i = 0; i < code.len; i++) {
        char c = code.ptr[i];

        if (c >= 'a' && c <= 'z')
            c = (char)(c - 'a' + 'A');
        if (!((c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-'))
            return false;
        ret_code[i] = c;
    }
    *ret_len = code.len;
    return true;
}

struct code *code_find(struct nx_sessions *s, struct nx_bytes text)
{
    struct nx_map_node *node;

    for (node = nx_map_first(&s->codes, code_hash(text)); node; node = nx_map_next(node)) {
        struct code *code = NX_CONTAINER(node, struct code, by_text);

        if (nx_bytes_equal(nx_bytes_of(code->text, code->text_len), text))
            return code;
    }
    return NULL;
}

struct code *code_add(struct nx_sessions *s, struct nx_session *session, struct nx_bytes text)
{
    struct code *code = nx_mem_zalloc(s->mem, 1, sizeof(*code));

    if (!code)
        return NULL;
    memcpy(code->text, text.ptr, text.len);
    code->text_len = (uint8_t)text.len;
    code->session = session;
    if (nx_map_insert(&s->codes, &code->by_text, code_hash(text)) < 0) {
        nx_mem_free(s->mem, code);
        return NULL;
    }
    code->next = session->codes;
    session->codes = code;
    session->code_count++;
    return code;
}

void codes_drop(struct nx_sessions *s, struct nx_session *session)
{
    struct code *code = session->codes;

    while (code) {
        struct code *next = code->next;

        nx_map_remove(&s->codes, &code->by_text);
        nx_mem_free(s->mem, code);
        code = next;
    }
    session->codes = NULL;
    session->code_count = 0;
}

static size_t draw_word(struct nx_sessions *s, char *to)
{
    const char *word = code_words[nx_random_below(s->random, CODE_WORDS)];
    size_t len = strlen(word);

    memcpy(to, word, len);
    to[len] = '-';
    return len + 1;
}

static size_t draw(struct nx_sessions *s, char *to)
{
    size_t len = draw_word(s, to);

    len += draw_word(s, to + len);
    for (int i = 0; i < 5; i++)
        to[len++] = alphabet[nx_random_below(s->random, sizeof(alphabet) - 1)];
    return len;
}

static enum nx_code_state state_of(const struct code *code, struct nx_time now)
{
    if (code->claimed)
        return NX_CODE_CLAIMED;
    return code->expires_mono_ms <= now.mono_ms ? NX_CODE_EXPIRED : NX_CODE_PENDING;
}

static void view(const struct code *code, struct nx_time now, struct nx_code_view *ret_code)
{
    *ret_code = (struct nx_code_view){
            .code = nx_bytes_of(code->text, code->text_len),
            .state = state_of(code, now),
            .expires_wall_ms = code->expires_wall_ms,
    };
}

int nx_sessions_pair(struct nx_sessions *s, struct nx_time now, struct nx_bytes id,
        struct nx_code_view *ret_code)
{
    struct nx_session *session;
    struct code *code;
    char text[NX_CODE_LEN_MAX];
    size_t len;
    int r;

    step_begin(s);
    session = session_find(s, now, id);
    if (!session)
        return NX_REFUSE_SESSION_NOT_FOUND;
    if (session->code_count >= s->limits.codes_max)
        return NX_REFUSE_TOO_MANY_CODES;
    r = record_room(s, session);
    if (r < 0)
        return r;
    do {
        len = draw(s, text);
    } while (nx_code_shard(nx_bytes_of(text, len), s->limits.shards) != s->limits.shard ||
             code_find(s, nx_bytes_of(text, len)));
    code = code_add(s, session, nx_bytes_of(text, len));
    if (!code)
        return NX_E_NOMEM;
    code->expires_mono_ms = now.mono_ms + NX_CODE_LIFETIME_MS;
    code->expires_wall_ms = now.wall_ms + NX_CODE_LIFETIME_MS;
    emit_record(s, session);
    view(code, now, ret_code);
    return 0;
}

/* The code, when its session still lives; the step then waits for that session's changes. */
static struct code *live(struct nx_sessions *s, struct nx_time now, struct nx_bytes text)
{
    struct code *code = code_find(s, text);

    if (!code || !session_find(s, now, nx_bytes_of(code->session->id, NX_SESSION_ID_LEN)))
        return NULL;
    return code;
}

int nx_sessions_claim(struct nx_sessions *s, struct nx_time now, struct nx_bytes text,
        struct nx_bytes agent, struct nx_bytes key, struct nx_joined *ret_joined)
{
    struct code *code;
    int r;

    step_begin(s);
    code = live(s, now, text);
    if (!code)
        return NX_REFUSE_CODE_NOT_FOUND;
    if (state_of(code, now) != NX_CODE_PENDING)
        return NX_REFUSE_CODE_USED;
    r = record_room(s, code->session);
    if (r < 0)
        return r;
    /* Marked first, so that the record a join emits says both at once. */
    code->claimed = true;
    r = session_join(s, now, code->session, agent, key, false, ret_joined);
    if (r != 0) {
        code->claimed = false;
        return r;
    }
    /* A reconnect by key may have had nothing to store. */
    if (!s->must_wait)
        emit_record(s, code->session);
    return 0;
}

int nx_sessions_code(struct nx_sessions *s, struct nx_time now, struct nx_bytes text,
        struct nx_code_view *ret_code)
{
    struct code *code;

    step_begin(s);
    code = live(s, now, text);
    if (!code)
        return NX_REFUSE_CODE_NOT_FOUND;
    view(code, now, ret_code);
    return 0;
}
