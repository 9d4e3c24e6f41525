// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "change.h"

#include <bpf/bpf.h>
#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <functional>
#include <utility>

#include "../../bpf/sk_dispatch.h"
#include "../lib/cli.h"
#include "../lib/fd.h"
#include "../lib/lines.h"
#include "../lib/object.h"
#include "entry_bytes.h"
#include "progress.h"

// Programs by their ids, each opened once.
using Programs = std::vector<std::pair<__u32, Fd>>;

// What one system call gets.
struct Batch {
	std::vector<unsigned char> keys;
	std::vector<unsigned char> values; // none: the keys are to be deleted
	Programs programs;		   // in the values
	__u32 count = 0;
};

// What is read of a devmap or cpumap has the id of a program, what is written its fd, which is kept
// in `programs` until then.
static void make_writable(const OpenMap &map, unsigned char *value, Programs &programs)
{
	unsigned char *at = value + sizeof(__u32);
	__u32 id = 0;

	if (!redirects(map.info.type) || map.value.kind != Type::Kind::Struct)
		return;
	memcpy(&id, at, sizeof(id));
	if (!id)
		return; // there is none, and 0 is no program's fd
	auto found = std::find_if(programs.begin(), programs.end(),
				  [id](const auto &program) { return program.first == id; });
	if (found == programs.end())
		found = programs.emplace(found, id, open_by_id(ObjectKind::Prog, id));
	int fd = found->second.get();
	memcpy(at, &fd, sizeof(fd));
}

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

// ---- the order of changes
//
// A program that looks up an LPM trie meanwhile finds what it found before, or what it will find
// afterwards, and no third entry: more specific entries are added before, and removed after, less
// specific ones. For then, of the entries that match, the most specific one is always the one of
// before or the one of afterwards. In the order of keys, a prefix comes before those within it, and
// a field that is 0 before any other value.

// How specific a binding of sk_dispatch is, where the order of keys does not tell: the prefix
// counts before the fields that come before it in the key.
static __u32 rank(const unsigned char *key)
{
	// Both families have them in the same place.
	static_assert(offsetof(struct dispatch4, proto) == offsetof(struct dispatch6, proto) &&
		      offsetof(struct dispatch4, port) == offsetof(struct dispatch6, port));
	bool port = read_as<__be16>(key + offsetof(struct dispatch4, port));
	bool proto = read_as<__u16>(key + offsetof(struct dispatch4, proto));

	return read_as<__u32>(key) << 2 | port << 1 | proto;
}

static bool has_ranks(const OpenMap &map)
{
	return (strcmp(map.info.name, "dispatch4") == 0 &&
		map.info.key_size == sizeof(struct dispatch4)) ||
	       (strcmp(map.info.name, "dispatch6") == 0 &&
		map.info.key_size == sizeof(struct dispatch6));
}

// The entries to write, in their order.
static std::vector<__u32> update_order(const OpenMap &map, const Entries &now,
				       const Entries &wanted, const Change &change)
{
	std::vector<__u32> order = change.changed;

	order.insert(order.end(), change.added.begin(), change.added.end());
	// Changes first: an old kernel's LPM trie takes none when it is full.
	if (map.info.type != BPF_MAP_TYPE_LPM_TRIE ||
	    now.size() + change.added.size() >= map.info.max_entries)
		return order;
	std::ranges::sort(order, std::greater());
	if (has_ranks(map))
		std::ranges::stable_sort(order, std::greater(),
					 [&](__u32 i) { return rank(wanted.key(i)); });
	return order;
}

static Batch updates(const OpenMap &map, const Entries &now, const Entries &wanted,
		     const Change &change)
{
	size_t value_size = map.values.bytes();
	Batch batch;

	batch.count = change.added.size() + change.changed.size();
	batch.keys.reserve(size_t{batch.count} * map.key.size);
	// One CPU has the value, the others have zero: this is the sum.
	batch.values.resize(batch.count * value_size);
	unsigned char *value = batch.values.data();
	for (__u32 i : update_order(map, now, wanted, change)) {
		const unsigned char *key = wanted.key(i);

		batch.keys.insert(batch.keys.end(), key, key + map.key.size);
		memcpy(value, wanted.value(i), map.value.size);
		make_writable(map, value, batch.programs);
		value += value_size;
	}
	return batch;
}

static Batch deletes(const OpenMap &map, const Entries &now, const Change &change)
{
	Batch batch;

	std::vector<__u32> order = change.removed;

	if (has_ranks(map))
		std::ranges::stable_sort(order, std::less(),
					 [&](__u32 i) { return rank(now.key(i)); });
	batch.count = order.size();
	batch.keys.reserve(size_t{batch.count} * map.key.size);
	for (__u32 i : order)
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

static bool restore(const OpenMap &map, const unsigned char *key, const unsigned char *value)
{
	std::vector<unsigned char> copy(value, value + map.values.bytes());
	Programs programs;

	try {
		make_writable(map, copy.data(), programs);
	} catch (const std::runtime_error &) {
		return false; // the program is gone
	}
	return !bpf_map_update_elem(map.fd.get(), key, copy.data(), BPF_ANY);
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
			undone &= restore(map, key, now.value(at));
	}
	return undone;
}

const char *why_not(const OpenMap &map, int err)
{
	if (holds_devices(map.info.type) && err == EINVAL)
		return "the device is gone, or its program is not of type xdp/devmap";
	if (map.info.type == BPF_MAP_TYPE_CPUMAP && err == ENODEV)
		return "the machine has no such CPU";
	if (map.info.type == BPF_MAP_TYPE_CPUMAP && err == EOVERFLOW)
		return "qsize is above 16384";
	if (map.info.type == BPF_MAP_TYPE_CPUMAP && (err == EINVAL || err == ENOMEM))
		return "perhaps the program is not of type xdp/cpumap"; // the kernel has one errno
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
	Batch update = updates(map, now, wanted, change);
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
	fail(err, what + (undone ? "" : " (not all changes could be undone)"), why_not(map, err));
}
