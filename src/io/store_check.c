/* Reads a whole database without trusting one byte of it.
 *
 * LMDB maps its file and follows what it finds: on a damaged page it would die, or fall back to
 * an older commit without a word. This reader uses pread only, checks every offset, visits every
 * page at most once (so it ends), and accepts a file only when
 *   - both meta pages are whole and follow each other (numbers n - 1 and n, even in page 0), and
 *     the commit record reached from each says the same number as the meta page;
 *   - every page of the newest tree lies in the file, says its own number, and has the kind and
 *     depth its parent expects; keys ascend and lie between their parents' keys;
 *   - no page belongs to two owners, the list of free pages included (a live page in that list
 *     would be overwritten by a later commit);
 *   - every record matches its checksum, and all together match the count and sum of the commit
 *     record.
 * What it cannot see: a disk that lost the newest meta page's write and kept the one before, whole
 * (the store is then as it was one commit earlier). No single file can tell that from a commit that
 * never ran.
 *
 * The format is that of LMDB 0.9 (MDB_DATA_VERSION 1), 64-bit, little endian: page header 16
 * bytes (number u64, pad u16, flags u16, lower u16, upper u16; overflow: pages u32 in place of the
 * last two), then offsets u16; a node is size or page u32, flags u16, key length u16, key, data. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/store_internal.h"

#define PAGE_HEAD   16
#define NODE_HEAD   8
#define META_MAGIC  UINT32_C(0xbeefc0de)
#define PAGE_NONE   UINT64_MAX
#define DEPTH_MAX   32
#define PAGES_SLACK (UINT64_C(2) * 131072) /* freed before ever written: LMDB's dirty list, twice */

enum { PAGE_BRANCH = 0x01, PAGE_LEAF = 0x02, PAGE_OVERFLOW = 0x04, PAGE_META = 0x08 };
enum { NODE_BIG = 0x01 };
enum { FREE_FLAGS = MDB_INTEGERKEY | MDB_NOSUBDIR };

struct tree {
    uint32_t pad; /* the page size, in the tree of free pages */
    uint16_t flags;
    uint16_t depth;
    uint64_t branch_pages, leaf_pages, overflow_pages;
    uint64_t entries;
    uint64_t root;
};

struct meta {
    uint32_t magic;
    uint32_t version;
    uint64_t address;
    uint64_t map_bytes;
    struct tree free, main;
    uint64_t last_page;
    uint64_t txn;
};

_Static_assert(sizeof(struct tree) == 48 && sizeof(struct meta) == 136, "as LMDB lays them out");

struct node {
    uint16_t flags;
    struct nx_bytes key;
    struct nx_bytes data; /* of a leaf, in the page */
    uint64_t page;        /* of a branch: the child */
    uint32_t size;        /* of a leaf's value, wherever it is */
};

struct check {
    const struct nx_mem *mem;
    int fd;
    const char *path;
    struct nx_store_fault *fault;
    uint64_t file_pages;
    uint32_t page_bytes;
    struct meta metas[2];
    const struct meta *meta; /* the one being walked */
    bool free_tree;          /* which of its trees */
    uint8_t *seen;           /* a bit a page */
    char *levels;            /* a page buffer a level */
    char *big;
    size_t big_capacity;
    uint64_t entries;
    struct store_commit found; /* counted while walking */
};

NX_PRINTF(2, 3) static int damaged(struct check *check, const char *format, ...)
{
    char what[200];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(what, sizeof(what), format, args);
    va_end(args);
    (void)snprintf(check->fault->text, sizeof(check->fault->text),
            "%.200s is damaged: %s. Restore it from a backup, or move it away to start empty.",
            check->path, what);
    return NX_E_DAMAGED;
}

NX_PRINTF(2, 3) static int foreign(struct check *check, const char *format, ...)
{
    char what[200];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(what, sizeof(what), format, args);
    va_end(args);
    (void)snprintf(check->fault->text, sizeof(check->fault->text),
            "%.200s %s. Choose another data folder, or move this file away to start empty.",
            check->path, what);
    return NX_E_FOREIGN;
}

static int no_memory(struct check *check)
{
    (void)snprintf(check->fault->text, sizeof(check->fault->text),
            "Out of memory while checking %.200s.", check->path);
    return NX_E_NOMEM;
}

static uint16_t u16_at(const char *ptr)
{
    uint16_t value;

    memcpy(&value, ptr, sizeof(value));
    return value;
}

static uint32_t u32_at(const char *ptr)
{
    uint32_t value;

    memcpy(&value, ptr, sizeof(value));
    return value;
}

static uint64_t u64_at(const char *ptr)
{
    uint64_t value;

    memcpy(&value, ptr, sizeof(value));
    return value;
}

static int read_at(struct check *check, char *to, size_t len, uint64_t offset)
{
    size_t done = 0;

    while (done < len) {
        ssize_t n = pread(check->fd, to + done, len - done, (off_t)(offset + done));

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return damaged(check, "reading at byte %llu failed (%s)",
                    (unsigned long long)(offset + done), strerror(errno));
        if (n == 0)
            return damaged(check, "it ends at byte %llu, in the middle of its data",
                    (unsigned long long)(offset + done));
        done += (size_t)n;
    }
    return 0;
}

/* A page gets its one owner; in_file: it must have been written. */
static int claim(struct check *check, uint64_t page, bool in_file)
{
    if (page < 2 || page > check->meta->last_page)
        return damaged(
                check, "it refers to page %llu, which cannot exist", (unsigned long long)page);
    if (in_file && page >= check->file_pages)
        return damaged(check, "it is too short: page %llu is missing", (unsigned long long)page);
    if (check->seen[page / 8] & (1u << page % 8))
        return damaged(check, "page %llu has two owners", (unsigned long long)page);
    check->seen[page / 8] = (uint8_t)(check->seen[page / 8] | 1u << page % 8);
    return 0;
}

/* Reads a branch or leaf page and checks its head. */
static int read_page(struct check *check, uint64_t page, uint16_t flags, char *to)
{
    uint16_t lower, upper;
    int r = read_at(check, to, check->page_bytes, page * check->page_bytes);

    if (r < 0)
        return r;
    lower = u16_at(to + 12);
    upper = u16_at(to + 14);
    if (u64_at(to) != page || u16_at(to + 10) != flags || lower < PAGE_HEAD + 2 || lower % 2 ||
            lower > upper || upper > check->page_bytes)
        return damaged(check, "the head of page %llu is wrong", (unsigned long long)page);
    return 0;
}

static size_t page_nodes(const char *page)
{
    return (u16_at(page + 12) - (size_t)PAGE_HEAD) / 2;
}

static int read_node(struct check *check, const char *page, size_t index, struct node *ret_node)
{
    struct node node = {0};
    size_t at = u16_at(page + PAGE_HEAD + 2 * index);
    size_t left, data_len;

    if (at % 2 || at < u16_at(page + 14) || at + NODE_HEAD > check->page_bytes)
        return damaged(check, "page %llu is garbled", (unsigned long long)u64_at(page));
    left = check->page_bytes - at - NODE_HEAD;
    node.size = u32_at(page + at);
    node.flags = u16_at(page + at + 4);
    node.key = nx_bytes_of(page + at + NODE_HEAD, u16_at(page + at + 6));
    if (node.key.len > left)
        return damaged(check, "page %llu is garbled", (unsigned long long)u64_at(page));
    left -= node.key.len;
    if (u16_at(page + 10) == PAGE_BRANCH) {
        node.page = node.size | (uint64_t)node.flags << 32;
    } else {
        data_len = node.flags == NODE_BIG ? sizeof(uint64_t) : node.size;
        if ((node.flags != 0 && node.flags != NODE_BIG) || data_len > left)
            return damaged(check, "page %llu is garbled", (unsigned long long)u64_at(page));
        node.data = nx_bytes_of(node.key.ptr + node.key.len, data_len);
    }
    *ret_node = node;
    return 0;
}

static int compare(bool numbers, struct nx_bytes a, struct nx_bytes b)
{
    size_t len = a.len < b.len ? a.len : b.len;
    int order;

    if (numbers) {
        uint64_t x = a.len == sizeof(x) ? u64_at(a.ptr) : 0;
        uint64_t y = b.len == sizeof(y) ? u64_at(b.ptr) : 0;

        return x < y ? -1 : x > y;
    }
    order = len > 0 ? memcmp(a.ptr, b.ptr, len) : 0;
    if (order != 0)
        return order;
    return a.len < b.len ? -1 : a.len > b.len;
}

static int claim_run(struct check *check, uint64_t page, uint64_t pages)
{
    int r = 0;

    if (pages > check->file_pages)
        return damaged(check, "a record is larger than the file");
    for (uint64_t i = 0; r == 0 && i < pages; i++)
        r = claim(check, page + i, true);
    return r;
}

/* Nodes fill the end of their page and do not overlap: LMDB moves them by their lengths. */
static int check_room(struct check *check, const char *page, const struct node *node, size_t *used)
{
    *used += (NODE_HEAD + node->key.len + node->data.len + 1) & ~(size_t)1;
    if (*used > check->page_bytes - u16_at(page + 14))
        return damaged(check, "page %llu is garbled", (unsigned long long)u64_at(page));
    return 0;
}

/* Fetches a value that has pages of its own: as many as it needs, or more, when it once was larger
 * and LMDB has kept them. */
static int read_big(struct check *check, const struct node *node, struct nx_bytes *ret_value)
{
    uint64_t page = u64_at(node->data.ptr);
    uint64_t pages = ((uint64_t)PAGE_HEAD - 1 + node->size) / check->page_bytes + 1;
    size_t bytes = (size_t)PAGE_HEAD + node->size;
    char head[PAGE_HEAD];
    char *ptr;
    int r;

    if (!check->free_tree && node->size > STORE_VALUE_BYTES_MAX + STORE_SUM_BYTES)
        return damaged(check, "a record is larger than any can be");
    if (page < 2 || page >= check->file_pages)
        return damaged(check, "it is too short: page %llu is missing", (unsigned long long)page);
    r = read_at(check, head, sizeof(head), page * check->page_bytes);
    if (r < 0)
        return r;
    if (u64_at(head) != page || u16_at(head + 10) != PAGE_OVERFLOW || u32_at(head + 12) < pages)
        return damaged(check, "the head of page %llu is wrong", (unsigned long long)page);
    r = claim_run(check, page, u32_at(head + 12));
    if (r < 0)
        return r;
    if (bytes > check->big_capacity) {
        ptr = nx_mem_resize(check->mem, check->big, bytes);
        if (!ptr)
            return no_memory(check);
        check->big = ptr;
        check->big_capacity = bytes;
    }
    r = read_at(check, check->big, bytes, page * check->page_bytes);
    if (r == 0)
        *ret_value = nx_bytes_of(check->big + PAGE_HEAD, node->size);
    return r;
}

/* A list of free pages: the transaction that freed them (LMDB would use one of number 0 again and
 * again), their count, their numbers descending. */
static int visit_free(struct check *check, struct nx_bytes key, struct nx_bytes value)
{
    uint64_t count, page, previous = PAGE_NONE;

    if (key.len != 8 || u64_at(key.ptr) < 1 || u64_at(key.ptr) > check->meta->txn ||
            value.len < 8 || value.len % 8)
        return damaged(check, "a list of free pages is garbled");
    count = u64_at(value.ptr);
    if (count > value.len / 8 - 1)
        return damaged(check, "a list of free pages is garbled");
    for (uint64_t i = 1; i <= count; i++) {
        int r;

        page = u64_at(value.ptr + 8 * i);
        if (page >= previous)
            return damaged(check, "a list of free pages is out of order");
        r = claim(check, page, false);
        if (r < 0)
            return r;
        previous = page;
    }
    return 0;
}

static int visit_record(struct check *check, struct nx_bytes key, struct nx_bytes value)
{
    uint64_t sum;
    unsigned table;

    if (key.len < 1 || key.len > STORE_KEY_BYTES_MAX || value.len < STORE_SUM_BYTES)
        return damaged(check, "it holds a record that nexus does not write");
    sum = u64_at(value.ptr);
    if (sum != nx_store_checksum(key, nx_bytes_from(value, STORE_SUM_BYTES)))
        return damaged(check, "a record does not match its checksum");
    table = (unsigned char)key.ptr[0];
    if (table > NX_CHANGE_TABLES)
        return damaged(check, "it holds a record that nexus does not write");
    if (table > 0) {
        check->found.count++;
        check->found.sum += sum;
    }
    return 0;
}

/* Keys of the page must lie in [low, high); NULL: no bound. */
static int check_key(struct check *check, const struct node *node, const struct nx_bytes *previous,
        const struct nx_bytes *low, const struct nx_bytes *high)
{
    bool numbers = check->free_tree;

    if ((numbers && node->key.len != 8) ||
            (previous && compare(numbers, *previous, node->key) >= 0) ||
            (low && compare(numbers, *low, node->key) > 0) ||
            (high && compare(numbers, node->key, *high) >= 0))
        return damaged(check, "its keys are out of order");
    return 0;
}

static int walk_leaf(struct check *check, const char *page, const struct nx_bytes *low,
        const struct nx_bytes *high)
{
    struct node node, previous;
    struct nx_bytes value;
    size_t count = page_nodes(page);
    size_t used = 0;
    int r;

    for (size_t i = 0; i < count; i++) {
        r = read_node(check, page, i, &node);
        if (r == 0)
            r = check_room(check, page, &node, &used);
        if (r < 0)
            return r;
        r = check_key(check, &node, i > 0 ? &previous.key : NULL, low, high);
        if (r < 0)
            return r;
        value = node.data;
        if (node.flags == NODE_BIG) {
            r = read_big(check, &node, &value);
            if (r < 0)
                return r;
        }
        r = check->free_tree ? visit_free(check, node.key, value)
                             : visit_record(check, node.key, value);
        if (r < 0)
            return r;
        check->entries++;
        previous = node;
    }
    return 0;
}

/* depth: of the pages below and this one; bounded by DEPTH_MAX, so the recursion is. */
static int walk(struct check *check, uint64_t number, unsigned depth, const struct nx_bytes *low,
        const struct nx_bytes *high)
{
    char *page = check->levels + (size_t)(depth - 1) * check->page_bytes;
    struct node node, next = {0};
    size_t count;
    size_t used = 0;
    int r = claim(check, number, true);

    if (r < 0)
        return r;
    r = read_page(check, number, depth == 1 ? PAGE_LEAF : PAGE_BRANCH, page);
    if (r < 0)
        return r;
    if (depth == 1)
        return walk_leaf(check, page, low, high);
    count = page_nodes(page);
    r = read_node(check, page, 0, &next);
    /* The first node stands for everything below the second: its own key says nothing. */
    for (size_t i = 0; r == 0 && i < count; i++) {
        node = next;
        r = check_room(check, page, &node, &used);
        if (r == 0 && i + 1 < count) {
            r = read_node(check, page, i + 1, &next);
            if (r == 0)
                r = check_key(check, &next, i > 0 ? &node.key : NULL, low, high);
        }
        if (r == 0)
            r = walk(check, node.page, depth - 1, i > 0 ? &node.key : low,
                    i + 1 < count ? &next.key : high);
    }
    return r;
}

static int walk_tree(struct check *check, const struct meta *meta, bool free_tree)
{
    const struct tree *tree = free_tree ? &meta->free : &meta->main;
    int r;

    check->meta = meta;
    check->free_tree = free_tree;
    check->entries = 0;
    if (tree->root == PAGE_NONE) {
        if (tree->depth != 0 || tree->entries != 0)
            return damaged(check, "a tree has lost its root");
        return 0;
    }
    if (tree->depth < 1 || tree->depth > DEPTH_MAX)
        return damaged(check, "a tree has an impossible depth");
    r = walk(check, tree->root, tree->depth, NULL, NULL);
    if (r < 0)
        return r;
    if (check->entries != tree->entries)
        return damaged(check, "it holds %llu records where %llu should be",
                (unsigned long long)check->entries, (unsigned long long)tree->entries);
    return 0;
}

/* Finds one of the store's own records in the main tree. Returns 0, NX_E_NOTFOUND, or damage. */
static int find(struct check *check, const struct meta *meta, struct nx_bytes key, void *ret_value,
        size_t value_len)
{
    uint64_t number = meta->main.root;
    char *page = check->levels;
    struct node node;
    size_t count, index;
    int r;

    check->free_tree = false;
    if (number == PAGE_NONE)
        return NX_E_NOTFOUND;
    if (meta->main.depth < 1 || meta->main.depth > DEPTH_MAX)
        return damaged(check, "a tree has an impossible depth");
    for (unsigned depth = meta->main.depth; depth > 0; depth--) {
        if (number < 2 || number > meta->last_page || number >= check->file_pages)
            return damaged(check, "page %llu is missing", (unsigned long long)number);
        r = read_page(check, number, depth == 1 ? PAGE_LEAF : PAGE_BRANCH, page);
        if (r < 0)
            return r;
        count = page_nodes(page);
        for (index = count; index > 0; index--) {
            r = read_node(check, page, index - 1, &node);
            if (r < 0)
                return r;
            if (compare(false, node.key, key) <= 0 || (depth > 1 && index == 1))
                break;
        }
        if (index == 0)
            return NX_E_NOTFOUND;
        number = node.page;
    }
    if (!nx_bytes_equal(node.key, key) || node.flags != 0)
        return NX_E_NOTFOUND;
    if (node.data.len != STORE_SUM_BYTES + value_len ||
            u64_at(node.data.ptr) !=
                    nx_store_checksum(key, nx_bytes_from(node.data, STORE_SUM_BYTES)))
        return damaged(check, "a record does not match its checksum");
    memcpy(ret_value, node.data.ptr + STORE_SUM_BYTES, value_len);
    return 0;
}

static int check_format(struct check *check, const struct meta *meta)
{
    struct store_format format;
    int r = find(check, meta, STORE_KEY_FORMAT, &format, sizeof(format));

    if (r == NX_E_NOTFOUND)
        return foreign(check, "is a database that nexus did not make (or it is damaged)");
    if (r < 0)
        return r;
    if (memcmp(format.mark, STORE_FORMAT_MARK, sizeof(format.mark)) != 0)
        return foreign(check, "is a database that nexus did not make");
    if (format.version != STORE_FORMAT || format.tables != NX_CHANGE_TABLES)
        return foreign(check, "was written by another version of nexus (format %lu, this one %d)",
                (unsigned long)format.version, STORE_FORMAT);
    return 0;
}

/* The meta page is believed when the commit it leads to bears its number. */
static int check_commit(struct check *check, const struct meta *meta, struct store_commit *ret)
{
    struct store_commit commit;
    int r = find(check, meta, STORE_KEY_COMMIT, &commit, sizeof(commit));

    if (r == NX_E_NOTFOUND || (r == 0 && commit.txn != meta->txn))
        return damaged(check, "commit %llu is not the one its meta page says",
                (unsigned long long)meta->txn);
    if (r < 0)
        return r;
    *ret = commit;
    return 0;
}

static int read_meta(struct check *check, unsigned index, struct meta *ret_meta)
{
    char page[PAGE_HEAD + sizeof(struct meta)];
    struct meta meta;
    int r = read_at(check, page, sizeof(page), (uint64_t)index * check->page_bytes);

    if (r < 0)
        return r;
    memcpy(&meta, page + PAGE_HEAD, sizeof(meta));
    if (meta.magic == META_MAGIC && meta.version != 1)
        return foreign(check, "is an LMDB file of version %lu, this nexus reads version 1",
                (unsigned long)meta.version);
    if (u64_at(page) != index || u16_at(page + 10) != PAGE_META || meta.magic != META_MAGIC)
        return damaged(check, "meta page %u is not one", index);
    if (meta.free.pad != check->page_bytes || meta.txn % 2 != (meta.txn > 0 ? index : 0) ||
            meta.last_page >= check->file_pages + PAGES_SLACK || meta.last_page < 1)
        return damaged(check, "meta page %u is garbled", index);
    if (meta.free.flags != FREE_FLAGS || meta.main.flags != 0)
        return foreign(check, "is an LMDB file of another kind (or it is damaged)");
    *ret_meta = meta;
    return 0;
}

static int check_metas(struct check *check, struct meta metas[2], unsigned *ret_newest)
{
    struct store_commit commit;
    unsigned newest;
    int r;

    for (unsigned i = 0; i < 2; i++) {
        r = read_meta(check, i, &metas[i]);
        if (r < 0)
            return r;
    }
    newest = metas[1].txn > metas[0].txn;
    if (metas[newest].txn != metas[!newest].txn + 1)
        return damaged(check, "its meta pages (%llu, %llu) do not follow each other",
                (unsigned long long)metas[0].txn, (unsigned long long)metas[1].txn);
    /* The older one is walked by nobody, but it must really be the older one. Commit 0 is empty. */
    if (metas[!newest].txn > 0) {
        r = check_commit(check, &metas[!newest], &commit);
        if (r < 0)
            return r;
    } else if (metas[!newest].main.root != PAGE_NONE) {
        return damaged(check, "meta page %u is garbled", (unsigned)!newest);
    }
    *ret_newest = newest;
    return 0;
}

static int check_size(struct check *check)
{
    char head[PAGE_HEAD + sizeof(struct meta)];
    struct meta meta;
    struct stat st;
    int r;

    if (fstat(check->fd, &st) < 0 || !S_ISREG(st.st_mode))
        return foreign(check, "is not a plain file");
    if (st.st_size < (off_t)sizeof(head))
        return damaged(
                check, "it is %lld bytes long, too short to hold anything", (long long)st.st_size);
    check->page_bytes = 0;
    r = read_at(check, head, sizeof(head), 0);
    if (r < 0)
        return r;
    memcpy(&meta, head + PAGE_HEAD, sizeof(meta));
    if (meta.magic != META_MAGIC)
        return damaged(check, "it does not begin as a database does");
    check->page_bytes = meta.free.pad;
    if (check->page_bytes < 512 || check->page_bytes > 32768 ||
            (check->page_bytes & (check->page_bytes - 1)))
        return damaged(check, "its page size is impossible");
    check->file_pages = (uint64_t)st.st_size / check->page_bytes;
    if (check->file_pages < 2)
        return damaged(check, "it is too short: page 1 is missing");
    return 0;
}

static int check_all(struct check *check, struct store_checked *ret_checked)
{
    struct store_commit commit = {0};
    unsigned newest = 0;
    int r = check_size(check);

    if (r < 0)
        return r;
    check->levels = nx_mem_zalloc(check->mem, DEPTH_MAX, check->page_bytes);
    if (!check->levels)
        return no_memory(check);
    r = check_metas(check, check->metas, &newest);
    if (r < 0)
        return r;
    check->seen = nx_mem_zalloc(check->mem, (size_t)(check->metas[newest].last_page / 8 + 1), 1);
    if (!check->seen)
        return no_memory(check);
    r = check_format(check, &check->metas[newest]);
    if (r == 0)
        r = check_commit(check, &check->metas[newest], &commit);
    if (r == 0)
        r = walk_tree(check, &check->metas[newest], false);
    if (r == 0)
        r = walk_tree(check, &check->metas[newest], true);
    if (r < 0)
        return r;
    if (check->found.count != commit.count || check->found.sum != commit.sum)
        return damaged(check, "its records (%llu) are not those last committed (%llu)",
                (unsigned long long)check->found.count, (unsigned long long)commit.count);
    ret_checked->commit = commit;
    return 0;
}

int nx_store_check(const struct nx_mem *mem, int fd, const char *path,
        struct store_checked *ret_checked, struct nx_store_fault *ret_fault)
{
    struct check check = {.mem = mem, .fd = fd, .path = path, .fault = ret_fault};
    int r = check_all(&check, ret_checked);

    nx_mem_free(mem, check.levels);
    nx_mem_free(mem, check.seen);
    nx_mem_free(mem, check.big);
    return r;
}
