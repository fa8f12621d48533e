// SPDX-License-Identifier: MIT
#include "unit.h"

#include "wire/disposition.h"
#include "wire/file_path.h"
#include "wire/media_type.h"

static void expect_type(const char *name, const char *wanted)
{
    EXPECT_BYTES(media_type_of_name(bytes_from_string(name)), bytes_from_string(wanted));
}

TEST(the_extension_says_the_media_type)
{
    expect_type("index.html", "text/html; charset=utf-8");
    expect_type("a/b.c/app.min.js", "text/javascript; charset=utf-8");
    expect_type("PHOTO.JPEG", "image/jpeg");
    expect_type("7z.7z", "application/x-7z-compressed");
    expect_type("x.zst", "application/zstd");
    expect_type("a.woff2", "font/woff2");
    expect_type("app.js.gz", "application/gzip");
    expect_type("x.zsta", "application/octet-stream");
    expect_type("x.htmlx", "application/octet-stream");
    expect_type("x.", "application/octet-stream");
    expect_type("folder.html/name", "application/octet-stream");
    expect_type("html", "application/octet-stream");
    expect_type("", "application/octet-stream");
}

TEST(every_extension_is_found)
{
    static const char *const names[] = {"a.aac", "a.css", "a.csv",  "a.htm", "a.ico", "a.json",
                                        "a.m4a", "a.map", "a.mjs",  "a.mp4", "a.pdf", "a.png",
                                        "a.svg", "a.txt", "a.wasm", "a.xml", "a.zip"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        EXPECT(!bytes_equal(media_type_of_name(bytes_from_string(names[i])),
                            BYTES("application/octet-stream")));
    }
}

TEST(text_is_compressible_and_a_picture_is_not)
{
    EXPECT(media_type_is_compressible(BYTES("text/html; charset=utf-8")));
    EXPECT(media_type_is_compressible(BYTES("TEXT/plain")));
    EXPECT(media_type_is_compressible(BYTES("application/json")));
    EXPECT(media_type_is_compressible(BYTES("application/problem+json")));
    EXPECT(media_type_is_compressible(BYTES("image/svg+xml")));
    EXPECT(!media_type_is_compressible(BYTES("text/event-stream")));
    EXPECT(!media_type_is_compressible(BYTES("text/event-stream; charset=utf-8")));
    EXPECT(!media_type_is_compressible(BYTES("image/png")));
    EXPECT(!media_type_is_compressible(BYTES("application/gzip")));
    EXPECT(!media_type_is_compressible(BYTES("text/")));
    EXPECT(!media_type_is_compressible(BYTES("")));
}

static void expect_disposition(const char *name, const char *wanted)
{
    struct buf out;
    buf_init(&out, 4096);
    EXPECT(disposition_write(bytes_from_string(name), &out));
    EXPECT_BYTES(buf_bytes(&out), bytes_from_string(wanted));
    buf_reset(&out);
}

TEST(the_name_of_a_download_is_written_for_old_and_new_clients)
{
    // RFC 6266, section 5, and RFC 8187, section 3.2.3
    expect_disposition("example.html", "attachment; filename=\"example.html\"");
    expect_disposition("an example.html", "attachment; filename=\"an example.html\"");
    expect_disposition("\xe2\x82\xac rates",
                       "attachment; filename=\"_ rates\"; filename*=UTF-8''%E2%82%AC%20rates");
    expect_disposition("\xc2\xa3 and \xe2\x82\xac rates",
                       "attachment; filename=\"_ and _ rates\"; "
                       "filename*=UTF-8''%C2%A3%20and%20%E2%82%AC%20rates");
    expect_disposition("a\"b\\c.txt",
                       "attachment; filename=\"a_b_c.txt\"; filename*=UTF-8''a%22b_c.txt");
    expect_disposition("50%.txt", "attachment; filename=\"50_.txt\"; filename*=UTF-8''50%25.txt");
    expect_disposition("../x\r\ny", "attachment; filename=\".._x__y\"; "
                                    "filename*=UTF-8''.._x%0D%0Ay");
}

TEST(a_disposition_without_room_is_refused)
{
    struct buf out;
    buf_init(&out, 40);
    EXPECT(!disposition_write(BYTES("example.html"), &out));
    EXPECT(buf_is_empty(&out));
    buf_reset(&out);
}

TEST(only_plain_paths_are_public)
{
    EXPECT(file_path_is_public(BYTES("")));
    EXPECT(file_path_is_public(BYTES("a")));
    EXPECT(file_path_is_public(BYTES("a/b.c/d e")));
    EXPECT(file_path_is_public(BYTES("a/b/")));
    EXPECT(file_path_is_public(BYTES("a..b")));
    EXPECT(!file_path_is_public(BYTES("/a")));
    EXPECT(!file_path_is_public(BYTES("a//b")));
    EXPECT(!file_path_is_public(BYTES("a//")));
    EXPECT(!file_path_is_public(BYTES("/")));
    EXPECT(!file_path_is_public(BYTES(".")));
    EXPECT(!file_path_is_public(BYTES("..")));
    EXPECT(!file_path_is_public(BYTES("a/../b")));
    EXPECT(!file_path_is_public(BYTES(".git/config")));
    EXPECT(!file_path_is_public(BYTES("a/.htpasswd")));
    EXPECT(!file_path_is_public(bytes_of("a\0b", 3)));
    char text[4001];
    memset(text, 'a', sizeof(text));
    EXPECT(file_path_is_public(bytes_of(text, 4000)));
    EXPECT(!file_path_is_public(bytes_of(text, 4001)));
}
