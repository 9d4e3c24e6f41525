// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// The map that map-edit works on, and the types of its keys and values.
#pragma once

#include <linux/bpf.h>

#include <string>

#include "../lib/fd.h"
#include "../lib/lock.h"
#include "../lib/percpu.h"
#include "../lib/type.h"

struct OpenMap {
	Fd fd;
	std::string path;
	struct bpf_map_info info = {};
	CpuValues values; // of one entry
	Type key;
	Type value;		    // of size 0 where the verb needs no values
	bool has_variables = false; // it is a section of variables, and its value a struct of them
};

// What is to be done to the map. Compare only reads, but finds out what a change would do.
enum class Purpose { Show, Compare, Change, Delete };

// Open the map pinned at `path`. Fails where its type or its state does not allow the purpose.
OpenMap open_map(const std::string &path, Purpose purpose);

// Take the lock on the map's directory: from now on, no other helper changes more of the map than
// one entry. Fails where another map is pinned there now.
void lock_map(const OpenMap &map, const DirectoryLock &lock);

// What the user says of the types: each may be empty.
struct TypeHints {
	std::string key; // names of types
	std::string value;
	std::string btf; // an object file
};

// Find the types of the keys and, unless the purpose is Delete, of the values. Fails where
// nobody tells them: nothing is guessed. Throws UsageError.
void find_types(OpenMap &map, const TypeHints &hints, Purpose purpose);

// ---- types of maps

// All its entries always exist.
bool is_array(__u32 map_type);

// Its keys are 0 to max_entries - 1.
bool has_index(__u32 map_type);

// It evicts old entries for new ones.
bool is_lru(__u32 map_type);

bool holds_sockets(__u32 map_type);

// Its values, as they are read, are not what could be written: cookies and queues of sockets, ids
// of maps and programs.
bool holds_objects(__u32 map_type);

// Programs redirect packets to its entries, devices or CPUs.
bool holds_devices(__u32 map_type);
bool redirects(__u32 map_type);

// To delete an entry that is not there is no error to the kernel.
bool deletes_nothing(__u32 map_type);
