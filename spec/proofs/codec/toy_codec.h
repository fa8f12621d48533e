// SPDX-License-Identifier: MIT
//
// A second codec, to prove that http's seam holds: a toy protocol that has nothing of HTTP/1.
// Frames go both ways over one transport, "stream kind length LF payload", and several exchanges
// are under way at once, one for each number of a stream that the client has chosen.
//
//     client    n GET length LF target LF name=value LF ...      asks
//               n BYE 0 LF                                       leaves
//     server    n HEAD length LF status LF name=value LF ...     begins the answer
//               n DATA length LF content                         a part of the content, bare
//               n END 0 LF                                       the answer is complete
//               n CUT 0 LF                                       it is not, and ends
//
// One DATA frame holds TOY_DATA_MAX bytes at most, and at most TOY_WIRE_MAX bytes of frames wait
// for the transport; then all exchanges of the connection are blocked.
#pragma once

struct service;

enum { TOY_DATA_MAX = 256, TOY_WIRE_MAX = 512 };

/// Makes `service` speak the toy protocol.
void toy_codec_use(struct service *service);
