// SPDX-License-Identifier: MIT
//
// The media type of a file by the extension of its name. Pure.
#pragma once

#include "base/bytes.h"

#include <stdbool.h>

/// The value of Content-Type for a file whose name, or path, is `name`. The extension is what
/// stands behind the last dot of the name's last part; its case does not matter. Text is taken for
/// UTF-8, and says so. An extension that is not known, or none, is `application/octet-stream`. The
/// memory is static.
struct bytes media_type_of_name(struct bytes name);

/// Whether content of the type (the value of Content-Type, parameters included) becomes smaller
/// when it is compressed: text, and what is written as text. Images, sound, video, fonts and
/// archives are compressed as they are. An event stream is not, because a compressor holds events
/// back.
bool media_type_is_compressible(struct bytes type);
