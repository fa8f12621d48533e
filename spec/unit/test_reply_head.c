// SPDX-License-Identifier: MIT
#include "unit.h"

#include "base/error.h"
#include "wire/reply_head.h"

TEST(a_reply_head_says_how_its_body_is_framed)
{
    struct reply_head head;
    struct bytes text = BYTES("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
                              "HTTP/1.1 200 OK\r\ncontent-type: Text/Event-Stream;charset=utf-8\r\n"
                              "Transfer-Encoding: gzip, Chunked\r\nContent-Length: 5\r\n\r\nabc");
    for (size_t len = 0; len < text.len - 3; len++) {
        EXPECT_INT(reply_head_parse(bytes_of(text.at, len), &head), 0);
    }
    EXPECT_INT(reply_head_parse(text, &head), text.len - 3);
    EXPECT(head.status == 200 && head.framing == BODY_CHUNKED);
    EXPECT(head.is_event_stream && !head.is_last);
    text = BYTES("HTTP/1.1 200 OK\r\nContent-Length: 12\r\nConnection: Close\r\n\r\n");
    EXPECT_INT(reply_head_parse(text, &head), text.len);
    EXPECT(head.framing == BODY_SIZED && head.length == 12 && head.is_last);
    EXPECT(reply_head_parse(BYTES("HTTP/1.0 200 OK\r\n\r\n"), &head) > 0);
    EXPECT(head.framing == BODY_TO_END && head.is_last && !head.is_event_stream);
    EXPECT(reply_head_parse(BYTES("HTTP/1.1 204 No Content\r\n\r\n"), &head) > 0);
    EXPECT(head.framing == BODY_SIZED && head.length == 0 && !head.is_last);
}

TEST(what_is_no_reply_head_is_refused)
{
    struct reply_head head;
    EXPECT_INT(reply_head_parse(BYTES("SSH-2.0-x\r\n\r\n"), &head), CLIENT_BAD_HEAD);
    EXPECT_INT(reply_head_parse(BYTES("HTTP/1.1 2x0 OK\r\n\r\n"), &head), CLIENT_BAD_HEAD);
    EXPECT_INT(reply_head_parse(BYTES("HTTP/1.1 200 OK\r\nnone\r\n\r\n"), &head), CLIENT_BAD_HEAD);
    EXPECT_INT(reply_head_parse(BYTES("HTTP/1.1 200 OK\r\nContent-Length: 1x\r\n\r\n"), &head),
               CLIENT_BAD_HEAD);
}

TEST(a_reply_head_is_asked_for_whole_words)
{
    struct reply_head head;
    EXPECT(reply_head_parse(BYTES("HTTP/1.1 200 OK\r\nContent-Type: text/event-streams\r\n"
                                  "Transfer-Encoding: chunkedly\r\n\r\n"),
                            &head) > 0);
    EXPECT(!head.is_event_stream && head.framing == BODY_TO_END);
    EXPECT(reply_head_parse(BYTES("HTTP/1.0 200 OK\r\nContent-Type: text/event-stream ;a=b\r\n"
                                  "Connection: x, Keep-Alive\r\nContent-Length: 0\r\n\r\n"),
                            &head) > 0);
    EXPECT(head.is_event_stream && !head.is_last);
}
