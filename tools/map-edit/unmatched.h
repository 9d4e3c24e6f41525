// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// Entries of the kit's own maps that have no effect: no packet can match them.
#pragma once

#include <linux/types.h>

#include <span>

#include "map.h"

// Says why the program ignores an entry, or nullptr if it does not. The key and the value have
// the sizes of the map.
using WhyUnmatched = const char *(*)(const unsigned char *key, const unsigned char *value);

// The check for this map, by its name and sizes; nullptr if there is none.
WhyUnmatched find_unmatched_check(const OpenMap &map);

// The check for the map with this name and these sizes, in bytes.
struct UnmatchedCheck {
	const char *name;
	__u32 key_size;
	__u32 value_size;
	WhyUnmatched check;
};

// Those of the maps of sk_dispatch, whose header has names that those of others have, too.
extern const std::span<const UnmatchedCheck> binding_checks;
