// SPDX-License-Identifier: MIT
#include "wire/media_type.h"

#include "base/check.h"

struct row {
    const char *extension;
    const char *type;
};

// In the order of the extensions, for the search.
static const struct row rows[] = {
    {"7z", "application/x-7z-compressed"},
    {"aac", "audio/aac"},
    {"apng", "image/apng"},
    {"atom", "application/atom+xml"},
    {"avif", "image/avif"},
    {"bmp", "image/bmp"},
    {"bz2", "application/x-bzip2"},
    {"cjs", "text/javascript; charset=utf-8"},
    {"css", "text/css; charset=utf-8"},
    {"csv", "text/csv; charset=utf-8"},
    {"doc", "application/msword"},
    {"docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"},
    {"eot", "application/vnd.ms-fontobject"},
    {"epub", "application/epub+zip"},
    {"flac", "audio/flac"},
    {"gif", "image/gif"},
    {"gz", "application/gzip"},
    {"htm", "text/html; charset=utf-8"},
    {"html", "text/html; charset=utf-8"},
    {"ico", "image/x-icon"},
    {"ics", "text/calendar; charset=utf-8"},
    {"jar", "application/java-archive"},
    {"jpeg", "image/jpeg"},
    {"jpg", "image/jpeg"},
    {"js", "text/javascript; charset=utf-8"},
    {"json", "application/json"},
    {"jsonld", "application/ld+json"},
    {"jxl", "image/jxl"},
    {"m3u8", "application/vnd.apple.mpegurl"},
    {"m4a", "audio/mp4"},
    {"map", "application/json"},
    {"md", "text/markdown; charset=utf-8"},
    {"mid", "audio/midi"},
    {"mjs", "text/javascript; charset=utf-8"},
    {"mkv", "video/x-matroska"},
    {"mov", "video/quicktime"},
    {"mp3", "audio/mpeg"},
    {"mp4", "video/mp4"},
    {"mpeg", "video/mpeg"},
    {"mpg", "video/mpeg"},
    {"odp", "application/vnd.oasis.opendocument.presentation"},
    {"ods", "application/vnd.oasis.opendocument.spreadsheet"},
    {"odt", "application/vnd.oasis.opendocument.text"},
    {"oga", "audio/ogg"},
    {"ogg", "audio/ogg"},
    {"ogv", "video/ogg"},
    {"opus", "audio/ogg"},
    {"otf", "font/otf"},
    {"pdf", "application/pdf"},
    {"png", "image/png"},
    {"ppt", "application/vnd.ms-powerpoint"},
    {"pptx", "application/vnd.openxmlformats-officedocument.presentationml.presentation"},
    {"rar", "application/vnd.rar"},
    {"rss", "application/rss+xml"},
    {"rtf", "application/rtf"},
    {"svg", "image/svg+xml"},
    {"tar", "application/x-tar"},
    {"tif", "image/tiff"},
    {"tiff", "image/tiff"},
    {"ts", "video/mp2t"},
    {"ttf", "font/ttf"},
    {"txt", "text/plain; charset=utf-8"},
    {"vtt", "text/vtt; charset=utf-8"},
    {"wasm", "application/wasm"},
    {"wav", "audio/wav"},
    {"weba", "audio/webm"},
    {"webm", "video/webm"},
    {"webmanifest", "application/manifest+json"},
    {"webp", "image/webp"},
    {"woff", "font/woff"},
    {"woff2", "font/woff2"},
    {"xhtml", "application/xhtml+xml"},
    {"xls", "application/vnd.ms-excel"},
    {"xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"},
    {"xml", "application/xml"},
    {"xz", "application/x-xz"},
    {"zip", "application/zip"},
    {"zst", "application/zstd"},
};

enum { ROW_COUNT = sizeof(rows) / sizeof(rows[0]) };

static struct bytes extension_of(struct bytes name);
static int compare_nocase(struct bytes a, const char *b);
static bool ends_with_nocase(struct bytes text, struct bytes end);

struct bytes media_type_of_name(struct bytes name)
{
    struct bytes extension = extension_of(name);
    size_t low = 0;
    size_t high = ROW_COUNT;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        DCHECK(middle < ROW_COUNT);
        int order = compare_nocase(extension, rows[middle].extension);
        if (order == 0) {
            return bytes_from_string(rows[middle].type);
        }
        low = order > 0 ? middle + 1 : low;
        high = order < 0 ? middle : high;
    }
    return BYTES("application/octet-stream");
}

bool media_type_is_compressible(struct bytes type)
{
    static const struct bytes names[] = {
        {"application/json", 16},    {"application/xml", 15},      {"application/javascript", 22},
        {"application/wasm", 16},    {"application/x-ndjson", 20}, {"image/x-icon", 12},
        {"application/graphql", 19},
    };
    const char *end = type.len == 0 ? NULL : memchr(type.at, ';', type.len);
    struct bytes name = bytes_trim(end == NULL ? type : bytes_of(type.at, (size_t)(end - type.at)));
    if (bytes_equal_nocase(name, BYTES("text/event-stream"))) {
        return false;
    }
    if ((name.len > 5 && bytes_equal_nocase(bytes_of(name.at, 5), BYTES("text/"))) ||
        ends_with_nocase(name, BYTES("+xml")) || ends_with_nocase(name, BYTES("+json"))) {
        return true;
    }
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (bytes_equal_nocase(name, names[i])) {
            return true;
        }
    }
    return false;
}

/// What stands behind the last dot of the last part of a path; empty when there is no dot.
static struct bytes extension_of(struct bytes name)
{
    for (size_t i = name.len; i > 0 && name.at[i - 1] != '/'; i--) {
        if (name.at[i - 1] == '.') {
            return bytes_skip(name, i);
        }
    }
    return BYTES("");
}

/// Compares as strcmp does, the letters of `a` in lower case.
static int compare_nocase(struct bytes a, const char *b)
{
    for (size_t i = 0; i < a.len; i++) {
        char octet = a.at[i] >= 'A' && a.at[i] <= 'Z' ? (char)(a.at[i] - 'A' + 'a') : a.at[i];
        if (b[i] == '\0' || octet != b[i]) {
            return (unsigned char)octet > (unsigned char)b[i] ? 1 : -1;
        }
    }
    return b[a.len] == '\0' ? 0 : -1;
}

static bool ends_with_nocase(struct bytes text, struct bytes end)
{
    return text.len > end.len && bytes_equal_nocase(bytes_skip(text, text.len - end.len), end);
}
