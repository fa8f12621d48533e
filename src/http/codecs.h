// SPDX-License-Identifier: MIT
//
// The codecs that there are. A service is given one before it accepts a transport, and owns it from
// then on.
#pragma once

struct service;

/// Makes `service` speak HTTP/1.0 and 1.1.
void codecs_use_http1(struct service *service);
