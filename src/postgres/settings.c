// SPDX-License-Identifier: MIT
//
// A list of hosts such as "a,b" with ports such as "1,2" becomes, when a has two addresses:
//
//     host      a,a,b
//     hostaddr  192.0.2.1,192.0.2.2,192.0.2.9
//     port      1,1,2
//
// A host that is a path of a socket, or an address itself, has an empty hostaddr.
#include "postgres/settings.h"

#include "base/error.h"
#include "base/mem.h"
#include "postgres/pq_late.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { LIST_BYTES_MAX = 64 * 1024, ADDRESS_BYTES = 64 };

/// What goes before libpq's own defaults where neither the URL nor the environment says anything. A
/// peer that has vanished is noticed within a minute, and not after hours. Kerberos is asked for by
/// those who use it: libpq would look for a ticket before each connection.
static const struct {
    const char *keyword;
    const char *value;
    bool is_forced;
} defaults[] = {
    {"application_name", "lunesse", false}, {"client_encoding", "UTF8", true},
    {"gssencmode", "disable", false},       {"keepalives_idle", "30", false},
    {"keepalives_interval", "10", false},   {"keepalives_count", "3", false},
    {"tcp_user_timeout", "60000", false},
};

static const char *value_of(const struct settings *settings, const PQconninfoOption *option);
static const char *text_of(const PQconninfoOption *options, const char *keyword);
static const char *either_of(const struct settings *settings, const char *keyword);
static void look_up_rest(struct settings *settings);
static char *take_item(const char **rest);
static bool is_no_name(const char *host);
static bool look_up(struct settings *settings);
static void on_answer(struct name_query *query, int failure, const struct socket_address *addresses,
                      size_t count);
static bool append(struct settings *settings, const char *address);
static bool append_item(struct buf *list, const char *item);
static const char *list_text(struct buf *list);

int settings_check(const char *url, char **why)
{
    char *complaint = NULL;
    PQconninfoOption *options = libpq.PQconninfoParse(url == NULL ? "" : url, &complaint);
    if (options == NULL) {
        struct bytes text = bytes_from_string(complaint == NULL ? "out of memory" : complaint);
        text.len -= text.len > 0 && text.at[text.len - 1] == '\n' ? 1 : 0;
        *why = mem_string(text);
        libpq.PQfreemem(complaint);
        return -EINVAL;
    }
    bool has_service = text_of(options, "service") != NULL;
    libpq.PQconninfoFree(options);
    if (has_service) {
        *why = mem_string(BYTES("a service file is not read: say host, port and dbname instead"));
        return -EINVAL;
    }
    return 0;
}

int settings_start(struct settings *settings, struct mailbox *mailbox, const char *url)
{
    DCHECK(settings->on_found != NULL && settings->_options == NULL);
    buf_init(&settings->_hosts, LIST_BYTES_MAX);
    buf_init(&settings->_addresses, LIST_BYTES_MAX);
    buf_init(&settings->_ports, LIST_BYTES_MAX);
    settings->_mailbox = mailbox;
    settings->_query.on_answer = on_answer;
    settings->_options = libpq.PQconninfoParse(url == NULL ? "" : url, NULL);
    settings->_defaults = libpq.PQconndefaults();
    if (settings->_options == NULL || settings->_defaults == NULL) {
        return -ENOMEM;
    }
    if (either_of(settings, "hostaddr") == NULL) {
        settings->_host_rest = either_of(settings, "host");
        settings->_port_rest = either_of(settings, "port");
    }
    look_up_rest(settings);
    return 0;
}

bool settings_is_ready(const struct settings *settings)
{
    return settings->_is_complete && (settings->_failure == 0 || !buf_is_empty(&settings->_hosts));
}

void settings_list(struct settings *settings, struct settings_lists *lists)
{
    size_t count = 0;
    bool has_addresses = !buf_is_empty(&settings->_hosts);
    DCHECK(settings_is_ready(settings));
    for (const PQconninfoOption *one = settings->_options; one->keyword != NULL; one++) {
        bool is_listed = strcmp(one->keyword, "host") == 0 || strcmp(one->keyword, "port") == 0;
        const char *value = value_of(settings, one);
        if (value != NULL && !(is_listed && has_addresses)) {
            CHECK(count + 4 < sizeof(lists->keywords) / sizeof(lists->keywords[0]));
            lists->keywords[count] = one->keyword;
            lists->values[count++] = value;
        }
    }
    if (has_addresses) {
        lists->keywords[count] = "host";
        lists->values[count++] = list_text(&settings->_hosts);
        lists->keywords[count] = "hostaddr";
        lists->values[count++] = list_text(&settings->_addresses);
        lists->keywords[count] = "port";
        lists->values[count++] = list_text(&settings->_ports);
    }
    lists->keywords[count] = NULL;
    lists->values[count] = NULL;
}

void settings_stop(struct settings *settings)
{
    name_query_cancel(&settings->_query);
    if (settings->_options != NULL) {
        libpq.PQconninfoFree(settings->_options);
        settings->_options = NULL;
    }
    if (settings->_defaults != NULL) {
        libpq.PQconninfoFree(settings->_defaults);
        settings->_defaults = NULL;
    }
    buf_reset(&settings->_hosts);
    buf_reset(&settings->_addresses);
    buf_reset(&settings->_ports);
    mem_free(settings->_host);
    mem_free(settings->_port);
    settings->_host = NULL;
    settings->_port = NULL;
}

/// The URL's value, or the environment's, or ours, or libpq's own; NULL for none.
static const char *value_of(const struct settings *settings, const PQconninfoOption *option)
{
    const char *ours = NULL;
    bool is_forced = false;
    for (size_t i = 0; i < sizeof(defaults) / sizeof(defaults[0]); i++) {
        if (strcmp(defaults[i].keyword, option->keyword) == 0) {
            ours = defaults[i].value;
            is_forced = defaults[i].is_forced;
        }
    }
    bool is_said = option->envvar != NULL && getenv(option->envvar) != NULL;
    if (option->val != NULL && !is_forced) {
        return option->val;
    }
    return ours != NULL && (is_forced || !is_said) ? ours
                                                   : text_of(settings->_defaults, option->keyword);
}

/// What the list has for the keyword; NULL when it has nothing, or an empty text.
static const char *text_of(const PQconninfoOption *options, const char *keyword)
{
    while (options->keyword != NULL && strcmp(options->keyword, keyword) != 0) {
        options++;
    }
    bool has_value = options->keyword != NULL && options->val != NULL && options->val[0] != '\0';
    return has_value ? options->val : NULL;
}

/// The same of the URL, or else of the environment.
static const char *either_of(const struct settings *settings, const char *keyword)
{
    const char *text = text_of(settings->_options, keyword);
    return text != NULL ? text : text_of(settings->_defaults, keyword);
}

/// Goes on until a name has to be waited for, or all hosts have their addresses.
static void look_up_rest(struct settings *settings)
{
    while (settings->_host_rest != NULL) {
        mem_free(settings->_host);
        settings->_host = take_item(&settings->_host_rest);
        if (settings->_port_rest != NULL) { // the last one stands for all that follow
            mem_free(settings->_port);
            settings->_port = take_item(&settings->_port_rest);
        }
        if (look_up(settings)) {
            return;
        }
    }
    settings->_is_complete = true;
}

/// The text up to the next comma, which the caller frees. `*rest` is NULL behind the last one.
static char *take_item(const char **rest)
{
    size_t len = strcspn(*rest, ",");
    char *item = mem_string(bytes_of(*rest, len));
    *rest = (*rest)[len] == ',' ? *rest + len + 1 : NULL;
    return item;
}

static bool is_no_name(const char *host)
{
    char address[sizeof(struct in6_addr)];
    return host[0] == '\0' || host[0] == '/' || host[0] == '@' ||
           inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1;
}

/// Whether the host's addresses have to be waited for.
static bool look_up(struct settings *settings)
{
    if (is_no_name(settings->_host)) {
        settings->_failure = append(settings, "") ? 0 : -ENOMEM;
        return false;
    }
    settings->_failure = name_query_start(&settings->_query, settings->_mailbox, settings->_host);
    return settings->_failure == 0;
}

static void on_answer(struct name_query *query, int failure, const struct socket_address *addresses,
                      size_t count)
{
    struct settings *settings = CONTAINER_OF(query, struct settings, _query);
    settings->_failure = failure;
    DCHECK(failure != 0 || count > 0);
    for (size_t i = 0; failure == 0 && i < count; i++) {
        char text[ADDRESS_BYTES];
        struct socket_address address = addresses[i];
        (void)socket_address_host(&address, text, sizeof(text));
        if (!append(settings, text)) {
            settings->_failure = -ENOMEM;
        }
    }
    look_up_rest(settings);
    if (settings->_is_complete) {
        settings->on_found(settings, settings_is_ready(settings) ? 0 : settings->_failure);
    }
}

static bool append(struct settings *settings, const char *address)
{
    return append_item(&settings->_hosts, settings->_host) &&
           append_item(&settings->_addresses, address) &&
           append_item(&settings->_ports, settings->_port == NULL ? "" : settings->_port);
}

static bool append_item(struct buf *list, const char *item)
{
    return buf_append(list, bytes_from_string(item)) && buf_append(list, BYTES(","));
}

/// The list without its last comma, as a text.
static const char *list_text(struct buf *list)
{
    DCHECK(!buf_is_empty(list));
    buf_start(list)[buf_len(list) - 1] = '\0';
    return buf_start(list);
}
