// SPDX-License-Identifier: MIT
//
// A script's own metrics, `lunesse.metric`, and `lunesse.stats()`, which returns all that the
// program counts. A metric belongs to the worker and outlives the generation that defined it; the
// same definition after a reload finds it again. The box only points at it.
#pragma once

#include "script/box.h"

extern const struct box_class lib_metric_class;

/// The functions `metric` and `stats`.
extern const luaL_Reg lib_metric_functions[];
