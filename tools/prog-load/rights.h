// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// The capabilities that loading an object needs.
#pragma once

#include <bpf/libbpf.h>

#include <vector>

// Those for its programs that are to be loaded and its maps that are to be made.
std::vector<int> needed_capabilities(struct bpf_object *object);
