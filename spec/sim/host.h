// SPDX-License-Identifier: MIT
//
// The script's part: it answers every request with a stream, subscribes it to channels, and sends
// events of its own. Beside each call it writes down what the call promises, from the rules and not
// from the answer.
#pragma once

#include "client.h"
#include "slot.h"

#include "http/service.h"

#include <stdbool.h>
#include <stddef.h>

extern const struct service_events host_events;

/// Subscribes the client's stream to a channel of its worker. `since` is the script's place: an id,
/// "earliest", or "" for none.
void host_subscribe(struct client *client, struct opened opened, const char *since);

void host_unsubscribe(struct client *client, struct sub *sub);

/// Sends an event of the stream's own, of about `size` bytes.
void host_send(struct client *client, size_t size);

/// Sends a comment or a retry field.
void host_mutter(struct client *client);

void host_end(struct client *client);

/// Makes the stream fail: what was sent before still comes, but the last chunk does not.
void host_cut(struct client *client);

/// Notes that nothing is due after what was sent so far.
void host_note_end(struct client *client);
