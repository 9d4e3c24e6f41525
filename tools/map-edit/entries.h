// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// Entries of a map in memory.
#pragma once

#include <linux/types.h>

#include <cstdint>
#include <vector>

#include "map.h"

// Keys with their values, in flat memory. They are added in any order; sort_unique() sorts them
// by the bytes of their keys. In an LPM trie the length of the prefix counts last: in that order
// the kernel finds neighbours through nodes that are in its cache, in half the time.
class Entries
{
public:
	static constexpr size_t none = SIZE_MAX;

	Entries(const OpenMap &map, size_t value_size);

	void add(const unsigned char *key, const unsigned char *value);

	// Sort the entries. Of those with the same key, the last one stays.
	void sort_unique();

	size_t size() const
	{
		return count_;
	}

	// Are there more than the map can hold? It is found out from time to time, as entries are
	// added.
	bool is_overfull() const
	{
		return overfull_;
	}
	const unsigned char *key(size_t i) const
	{
		return keys_.data() + i * key_size_;
	}
	const unsigned char *value(size_t i) const
	{
		return values_.data() + i * value_size_;
	}

	// The order of two keys, as memcmp(3) returns it.
	int compare(const unsigned char *a, const unsigned char *b) const;

	// The number of the entry with this key, or none. The entries are sorted.
	size_t find(const unsigned char *key) const;

	// Does the other one, which is sorted too, have these keys and no others?
	bool has_same_keys(const Entries &other) const
	{
		return keys_ == other.keys_;
	}

private:
	bool is_sorted() const;
	__u64 sort_key(size_t i) const;

	size_t key_size_;
	size_t value_size_;
	size_t skip_; // bytes in front of the key that count last
	size_t count_ = 0;
	size_t most_;
	size_t compact_step_;
	size_t compact_at_;
	bool overfull_ = false;
	std::vector<unsigned char> keys_;
	std::vector<unsigned char> values_;
};

// All entries of the map, sorted, with the values of all CPUs. Prints its progress.
Entries read_map(const OpenMap &map);

// Look up an entry, with the values of all CPUs. Returns false where errno says why.
bool look_up(const OpenMap &map, const unsigned char *key, unsigned char *values);

// Why a look-up in the map may have failed with this errno, or "".
const char *why_no_lookup(const OpenMap &map, int err);
