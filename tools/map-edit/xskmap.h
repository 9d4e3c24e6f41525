// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// The kernel tells no process what is in an xskmap, only programs.
#pragma once

#include "map.h"

// Look up the queue that the AF_XDP socket with this key is bound to, by a program. Returns false
// where errno says why: ENOENT, there is none. Fails where the program cannot be loaded.
bool look_up_xsk(const OpenMap &map, const unsigned char *key, unsigned char *queue);
