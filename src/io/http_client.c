/* See http_client.h. RFC 9110 sections 9 and 15.4 (redirects); HTTP itself is libcurl's. */
#include "io/http_client.h"

#include <stdio.h>
#include <time.h>

#include <curl/curl.h>

struct nx_http_client {
    const struct nx_mem *mem;
    CURL *easy;
    char *user_agent;
    char fault[CURL_ERROR_SIZE];
    char curl_fault[CURL_ERROR_SIZE];
};

int nx_http_client_new(
        const struct nx_mem *mem, const char *user_agent, struct nx_http_client **ret_client)
{
    struct nx_http_client *client = nx_mem_zalloc(mem, 1, sizeof(*client));

    if (!client)
        return NX_E_NOMEM;
    client->mem = mem;
    client->user_agent = nx_mem_strndup(mem, user_agent, strlen(user_agent));
    /* Counted, and safe from any thread since curl 7.84. */
    if (!client->user_agent || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        nx_mem_free(mem, client->user_agent);
        nx_mem_free(mem, client);
        return NX_E_NOMEM;
    }
    client->easy = curl_easy_init();
    if (!client->easy) {
        nx_http_client_free(client);
        return NX_E_NOMEM;
    }
    *ret_client = client;
    return 0;
}

void nx_http_client_free(struct nx_http_client *client)
{
    if (!client)
        return;
    if (client->easy)
        curl_easy_cleanup(client->easy);
    curl_global_cleanup();
    nx_mem_free(client->mem, client->user_agent);
    nx_mem_free(client->mem, client);
}

const char *nx_http_client_fault(const struct nx_http_client *client)
{
    return client->fault;
}

static int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static size_t take_body(char *ptr, size_t size, size_t count, void *ctx)
{
    struct nx_buf *to = ctx;

    (void)size; /* always 1 */
    nx_buf_append(to, nx_bytes_of(ptr, count));
    return to->error ? 0 : count;
}

static int error_of(CURLcode code)
{
    switch ((int)code) { /* the enum is curl's and grows */
    case CURLE_OK:
        return 0;
    case CURLE_OPERATION_TIMEDOUT:
        return NX_E_TIMEOUT;
    case CURLE_OUT_OF_MEMORY:
        return NX_E_NOMEM;
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_URL_MALFORMAT:
        return NX_E_INVALID;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_INVALIDCERTSTATUS:
    case CURLE_USE_SSL_FAILED:
        return NX_E_TLS;
    default:
        return NX_E_NETWORK;
    }
}

static struct curl_slist *append_line(struct curl_slist *list, const char *line)
{
    struct curl_slist *longer = curl_slist_append(list, line);

    if (!longer)
        curl_slist_free_all(list);
    return longer;
}

/* Returns 0 and the list, which may not be empty: it also switches off "Expect: 100-continue",
 * which costs a second with servers that do not know it. */
static int make_headers(struct nx_http_client *client, const struct nx_http_client_request *request,
        struct curl_slist **ret_list)
{
    struct curl_slist *list = append_line(NULL, "Expect:");
    struct nx_buf line;

    nx_buf_init(&line, client->mem, 16384);
    for (size_t i = 0; i < request->header_count && list; i++) {
        const struct nx_http_client_header *header = &request->headers[i];

        if (strpbrk(header->name, "\r\n:") || strpbrk(header->value, "\r\n")) {
            curl_slist_free_all(list);
            nx_buf_done(&line);
            return NX_E_INVALID;
        }
        nx_buf_clear(&line);
        nx_buf_printf(&line, "%s: %s", header->name, header->value);
        (void)nx_buf_str(&line);
        if (line.error) {
            curl_slist_free_all(list);
            list = NULL;
        } else {
            list = append_line(list, line.ptr);
        }
    }
    if (line.ptr)
        nx_wipe(line.ptr, line.capacity);
    nx_buf_done(&line);
    if (!list)
        return NX_E_NOMEM;
    *ret_list = list;
    return 0;
}

static CURLcode set_up(struct nx_http_client *client, const struct nx_http_client_request *request,
        const char *url, struct curl_slist *headers, int64_t timeout_ms)
{
    CURL *easy = client->easy;
    CURLcode code;

    curl_easy_reset(easy); /* connections, DNS cache and TLS sessions stay */
    client->curl_fault[0] = '\0';
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, client->curl_fault);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 1L);
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)timeout_ms);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body);
    code = curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    if (code == CURLE_OK)
        code = curl_easy_setopt(easy, CURLOPT_USERAGENT, client->user_agent);
    if (code == CURLE_OK)
        code = curl_easy_setopt(easy, CURLOPT_URL, url);
    if (request->body.ptr) {
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body.len);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request->body.ptr);
    } else if (strcmp(request->method, "POST") == 0) {
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)0);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, "");
    }
    if (code == CURLE_OK)
        code = curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request->method);
    return code;
}

static bool part_equal(CURLU *a, CURLU *b, CURLUPart part, unsigned flags)
{
    char *from = NULL;
    char *to = NULL;
    bool equal = curl_url_get(a, part, &from, flags) == CURLUE_OK &&
                 curl_url_get(b, part, &to, flags) == CURLUE_OK &&
                 nx_bytes_equal_nocase(nx_bytes_str(from), nx_bytes_str(to));

    curl_free(from);
    curl_free(to);
    return equal;
}

/* Same scheme, host and port; or the same host's https on its own port after http on its own. */
static bool redirect_allowed(const char *from, const char *to)
{
    CURLU *a = curl_url();
    CURLU *b = curl_url();
    bool allowed = false;

    if (a && b && curl_url_set(a, CURLUPART_URL, from, 0) == CURLUE_OK &&
            curl_url_set(b, CURLUPART_URL, to, 0) == CURLUE_OK &&
            part_equal(a, b, CURLUPART_HOST, 0)) {
        bool same_scheme = part_equal(a, b, CURLUPART_SCHEME, 0);
        bool same_port = part_equal(a, b, CURLUPART_PORT, CURLU_DEFAULT_PORT);
        bool upgrade = strncmp(from, "http:", 5) == 0 && strncmp(to, "https:", 6) == 0;
        char *port = NULL;

        if (upgrade) {
            /* Neither names a port: both are on their scheme's own. */
            upgrade =
                    curl_url_get(a, CURLUPART_PORT, &port, CURLU_NO_DEFAULT_PORT) ==
                            CURLUE_NO_PORT &&
                    curl_url_get(b, CURLUPART_PORT, &port, CURLU_NO_DEFAULT_PORT) == CURLUE_NO_PORT;
            curl_free(port);
        }
        allowed = (same_scheme && same_port) || upgrade;
    }
    curl_url_cleanup(a);
    curl_url_cleanup(b);
    return allowed;
}

/* One request and its answer. *ret_next is where it sends us on to (the client's memory), or NULL. */
static int perform_once(struct nx_http_client *client, const struct nx_http_client_request *request,
        const char *url, struct curl_slist *headers, int64_t timeout_ms, struct nx_buf *to,
        int *ret_status, char **ret_next)
{
    CURLcode code = set_up(client, request, url, headers, timeout_ms);
    char *next = NULL;
    long status = 0;

    nx_buf_clear(to);
    curl_easy_setopt(client->easy, CURLOPT_WRITEDATA, to);
    if (code == CURLE_OK)
        code = curl_easy_perform(client->easy);
    if (to->error) {
        snprintf(client->fault, sizeof(client->fault), "the answer is %s",
                to->error == NX_E_TOO_LARGE ? "too large" : "more than there is memory for");
        return to->error;
    }
    if (code != CURLE_OK) {
        snprintf(client->fault, sizeof(client->fault), "%s",
                client->curl_fault[0] ? client->curl_fault : curl_easy_strerror(code));
        return error_of(code);
    }
    curl_easy_getinfo(client->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(client->easy, CURLINFO_REDIRECT_URL, &next);
    *ret_next = NULL;
    if (next && strcmp(request->method, "GET") == 0 && redirect_allowed(url, next)) {
        *ret_next = nx_mem_strndup(client->mem, next, strlen(next));
        if (!*ret_next)
            return NX_E_NOMEM;
    }
    *ret_status = (int)status;
    return 0;
}

int nx_http_client_perform(struct nx_http_client *client,
        const struct nx_http_client_request *request, struct nx_buf *to, int *ret_status)
{
    int64_t deadline_ms = now_ms() + request->timeout_ms;
    struct curl_slist *headers;
    char *url = NULL;
    int status = 0;
    int r;

    client->fault[0] = '\0';
    r = make_headers(client, request, &headers);
    if (r < 0)
        return r;
    for (int hop = 0; hop <= NX_HTTP_REDIRECTS_MAX; hop++) {
        int64_t left_ms = deadline_ms - now_ms();
        char *next = NULL;

        if (left_ms < 1 && hop > 0) {
            snprintf(client->fault, sizeof(client->fault), "redirects took all the time");
            r = NX_E_TIMEOUT;
            break;
        }
        r = perform_once(client, request, url ? url : request->url, headers,
                left_ms > 0 ? left_ms : 1, to, &status, &next);
        nx_mem_free(client->mem, url);
        url = next;
        if (r < 0 || !url)
            break;
    }
    nx_mem_free(client->mem, url);
    curl_easy_setopt(client->easy, CURLOPT_HTTPHEADER, NULL);
    curl_easy_setopt(client->easy, CURLOPT_POSTFIELDS, NULL);
    curl_slist_free_all(headers);
    if (r == 0)
        *ret_status = status;
    return r;
}
