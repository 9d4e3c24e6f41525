// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// The lists in the kernel. A directory DIR of a bpffs has the pins of xdp_blocklist's maps:
//
//   blocklist                 a map of maps; the map in its only slot is the active list
//   block_stats               the counters
//   blocklist_a, blocklist_b  only after reserve(): two lists, one active and one spare
//
// Without the last two, each list is a new map, which the kernel frees when it is no longer
// active. With them, the spare list is filled and activated, under a lock on DIR.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "../../bpf/xdp_blocklist.h"
#include "../lib/fd.h"
#include "table.h"

// Open DIR/blocklist, to read or to change it. Fails when it is not xdp_blocklist's.
Fd open_blocklist(const std::string &dir, bool read_only);

// Have `build` fill in a list of so many cells, which are zero, and activate it. A failure
// before that changes nothing. `blocklist` is DIR/blocklist. `check`, which may be empty, is
// shown the active list, without cells if there is none, and may throw. This function and the two
// that follow lock DIR, and wait for others so many seconds.
void replace_list(const Fd &blocklist, const std::string &dir, unsigned wait, size_t cells,
		  const std::function<void(ConstCells)> &check,
		  const std::function<void(Cells)> &build);

// A copy of the active list; without cells if there is none.
std::vector<union block_cell> read_active_list(const std::string &dir, unsigned wait);

// Create blocklist_a and blocklist_b, of so many cells each, in place of those that are there,
// with the owner and mode of `blocklist`. The active list is copied into one of them.
void reserve_lists(const std::string &dir, unsigned wait, size_t cells);

// Fail when lists are reserved in DIR that are too small for so many cells.
void check_fits(const std::string &dir, size_t cells);

// The counters, summed over all CPUs.
struct block_stats read_stats(const std::string &dir);

// The size of so many cells in MiB, for people: "12.0".
std::string mebibytes(size_t cells);
