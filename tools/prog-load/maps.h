// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// The maps that an object shares by their pins: --maps, and LIBBPF_PIN_BY_NAME.
#pragma once

#include <bpf/libbpf.h>

#include <string>
#include <vector>

#include "../lib/fd.h"

// A map of the object that other programs find by its pin.
struct SharedMap {
	struct bpf_map *map;
	std::string path;
	Fd fd;	     // of the pinned map, if it is reused
	bool reused; // it is pinned already; else it is to be pinned at `path`
};

// The shared maps of an object that is open and not loaded yet; `dir` is where they are pinned,
// or empty: where the object says. Those that are pinned there already are taken in place of
// the object's own; one that differs from the object's is an error. libbpf will pin none of them.
std::vector<SharedMap> reuse_maps(struct bpf_object *object, const std::string &dir);
