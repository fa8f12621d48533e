// SPDX-License-Identifier: MIT
//
// Reads one event stream as fast as it comes, and counts events by the chunks they come in: a chunk
// that begins with "data" is one. It looks at the first byte of each chunk and skips the rest.
//
//   reader PORT TARGET SECONDS        prints: events=N bytes=N seconds=S
#include "peer.h"

enum { READ_BYTES = 256 * 1024 };

enum part { SIZE, SIZE_LF, FIRST, REST };

struct stream {
    enum part part;
    size_t left; // of the chunk's text and its CRLF; while its size is read, the size so far
    uint64_t event_count;
    uint64_t byte_count;
};

static size_t hex_digit(char byte)
{
    if (byte >= '0' && byte <= '9') {
        return (size_t)(byte - '0');
    }
    if ((byte | 0x20) >= 'a' && (byte | 0x20) <= 'f') {
        return (size_t)((byte | 0x20) - 'a' + 10);
    }
    fprintf(stderr, "not a chunk size\n");
    exit(1);
}

static void take_size(struct stream *stream, char byte)
{
    if (byte == '\r') {
        stream->part = SIZE_LF;
        return;
    }
    stream->left = stream->left * 16 + hex_digit(byte);
}

static void count_chunks(struct stream *stream, const char *at, size_t len)
{
    stream->byte_count += len;
    for (size_t i = 0; i < len;) {
        switch (stream->part) {
        case SIZE:
            take_size(stream, at[i++]);
            break;
        case SIZE_LF:
            stream->left += 2;
            stream->part = FIRST;
            i++;
            break;
        case FIRST:
            stream->event_count += at[i] == 'd' ? 1 : 0;
            stream->part = REST;
            break;
        case REST: {
            size_t count = len - i < stream->left ? len - i : stream->left;
            i += count;
            stream->left -= count;
            stream->part = stream->left == 0 ? SIZE : REST;
            break;
        }
        }
    }
}

int main(int argc, char **argv)
{
    static char input[READ_BYTES];
    if (argc != 4) {
        fprintf(stderr, "usage: reader PORT TARGET SECONDS\n");
        return 2;
    }
    struct stream stream = {.part = SIZE};
    int fd = connect_to(argv[1]);
    send_get(fd, argv[2], "text/event-stream");
    size_t len = read_until(fd, input, sizeof(input), "\r\n\r\n");
    char *body = strstr(input, "\r\n\r\n") + 4;
    double start = now_seconds();
    double end = start + strtod(argv[3], NULL);
    count_chunks(&stream, body, len - (size_t)(body - input));
    while (now_seconds() < end) {
        ssize_t count = recv(fd, input, sizeof(input), 0);
        if (count <= 0) {
            fail("the stream ended");
        }
        count_chunks(&stream, input, (size_t)count);
    }
    printf("events=%llu bytes=%llu seconds=%.6f\n", (unsigned long long)stream.event_count,
           (unsigned long long)stream.byte_count, now_seconds() - start);
    return 0;
}
