// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "change.h"

#include <bpf/bpf.h>
#include <sys/mman.h>

#include <cerrno>
#include <cstring>

#include "../lib/cli.h"
#include "../lib/lines.h"
#include "progress.h"

// What one system call gets.
struct Batch {
	std::vector<unsigned char> keys;
	std::vector<unsigned char> values; // none: the keys are to be deleted
	__u32 count = 0;
};

Change difference(const OpenMap &map, const Entries &now, const Entries &wanted, bool exactly)
{
	std::vector<unsigned char> value;
	Change change;
	__u32 at = 0; // in `now`; both are in order

	change.added.reserve(wanted.size());
	for (__u32 i = 0; i < wanted.size(); i++) {
		int order = 1;

		while (at < now.size() && (order = now.compare(now.key(at), wanted.key(i))) < 0)
			change.removed.push_back(at++);
		if (at == now.size() || order) {
			change.added.push_back(i);
			continue;
		}
		value.assign(map.value.size, 0);
		sum_cpus(map.values, map.value, now.value(at++), value.data());
		if (memcmp(value.data(), wanted.value(i), value.size()) != 0)
			change.changed.push_back(i);
	}
	while (at < now.size())
		change.removed.push_back(at++);
	if (!exactly)
		change.removed.clear();
	return change;
}

void want_zeros(const OpenMap &map, const Entries &now, Entries &wanted)
{
	const std::vector<unsigned char> zero(map.value.size);
	Entries all(map, map.value.size);

	for (size_t i = 0; i < now.size(); i++)
		all.add(now.key(i), zero.data());
	for (size_t i = 0; i < wanted.size(); i++)
		all.add(wanted.key(i), wanted.value(i));
	all.sort_unique();
	wanted = std::move(all);
}

void check_shrink(const OpenMap &map, const Entries &now, const Entries &wanted,
		  unsigned max_percent, const std::string &what)
{
	if (is_array(map.info.type))
		fail(what, "--max-shrink does not go with an array, which never has fewer entries");
	std::string reason = why_shrunk(now.size(), wanted.size(), max_percent);
	if (!reason.empty())
		fail(what, reason);
}

// An LRU map evicts other entries for the wanted ones. If these are more than it holds, it would
// evict some of them as well.
void check_room(const OpenMap &map, const Entries &now, const Entries &wanted, Change &change,
		const std::string &what)
{
	size_t most = now.size() + change.added.size();
	size_t after = is_lru(map.info.type) ? wanted.size() : most - change.removed.size();

	if (after > map.info.max_entries)
		fail(what, "the map holds at most " + std::to_string(map.info.max_entries) +
				   " entries, and would have " + std::to_string(after));
	change.remove_first = most > map.info.max_entries;
}

static Batch updates(const OpenMap &map, const Entries &wanted, const Change &change)
{
	size_t value_size = map.values.bytes();
	Batch batch;

	batch.count = change.added.size() + change.changed.size();
	batch.keys.reserve(size_t{batch.count} * map.key.size);
	// One CPU has the value, the others have zero: this is the sum.
	batch.values.resize(batch.count * value_size);
	unsigned char *value = batch.values.data();
	// Changes first: an old kernel's LPM trie takes none when it is full.
	for (const std::vector<__u32> *list : {&change.changed, &change.added}) {
		for (__u32 i : *list) {
			const unsigned char *key = wanted.key(i);

			batch.keys.insert(batch.keys.end(), key, key + map.key.size);
			memcpy(value, wanted.value(i), map.value.size);
			value += value_size;
		}
	}
	return batch;
}

static Batch deletes(const OpenMap &map, const Entries &now, const Change &change)
{
	Batch batch;

	batch.count = change.removed.size();
	batch.keys.reserve(size_t{batch.count} * map.key.size);
	for (__u32 i : change.removed)
		batch.keys.insert(batch.keys.end(), now.key(i), now.key(i) + map.key.size);
	return batch;
}

// Change one entry: not all kernels and types of maps take batches. Returns whether it was done.
static bool run_one(const OpenMap &map, const Batch &batch, __u32 at)
{
	const unsigned char *key = batch.keys.data() + size_t{at} * map.key.size;
	size_t value_size = batch.values.size() / batch.count;

	if (batch.values.empty())
		return !bpf_map_delete_elem(map.fd.get(), key) || errno == ENOENT;
	return !bpf_map_update_elem(map.fd.get(), key, batch.values.data() + at * value_size,
				    BPF_ANY);
}

// Returns how many entries of the batch were changed; if not all, errno says why. It is one system
// call, which no signal interrupts: if the tool is killed, all of it is done, or nothing. A key to
// be deleted that another program has deleted meanwhile counts as deleted.
static __u32 run_batch(const OpenMap &map, const Batch &batch)
{
	__u32 at = 0;

	// At a page that is swapped out the tool could be killed half-way. It goes without, too.
	if (batch.count > 1) {
		mlock(batch.keys.data(), batch.keys.size());
		mlock(batch.values.data(), batch.values.size());
	}
	while (batch.count > 1 && at < batch.count) {
		const unsigned char *keys = batch.keys.data() + size_t{at} * map.key.size;
		__u32 done = batch.count - at;

		if (!(batch.values.empty()
			      ? bpf_map_delete_batch(map.fd.get(), keys, &done, nullptr)
			      : bpf_map_update_batch(map.fd.get(), keys, batch.values.data(), &done,
						     nullptr)))
			return batch.count;
		if (errno == enotsupp || errno == EINVAL)
			break; // this map type, or this kernel, takes no batch
		if (errno != ENOENT || !batch.values.empty())
			return at + (done < batch.count - at ? done : 0); // untouched: none
		at += done + 1;
	}
	while (at < batch.count && run_one(map, batch, at))
		at++;
	return at;
}

// Give the first `done` keys of the batch their old values back. Returns false where that fails.
static bool undo(const OpenMap &map, const Entries &now, const Batch &batch, __u32 done)
{
	bool undone = true;

	if (holds_objects(map.info.type))
		return !done;
	while (done--) {
		const unsigned char *key = &batch.keys[size_t{done} * map.key.size];
		size_t at = now.find(key);

		if (at == Entries::none)
			undone &= !bpf_map_delete_elem(map.fd.get(), key) || errno == ENOENT;
		else
			undone &= !bpf_map_update_elem(map.fd.get(), key, now.value(at), BPF_ANY);
	}
	return undone;
}

const char *why_not(int err)
{
	switch (err) {
	case E2BIG:
	case ENOSPC:
		return "the map is full";
	case EPERM:
		return "the map is frozen";
	}
	return "";
}

void apply(const OpenMap &map, const Entries &now, const Entries &wanted, const Change &change,
	   const std::string &what)
{
	Batch update = updates(map, wanted, change);
	Batch remove = deletes(map, now, change);
	Progress progress;
	__u32 updated = 0;
	__u32 removed = 0;

	progress.say("entries to change:", size_t{update.count} + remove.count);
	auto update_all = [&] { return (updated = run_batch(map, update)) == update.count; };
	auto remove_all = [&] { return (removed = run_batch(map, remove)) == remove.count; };
	if (change.remove_first ? remove_all() && update_all() : update_all() && remove_all())
		return;
	int err = errno;
	bool undone = undo(map, now, update, updated);
	undone &= undo(map, now, remove, removed);
	fail(err, what + (undone ? "" : " (not all changes could be undone)"), why_not(err));
}
