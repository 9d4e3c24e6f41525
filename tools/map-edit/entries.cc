// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "entries.h"

#include <bpf/bpf.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "../lib/cli.h"
#include "../lib/lpm.h"
#include "progress.h"
#include "xskmap.h"

constexpr size_t compact_entries = size_t{4} << 20; // at most, before duplicates are removed
constexpr size_t compact_least = size_t{1} << 16;
constexpr size_t read_bytes = size_t{4} << 20;	   // of entries that one system call reads
constexpr size_t progress_reads = size_t{1} << 14; // between two looks at the clock

// ---- entries

Entries::Entries(const OpenMap &map, size_t value_size)
    : key_size_(map.info.key_size), value_size_(value_size),
      skip_(map.info.type == BPF_MAP_TYPE_LPM_TRIE ? sizeof(__u32) : 0),
      most_(map.info.max_entries),
      compact_step_(std::min(compact_entries, 2 * most_ + compact_least)),
      compact_at_(compact_step_)
{
}

void Entries::add(const unsigned char *key, const unsigned char *value)
{
	keys_.insert(keys_.end(), key, key + key_size_);
	values_.insert(values_.end(), value, value + value_size_);
	// Overlapping ranges are no reason to run out of memory.
	if (++count_ >= compact_at_) {
		sort_unique();
		overfull_ = count_ > most_;
		compact_at_ = 2 * count_ + compact_step_;
	}
}

void Entries::sort_unique()
{
	if (is_sorted())
		return; // as lists often are
	// What most comparisons need, in one number: the first 4 bytes of the key, and the number
	// of the entry.
	std::vector<__u64> order;
	std::vector<unsigned char> keys;
	std::vector<unsigned char> values;
	size_t count = 0;

	auto number = [](__u64 item) { return static_cast<__u32>(item); };
	auto compare_items = [&](__u64 a, __u64 b) {
		if (a >> 32 != b >> 32)
			return a < b ? -1 : 1;
		return compare(key(number(a)), key(number(b)));
	};
	order.reserve(count_);
	for (size_t i = 0; i < count_; i++)
		order.push_back(sort_key(i) << 32 | i);
	std::sort(order.begin(), order.end(), [&](__u64 a, __u64 b) {
		int c = compare_items(a, b);
		return c ? c < 0 : a < b;
	});
	keys.reserve(keys_.size());
	values.reserve(values_.size());
	for (size_t i = 0; i < order.size(); i++) {
		if (i + 1 < order.size() && !compare_items(order[i], order[i + 1]))
			continue;
		const unsigned char *k = key(number(order[i]));
		const unsigned char *v = value(number(order[i]));

		keys.insert(keys.end(), k, k + key_size_);
		values.insert(values.end(), v, v + value_size_);
		count++;
	}
	keys_.swap(keys);
	values_.swap(values);
	count_ = count;
}

int Entries::compare(const unsigned char *a, const unsigned char *b) const
{
	int order = memcmp(a + skip_, b + skip_, key_size_ - skip_);

	return order ? order : memcmp(a, b, skip_);
}

size_t Entries::find(const unsigned char *key) const
{
	size_t from = 0;
	size_t to = count_;

	while (from < to) {
		size_t middle = (from + to) / 2;
		int order = compare(this->key(middle), key);

		if (!order)
			return middle;
		if (order < 0)
			from = middle + 1;
		else
			to = middle;
	}
	return none;
}

bool Entries::is_sorted() const
{
	size_t i = 1;

	while (i < count_ && compare(key(i - 1), key(i)) < 0)
		i++;
	return i >= count_;
}

// The first 4 bytes that compare() looks at, as a number.
__u64 Entries::sort_key(size_t i) const
{
	__u64 bytes = 0;

	for (size_t at = skip_; at < skip_ + 4; at++)
		bytes = bytes << 8 | (at < key_size_ ? key(i)[at] : 0);
	return bytes;
}

// ---- the map's entries

// Bits after a prefix, which a program may have set, count for nothing: without them, keys compare
// as the kernel compares them.
static void add_read(const OpenMap &map, Entries &entries, unsigned char *key,
		     const unsigned char *values)
{
	if (map.info.type == BPF_MAP_TYPE_LPM_TRIE)
		clear_after_prefix({key, map.info.key_size});
	entries.add(key, values);
}

// A map that changes all the time may send a reader back to its beginning for ever.
static void check_end(const OpenMap &map, size_t reads)
{
	if (reads > 16 + 8 * size_t{map.info.max_entries})
		fail("read map " + quote(map.path), "it changes faster than it can be read");
}

bool look_up(const OpenMap &map, const unsigned char *key, unsigned char *values)
{
	if (map.info.type == BPF_MAP_TYPE_XSKMAP)
		return look_up_xsk(map, key, values);
	return !bpf_map_lookup_elem(map.fd.get(), key, values);
}

const char *why_no_lookup(const OpenMap &map, int err)
{
	return err == ENOSPC && holds_sockets(map.info.type)
		       ? "its values have 4 bytes, and a cookie has 8"
		       : "";
}

static void read_one_by_one(const OpenMap &map, Entries &entries, Progress &progress)
{
	std::string what = "read map " + quote(map.path);
	std::vector<unsigned char> values(map.values.bytes());
	std::vector<unsigned char> key(map.info.key_size);
	std::vector<unsigned char> next(map.info.key_size);
	const unsigned char *previous = nullptr;
	size_t reads = 0;

	while (bpf_map_get_next_key(map.fd.get(), previous, next.data()) == 0) {
		key = next;
		previous = key.data();
		if (look_up(map, key.data(), values.data()))
			add_read(map, entries, next.data(), values.data());
		else if (errno != ENOENT) // it went away meanwhile, or the slot is empty
			fail(errno, what, why_no_lookup(map, errno));
		check_end(map, ++reads);
		if (reads % progress_reads == 0)
			progress.say("entries read:", reads);
	}
	if (errno != ENOENT)
		fail(errno, what);
}

// Returns false where the kernel cannot do it.
static bool read_in_batches(const OpenMap &map, Entries &entries, Progress &progress)
{
	size_t key_size = map.info.key_size;
	size_t value_size = map.values.bytes();
	size_t room = std::max<size_t>(1, read_bytes / (key_size + value_size));
	// Where to go on: a key, or for a hash a number of 4 bytes.
	std::vector<unsigned char> from(std::max<size_t>(key_size, 4));
	std::vector<unsigned char> to(from.size());
	std::vector<unsigned char> keys;
	std::vector<unsigned char> values;
	bool started = false;
	size_t reads = 0;

	for (;;) {
		keys.resize(room * key_size);
		values.resize(room * value_size);
		auto count = static_cast<__u32>(room);
		int err =
			bpf_map_lookup_batch(map.fd.get(), started ? from.data() : nullptr,
					     to.data(), keys.data(), values.data(), &count, nullptr)
				? errno
				: 0;

		if (!started && (err == enotsupp || err == EINVAL))
			return false;
		if (err == ENOSPC && room < map.info.max_entries) {
			room *= 2; // for a hash's fullest bucket
			continue;
		}
		if (err && err != ENOENT && err != EINTR)
			fail(err, "read map " + quote(map.path));
		for (size_t i = 0; i < count; i++)
			add_read(map, entries, &keys[i * key_size], &values[i * value_size]);
		if (err == ENOENT)
			return true;
		if (count) {
			started = true;
			from.swap(to);
		}
		check_end(map, reads += std::max<__u32>(1, count));
		progress.say("entries read:", entries.size());
	}
}

Entries read_map(const OpenMap &map)
{
	Entries entries(map, map.values.bytes());
	Progress progress;

	if (holds_objects(map.info.type) || redirects(map.info.type) ||
	    !read_in_batches(map, entries, progress))
		read_one_by_one(map, entries, progress);
	entries.sort_unique();
	return entries;
}
