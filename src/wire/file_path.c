// SPDX-License-Identifier: MIT
#include "wire/file_path.h"

enum { PATH_BYTES_MAX = 4000 }; // with a folder and an extension more, the system refuses by itself

bool file_path_is_public(struct bytes path)
{
    bool is_start = true; // of a part
    if (path.len > PATH_BYTES_MAX) {
        return false;
    }
    for (size_t i = 0; i < path.len; i++) {
        char octet = path.at[i];
        if (octet == '\0' || (is_start && (octet == '.' || octet == '/'))) {
            return false;
        }
        is_start = octet == '/';
    }
    return true;
}
