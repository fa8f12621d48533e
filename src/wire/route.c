// SPDX-License-Identifier: MIT
//
// Two trees with one level a segment: one of patterns, one of prefixes. A node stands for one way
// to read the first segments of a path, so a search visits no node twice, and its work is bounded
// by the number of nodes. Nothing is allocated on the way.
//
// `route_find` walks both. Among the prefixes it visits all nodes that the path reaches and gathers
// their middlewares, sorted, in memory that the table keeps for it. Among the patterns it visits
// the best branch first, and stops at the first node that has the method. The two walks are apart
// because they read a path differently: an empty segment counts for a pattern only, and one path
// has one route but many prefixes.
#include "wire/route.h"

#include "base/mem.h"
#include "wire/octet.h"

#include <assert.h>
#include <errno.h>

/// One registration of a route.
struct entry {
    char *memory; // copies of pattern and method; `method` and `names` point into it
    struct bytes method;
    void *target;
    size_t name_count;
    struct bytes names[ROUTE_PARAMS_MAX];
};

/// One segment of one or more patterns, or of one or more prefixes.
struct node {
    struct bytes literal; // decoded; owned
    struct node **children;
    size_t child_count; // literal ones, in the order of `compare`
    struct node *parameter;
    struct node *rest;
    struct entry **entries; // of patterns that end here
    size_t entry_count;
    struct route_link *links; // of prefixes that end here
    size_t link_count;
};

struct route_table {
    struct node root;     // where the path of a pattern begins; never has entries
    struct node prefixes; // where a prefix begins
    size_t link_count;
    struct route_link *chain; // room for all middlewares: what the last `route_find` gathered
};

/// A visit to all nodes that match a path. `on_node` returns true to end it.
struct visit {
    bool (*on_node)(struct visit *visit, const struct node *node);
    struct bytes method; // what is looked for; when listing, the last method that was listed
    struct bytes next;   // when listing: the least method beyond it; empty when there is none
    const struct entry *found;
    bool is_known;
    bool has_rest; // `found` was reached by `*rest`
    size_t value_count;
    struct bytes values[ROUTE_PARAMS_MAX];
};

static_assert(ROUTE_PARAMS_MAX == 16, "the message of name_error says so");

static int refuse(struct route_problem *problem, const char *why);
static const char *parse_names(struct bytes pattern, struct entry *entry);
static const char *name_error(struct bytes segment, struct bytes rest, const struct entry *entry);
static struct bytes take_segment(struct bytes *rest);
static struct bytes take_full_segment(struct bytes *rest);
static struct entry *entry_new(struct bytes method, struct bytes pattern, void *target);
static struct node *place_pattern(struct node *root, struct bytes pattern);
static struct node *place_segment(struct node *node, struct bytes segment);
static struct node *place_literal(struct node *node, struct bytes segment);
static struct node *place_prefix(struct node *root, struct bytes prefix);
static struct node *node_new(struct node **slot);
static void node_free(struct node *node);
static void gather(struct route_link *chain, size_t *len, const struct node *node,
                   struct bytes rest);
static void insert(struct route_link *chain, size_t *len, const struct route_link *link);
static bool visit_nodes(struct visit *visit, const struct node *node, struct bytes rest);
static bool visit_with_value(struct visit *visit, const struct node *node, struct bytes value,
                             struct bytes rest);
static bool pick_entry(struct visit *visit, const struct node *node);
static bool offer_methods(struct visit *visit, const struct node *node);
static void offer(struct visit *visit, struct bytes method);
static struct entry *entry_for(const struct node *node, struct bytes method);
static bool find_child(const struct node *node, struct bytes segment, size_t *index);
static void check_order(const struct node *node);
static int compare(struct bytes encoded, struct bytes literal);
static int compare_plain(struct bytes a, struct bytes b);

struct route_table *route_table_new(void)
{
    return mem_new(struct route_table);
}

void route_table_free(struct route_table *table)
{
    node_free(&table->root);
    node_free(&table->prefixes);
    mem_free(table->chain);
    mem_free(table);
}

int route_add(struct route_table *table, struct bytes method, struct bytes pattern, void *target,
              struct route_problem *problem)
{
    CHECK(target != NULL);
    CHECK(method.len > 0);
    struct entry parsed = {.target = target};
    const char *error = parse_names(pattern, &parsed);
    if (error != NULL) {
        return refuse(problem, error);
    }
    struct node *node = place_pattern(&table->root, pattern);
    const struct entry *other = entry_for(node, method);
    if (other != NULL) {
        problem->taken = other->target;
        return -EEXIST;
    }
    size_t size = (node->entry_count + 1) * sizeof(struct entry *);
    node->entries = mem_resize(node->entries, size);
    node->entries[node->entry_count++] = entry_new(method, pattern, target);
    return 0;
}

int route_add_middleware(struct route_table *table, struct bytes prefix, void *target,
                         struct route_problem *problem)
{
    CHECK(target != NULL);
    if (prefix.len > 0 && prefix.at[0] != '/') {
        return refuse(problem, "a prefix begins with a slash");
    }
    for (struct bytes rest = prefix; rest.len > 0;) {
        struct bytes segment = take_segment(&rest);
        if (segment.len > 0 && segment.at[0] == '*') {
            return refuse(problem, "a prefix has no '*': it stands for every path below it");
        }
    }
    struct node *node = place_prefix(&table->prefixes, prefix);
    size_t size = (node->link_count + 1) * sizeof(struct route_link);
    node->links = mem_resize(node->links, size);
    node->links[node->link_count++] = (struct route_link){target, table->link_count++};
    table->chain = mem_resize(table->chain, table->link_count * sizeof(struct route_link));
    return 0;
}

void route_find(const struct route_table *table, struct bytes method, struct bytes path,
                struct route_match *match)
{
    struct visit visit = {.on_node = pick_entry, .method = method};
    match->target = NULL;
    match->param_count = 0;
    match->has_rest = false;
    match->chain = table->chain;
    match->chain_len = 0;
    if (table->link_count > 0) {
        gather(table->chain, &match->chain_len, &table->prefixes, path);
        DCHECK(match->chain_len <= table->link_count);
    }
    bool is_found = visit_nodes(&visit, &table->root, path);
    DCHECK(is_found == (visit.found != NULL));
    DCHECK(is_found || visit.value_count == 0);
    if (!is_found) {
        match->outcome = visit.is_known ? ROUTE_NO_METHOD : ROUTE_NO_PATH;
        return;
    }
    match->outcome = ROUTE_FOUND;
    match->target = visit.found->target;
    match->param_count = visit.value_count;
    match->has_rest = visit.has_rest;
    DCHECK(!match->has_rest || match->param_count > 0);
    DCHECK(visit.value_count == visit.found->name_count);
    for (size_t i = 0; i < visit.value_count; i++) {
        match->params[i] = (struct route_param){visit.found->names[i], visit.values[i]};
    }
}

size_t route_allow(const struct route_table *table, struct bytes path, char *out, size_t size)
{
    size_t len = 0;
    struct bytes last = BYTES("");
    for (;;) {
        struct visit visit = {.on_node = offer_methods, .method = last};
        (void)visit_nodes(&visit, &table->root, path); // never ends early
        size_t comma_len = len == 0 ? 0 : 2;
        if (visit.next.len == 0 || visit.next.len + comma_len > size - len) {
            return len;
        }
        DCHECK(compare_plain(last, visit.next) < 0);
        memcpy(out + len, ", ", comma_len);
        memcpy(out + len + comma_len, visit.next.at, visit.next.len);
        len += comma_len + visit.next.len;
        last = visit.next;
    }
}

static int refuse(struct route_problem *problem, const char *why)
{
    problem->why = why;
    return -EINVAL;
}

/// Checks `pattern` and notes its names in `entry`. NULL, or a sentence that says what is wrong.
static const char *parse_names(struct bytes pattern, struct entry *entry)
{
    if (pattern.len == 0 || pattern.at[0] != '/') {
        return "a pattern starts with a slash";
    }
    for (struct bytes rest = pattern; rest.len > 0;) {
        struct bytes segment = take_segment(&rest);
        for (size_t at = 0; at < segment.len;) {
            if (octet_decode(segment, &at) == '\0') {
                return "a pattern does not contain NUL";
            }
        }
        if (segment.len == 0 || (segment.at[0] != ':' && segment.at[0] != '*')) {
            continue;
        }
        const char *error = name_error(segment, rest, entry);
        if (error != NULL) {
            return error;
        }
        entry->names[entry->name_count++] = bytes_skip(segment, 1);
    }
    return NULL;
}

static const char *name_error(struct bytes segment, struct bytes rest, const struct entry *entry)
{
    DCHECK(segment.at[0] == ':' || segment.at[0] == '*');
    struct bytes name = bytes_skip(segment, 1);
    if (name.len == 0) {
        return "a parameter has no name";
    }
    if (segment.at[0] == '*' && rest.len > 0) {
        return "only the last segment of a pattern may start with an asterisk";
    }
    if (entry->name_count == ROUTE_PARAMS_MAX) {
        return "a pattern has more than 16 parameters";
    }
    for (size_t i = 0; i < entry->name_count; i++) {
        if (bytes_equal(entry->names[i], name)) {
            return "two parameters of a pattern have the same name";
        }
    }
    return NULL;
}

/// Takes the next segment, with the slash in front of it, from `rest`; returns it without the
/// slash. `rest` is empty behind the last one.
static struct bytes take_segment(struct bytes *rest)
{
    DCHECK(rest->len > 0 && rest->at[0] == '/');
    struct bytes tail = bytes_skip(*rest, 1);
    const char *slash = tail.len == 0 ? NULL : memchr(tail.at, '/', tail.len);
    size_t len = slash == NULL ? tail.len : (size_t)(slash - tail.at);
    *rest = bytes_skip(tail, len);
    return bytes_of(tail.at, len);
}

/// Takes the next segment that is not empty; returns an empty one when there is none left. A text
/// that does not begin with a slash has none: the path "*" of OPTIONS, and the empty one of
/// CONNECT.
static struct bytes take_full_segment(struct bytes *rest)
{
    while (rest->len > 0 && rest->at[0] == '/') {
        struct bytes segment = take_segment(rest);
        if (segment.len > 0) {
            return segment;
        }
    }
    return BYTES("");
}

static struct entry *entry_new(struct bytes method, struct bytes pattern, void *target)
{
    struct entry *entry = mem_new(struct entry);
    entry->target = target;
    entry->memory = mem_alloc(pattern.len + method.len);
    memcpy(entry->memory, pattern.at, pattern.len);
    memcpy(entry->memory + pattern.len, method.at, method.len);
    entry->method = bytes_of(entry->memory + pattern.len, method.len);
    const char *error = parse_names(bytes_of(entry->memory, pattern.len), entry);
    CHECK(error == NULL);
    return entry;
}

/// The node of `pattern`, made where it is missing.
static struct node *place_pattern(struct node *root, struct bytes pattern)
{
    struct node *node = root;
    while (pattern.len > 0) {
        node = place_segment(node, take_segment(&pattern));
    }
    return node;
}

static struct node *place_segment(struct node *node, struct bytes segment)
{
    if (segment.len > 0 && segment.at[0] == ':') {
        return node_new(&node->parameter);
    }
    if (segment.len > 0 && segment.at[0] == '*') {
        return node_new(&node->rest);
    }
    return place_literal(node, segment);
}

static struct node *place_literal(struct node *node, struct bytes segment)
{
    size_t index;
    if (find_child(node, segment, &index)) {
        return node->children[index];
    }
    char *literal = mem_alloc(segment.len + 1);
    size_t len = 0;
    for (size_t at = 0; at < segment.len; len++) {
        literal[len] = octet_decode(segment, &at);
    }
    size_t behind = node->child_count - index;
    node->child_count++;
    node->children = mem_resize(node->children, node->child_count * sizeof(struct node *));
    struct node **slot = node->children + index;
    memmove(slot + 1, slot, behind * sizeof(*slot));
    *slot = NULL;
    DCHECK(len <= segment.len);
    node_new(slot)->literal = bytes_of(literal, len);
    DEBUG_CALL(check_order(node));
    return *slot;
}

/// The node of `prefix`, made where it is missing. It is the root for a prefix of slashes alone.
static struct node *place_prefix(struct node *root, struct bytes prefix)
{
    struct node *node = root;
    struct bytes segment = take_full_segment(&prefix);
    while (segment.len > 0) {
        node = place_segment(node, segment);
        segment = take_full_segment(&prefix);
    }
    return node;
}

/// The node in `slot`, made if there is none.
static struct node *node_new(struct node **slot)
{
    if (*slot == NULL) {
        *slot = mem_new(struct node);
    }
    return *slot;
}

/// Frees all that hangs below `node`, not `node` itself.
static void node_free(struct node *node)
{
    for (size_t i = 0; i < node->child_count; i++) {
        node_free(node->children[i]);
        mem_free(node->children[i]);
    }
    for (size_t i = 0; i < node->entry_count; i++) {
        mem_free(node->entries[i]->memory);
        mem_free(node->entries[i]);
    }
    if (node->parameter != NULL) {
        node_free(node->parameter);
    }
    if (node->rest != NULL) {
        node_free(node->rest);
    }
    mem_free(node->parameter);
    mem_free(node->rest);
    mem_free(node->children);
    mem_free(node->entries);
    mem_free(node->links);
    mem_free((char *)node->literal.at);
}

/// Adds the middlewares of `node`, and those of all nodes that `rest`, the path behind it, leads
/// to.
static void gather(struct route_link *chain, size_t *len, const struct node *node,
                   struct bytes rest)
{
    for (size_t i = 0; i < node->link_count; i++) {
        insert(chain, len, &node->links[i]);
    }
    struct bytes segment = take_full_segment(&rest);
    size_t index;
    if (segment.len > 0 && find_child(node, segment, &index)) {
        gather(chain, len, node->children[index], rest);
    }
    if (segment.len > 0 && node->parameter != NULL) {
        gather(chain, len, node->parameter, rest);
    }
}

/// Puts `link` into the chain, where those of a lower order stand before it.
static void insert(struct route_link *chain, size_t *len, const struct route_link *link)
{
    size_t at = (*len)++;
    for (; at > 0 && chain[at - 1].order > link->order; at--) {
        chain[at] = chain[at - 1];
    }
    DCHECK(at == 0 || chain[at - 1].order < link->order);
    chain[at] = *link;
}

/// Visits what `rest`, the path behind `node`, leads to. True when `on_node` ended it.
static bool visit_nodes(struct visit *visit, const struct node *node, struct bytes rest)
{
    if (rest.len == 0) {
        return visit->on_node(visit, node);
    }
    if (rest.at[0] != '/') {
        return false;
    }
    struct bytes behind_slash = bytes_skip(rest, 1);
    struct bytes segment = take_segment(&rest);
    size_t index;
    if (find_child(node, segment, &index) && visit_nodes(visit, node->children[index], rest)) {
        return true;
    }
    if (node->parameter != NULL && segment.len > 0 &&
        visit_with_value(visit, node->parameter, segment, rest)) {
        return true;
    }
    visit->has_rest =
        node->rest != NULL && visit_with_value(visit, node->rest, behind_slash, BYTES(""));
    return visit->has_rest;
}

static bool visit_with_value(struct visit *visit, const struct node *node, struct bytes value,
                             struct bytes rest)
{
    DCHECK(visit->value_count < ROUTE_PARAMS_MAX);
    visit->values[visit->value_count++] = value;
    if (visit_nodes(visit, node, rest)) {
        return true;
    }
    visit->value_count--;
    return false;
}

static bool pick_entry(struct visit *visit, const struct node *node)
{
    const struct entry *entry = entry_for(node, visit->method);
    if (entry == NULL && bytes_equal(visit->method, BYTES("HEAD"))) {
        entry = entry_for(node, BYTES("GET"));
    }
    if (entry == NULL) {
        entry = entry_for(node, BYTES("*"));
    }
    visit->found = entry;
    visit->is_known |= node->entry_count > 0;
    return entry != NULL;
}

static bool offer_methods(struct visit *visit, const struct node *node)
{
    static const char *const common[] = {"DELETE", "GET",  "HEAD", "OPTIONS",
                                         "PATCH",  "POST", "PUT"};
    if (node->entry_count > 0) {
        offer(visit, BYTES("OPTIONS"));
    }
    for (size_t i = 0; i < node->entry_count; i++) {
        struct bytes method = node->entries[i]->method;
        if (!bytes_equal(method, BYTES("*"))) {
            offer(visit, method);
        }
        if (bytes_equal(method, BYTES("GET"))) {
            offer(visit, BYTES("HEAD"));
        }
    }
    if (entry_for(node, BYTES("*")) != NULL) {
        for (size_t i = 0; i < sizeof(common) / sizeof(common[0]); i++) {
            offer(visit, bytes_from_string(common[i]));
        }
    }
    return false;
}

/// Notes `method` if it is the least one behind the method that was listed last.
static void offer(struct visit *visit, struct bytes method)
{
    bool is_beyond = compare_plain(method, visit->method) > 0;
    if (is_beyond && (visit->next.len == 0 || compare_plain(method, visit->next) < 0)) {
        visit->next = method;
    }
}

static struct entry *entry_for(const struct node *node, struct bytes method)
{
    for (size_t i = 0; i < node->entry_count; i++) {
        if (bytes_equal(node->entries[i]->method, method)) {
            return node->entries[i];
        }
    }
    return NULL;
}

/// Looks for the literal child that `segment`, still encoded, names. `*index` is the child's place,
/// or the place where it would stand.
static bool find_child(const struct node *node, struct bytes segment, size_t *index)
{
    size_t low = 0;
    size_t high = node->child_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = compare(segment, node->children[middle]->literal);
        if (order == 0) {
            *index = middle;
            return true;
        }
        if (order < 0) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    *index = low;
    return false;
}

/// `find_child` halves the children, so they stand in order, and each stands there once.
static void check_order(const struct node *node)
{
    for (size_t i = 1; i < node->child_count; i++) {
        CHECK(compare_plain(node->children[i - 1]->literal, node->children[i]->literal) < 0);
    }
}

/// The order of `encoded`, read percent-decoded, and `literal`.
static int compare(struct bytes encoded, struct bytes literal)
{
    if (encoded.len == 0 || memchr(encoded.at, '%', encoded.len) == NULL) {
        return compare_plain(encoded, literal);
    }
    size_t at = 0;
    for (size_t i = 0; i < literal.len; i++) {
        if (at == encoded.len) {
            return -1;
        }
        int byte = (unsigned char)octet_decode(encoded, &at);
        if (byte != (unsigned char)literal.at[i]) {
            return byte - (unsigned char)literal.at[i];
        }
    }
    return at < encoded.len ? 1 : 0;
}

static int compare_plain(struct bytes a, struct bytes b)
{
    size_t len = a.len < b.len ? a.len : b.len;
    int order = len == 0 ? 0 : memcmp(a.at, b.at, len);
    if (order != 0 || a.len == b.len) {
        return order;
    }
    return a.len < b.len ? -1 : 1;
}
