// SPDX-License-Identifier: MIT
#include "hub/hub.h"

#include "base/check.h"
#include "hub/channel.h"

enum { SCRATCH_BYTES = 64 * 1024 }; // kept between events

void hub_init(struct hub *hub, struct loop *loop, const struct limits *limits)
{
    *hub = (struct hub){.loop = loop, .limits = limits};
    map_init(&hub->channels);
    buf_init(&hub->scratch, UINT32_MAX / 2);
}

void hub_deinit(struct hub *hub)
{
    struct map_entry *entry;
    while ((entry = map_any(&hub->channels)) != NULL) {
        channel_free(CONTAINER_OF(entry, struct channel, entry));
    }
    CHECK(hub->channel_count == 0);
    map_deinit(&hub->channels);
    buf_reset(&hub->scratch);
}

struct channel *hub_find(const struct hub *hub, struct bytes name)
{
    struct map_entry *entry = map_find(&hub->channels, name);
    return entry == NULL ? NULL : CONTAINER_OF(entry, struct channel, entry);
}

struct channel *hub_make(struct hub *hub, struct bytes name)
{
    if (hub->channel_count >= hub->limits->channels) {
        return NULL;
    }
    struct channel *channel = channel_new(hub, name);
    struct journal_bounds bounds = channel_bounds();
    journal_init(&channel->journal, &bounds);
    map_add(&hub->channels, &channel->entry);
    hub->channel_count++;
    return channel;
}
