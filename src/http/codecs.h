// SPDX-License-Identifier: MIT
//
// The codecs that there are. A service is given one before it accepts a transport, and owns it from
// then on. In front of it there may be one that only reads the PROXY header of a connection.
#pragma once

struct service;

/// Makes `service` speak HTTP/1.0 and 1.1.
void codecs_use_http1(struct service *service);

/// Makes `service` read the PROXY header of connections that `service_accept` is told begin with
/// one. Its own codec serves them afterwards.
void codecs_use_proxied(struct service *service);
