// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "kernel.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

#include "../lib/capability.h"
#include "../lib/cli.h"
#include "../lib/lock.h"
#include "../lib/object.h"
#include "../lib/percpu.h"
#include "../lib/pin.h"

std::string mebibytes(size_t cells)
{
	std::array<char, 24> text;

	snprintf(text.data(), text.size(), "%.1f",
		 static_cast<double>(cells) * BLOCK_CELL_BYTES / (1 << 20));
	return text.data();
}

// ---- the map of maps

Fd open_blocklist(const std::string &dir, bool read_only)
{
	std::string path = dir + "/blocklist";
	Fd blocklist = open_pinned(ObjectKind::Map, path, read_only);
	__u32 type = map_info(blocklist).type;

	if (type != BPF_MAP_TYPE_ARRAY_OF_MAPS)
		fail("open map " + quote(path),
		     "it is not a map of xdp_blocklist: its type is " + map_type_name(type));
	return blocklist;
}

// The id of the active list, or 0 if there is none.
static __u32 active_id(const Fd &blocklist)
{
	const __u32 zero = 0;
	__u32 id = 0;

	if (bpf_map_lookup_elem(blocklist.get(), &zero, &id) && errno != ENOENT)
		fail(errno, "look up the active list");
	return id;
}

// When this returns, no program runs any more that has seen the list before: the kernel waits
// for them.
static void activate(const Fd &blocklist, const Fd &list, const std::string &dir)
{
	const __u32 zero = 0;
	int fd = list.get();

	if (bpf_map_update_elem(blocklist.get(), &zero, &fd, BPF_ANY))
		fail(errno, "activate the list in " + quote(dir),
		     errno == EINVAL ? "its map 'blocklist' is not one of this xdp_blocklist" : "");
}

// ---- one list

constexpr const char *way_out = ", or lists that 'reserve' has created";

// A list that is freed with its fd, unless it has been activated or pinned by then.
static Fd create_list(size_t cells)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_INNER_MAP | BPF_F_MMAPABLE);
	Fd list(bpf_map_create(BPF_MAP_TYPE_ARRAY, "blocklist.inner", sizeof(__u32),
			       BLOCK_CELL_BYTES, static_cast<__u32>(cells), &opts));

	if (!list)
		fail(errno, "create a list of " + mebibytes(cells) + " MiB",
		     why_denied(errno, {CAP_BPF}, CountsFor::Bpf, "", way_out));
	return list;
}

// A list's cells in the memory of this process.
class Mapping
{
public:
	Mapping(const Fd &map, size_t cells)
	    : size_(cells * BLOCK_CELL_BYTES),
	      at_(mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_SHARED, map.get(), 0))
	{
		if (at_ == MAP_FAILED)
			fail(errno, "map the list into memory");
	}
	Mapping(const Mapping &) = delete;
	Mapping &operator=(const Mapping &) = delete;
	~Mapping()
	{
		munmap(at_, size_);
	}
	Cells cells() const
	{
		return {static_cast<union block_cell *>(at_), size_ / BLOCK_CELL_BYTES};
	}

private:
	size_t size_;
	void *at_;
};

// It is not mapped: mapping a list needs the right to write, too.
static std::vector<union block_cell> read_cells(const Fd &list)
{
	const __u32 zero = 0;
	union block_cell first = {};
	__u32 next = 0;

	if (bpf_map_lookup_elem(list.get(), &zero, &first))
		fail(errno, "read the active list");
	__u32 count = first.head.cells;
	std::vector<union block_cell> cells(count);
	std::vector<__u32> numbers(count);
	if (bpf_map_lookup_batch(list.get(), nullptr, &next, numbers.data(), cells.data(), &count,
				 nullptr) &&
	    errno != ENOENT) // which says that it was the last batch
		fail(errno, "read the active list");
	if (count != cells.size())
		fail("read the active list", "it is too short");
	return cells;
}

// ---- reserved lists

static std::string reserved_path(const std::string &dir, size_t i)
{
	return dir + "/blocklist_" + "ab"[i];
}

static bool is_reserved(const std::string &dir, size_t i = 0)
{
	return access(reserved_path(dir, i).c_str(), F_OK) == 0;
}

// Lock the directory until the end of the scope. Reserved lists are filled in place: there is no
// way without the lock.
static DirectoryLock lock(const std::string &dir, unsigned wait)
{
	DirectoryLock directory(dir, wait);

	if (!directory && is_reserved(dir))
		fail(EACCES, "lock directory " + quote(dir));
	directory.take();
	return directory;
}

// The two reserved lists, or neither. The caller has locked their directory.
class SparePair
{
public:
	SparePair() = default;
	SparePair(const std::string &dir, bool read_only)
	{
		for (size_t i = 0; i < lists_.size(); i++) {
			lists_[i] = open_pinned(ObjectKind::Map, reserved_path(dir, i), read_only);
			infos_[i] = map_info(lists_[i]);
		}
	}
	explicit operator bool() const
	{
		return infos_[0].id;
	}
	// The list with this id, if it is one of the two.
	Fd claim(__u32 id)
	{
		for (size_t i = 0; i < lists_.size(); i++)
			if (lists_[i] && infos_[i].id == id)
				return std::move(lists_[i]);
		return {};
	}
	// The list that is not active.
	Fd claim_spare(__u32 active, size_t cells)
	{
		size_t i = infos_[0].id == active ? 1 : 0;

		check_size(i, cells);
		return std::move(lists_[i]);
	}
	void check_size(size_t i, size_t cells) const
	{
		if (infos_[i].value_size != BLOCK_CELL_BYTES || infos_[i].max_entries < cells)
			fail("load the list", "it needs " + mebibytes(cells) + " MiB, and " +
						      mebibytes(infos_[i].max_entries) +
						      " MiB are reserved");
	}

private:
	std::array<Fd, 2> lists_;
	std::array<struct bpf_map_info, 2> infos_ = {};
};

// The active list, or nothing if there is none.
static Fd open_active_list(const Fd &blocklist, SparePair &pair)
{
	while (__u32 id = active_id(blocklist)) {
		if (Fd list = pair.claim(id))
			return list;
		Fd list(bpf_map_get_fd_by_id(id));
		if (list)
			return list;
		if (errno != ENOENT) // else it was replaced just now
			fail(errno, "open list " + std::to_string(id),
			     why_denied(errno, {CAP_SYS_ADMIN}, CountsFor::Bpf, "", way_out));
	}
	return {};
}

// ---- what the verbs do

void replace_list(const Fd &blocklist, const std::string &dir, unsigned wait, size_t cells,
		  const std::function<void(ConstCells)> &check,
		  const std::function<void(Cells)> &build)
{
	DirectoryLock locked = lock(dir, wait);
	bool reserved = is_reserved(dir);

	if (check) {
		SparePair pair = reserved ? SparePair(dir, true) : SparePair();
		Fd active = open_active_list(blocklist, pair);

		check(active ? read_cells(active) : std::vector<union block_cell>());
	}
	SparePair pair = reserved ? SparePair(dir, false) : SparePair();
	Fd list = pair ? pair.claim_spare(active_id(blocklist), cells) : create_list(cells);
	Mapping mapping(list, cells);

	if (pair) // an earlier list is still in there
		memset(mapping.cells().data(), 0, mapping.cells().size_bytes());
	build(mapping.cells());
	activate(blocklist, list, dir);
}

std::vector<union block_cell> read_active_list(const std::string &dir, unsigned wait)
{
	Fd blocklist = open_blocklist(dir, true);
	bool reserved = is_reserved(dir);
	DirectoryLock locked = reserved ? lock(dir, wait) : DirectoryLock();
	SparePair pair = reserved ? SparePair(dir, true) : SparePair();
	Fd list = open_active_list(blocklist, pair);

	return list ? read_cells(list) : std::vector<union block_cell>();
}

void reserve_lists(const std::string &dir, unsigned wait, size_t cells)
{
	std::string what = "reserve lists in " + quote(dir);
	Fd blocklist = open_blocklist(dir, false);
	std::array<Fd, 2> lists;
	struct stat st;

	if (stat((dir + "/blocklist").c_str(), &st))
		fail(errno, what);
	Access access = {st.st_mode & 0777, st.st_uid, st.st_gid};
	DirectoryLock locked = lock(dir, wait);
	// Where one of the two pins was removed, it is created again.
	bool both = is_reserved(dir, 0) && is_reserved(dir, 1);
	SparePair old = both ? SparePair(dir, false) : SparePair();
	for (Fd &list : lists)
		list = create_list(cells);
	if (Fd active = open_active_list(blocklist, old)) {
		std::vector<union block_cell> used = read_cells(active);

		if (used.size() > cells)
			fail(what, "the active list needs " + mebibytes(used.size()) + " MiB");
		std::copy(used.begin(), used.end(), Mapping(lists[0], cells).cells().begin());
	}
	pin_all({{lists[0], reserved_path(dir, 0), true}, {lists[1], reserved_path(dir, 1), true}},
		access, "", [&] {
			if (active_id(blocklist))
				activate(blocklist, lists[0], dir);
		});
}

void check_fits(const std::string &dir, size_t cells)
{
	struct stat st;

	if (stat(dir.c_str(), &st))
		fail(errno, "open directory " + quote(dir));
	if (!S_ISDIR(st.st_mode))
		fail(ENOTDIR, "open directory " + quote(dir));
	if (!is_reserved(dir))
		return;
	SparePair pair(dir, true);
	pair.check_size(0, cells);
	pair.check_size(1, cells);
}

struct block_stats read_stats(const std::string &dir)
{
	std::string path = dir + "/block_stats";
	Fd map = open_pinned(ObjectKind::Map, path, true);
	struct bpf_map_info info = map_info(map);
	struct block_stats sum = {};
	const __u32 zero = 0;

	if (info.type != BPF_MAP_TYPE_PERCPU_ARRAY || info.value_size != sizeof(sum))
		fail("open map " + quote(path), "it is not a map of xdp_blocklist");
	std::vector<struct block_stats> each(possible_cpus());
	if (bpf_map_lookup_elem(map.get(), &zero, each.data()))
		fail(errno, "read map " + quote(path));
	for (const struct block_stats &one : each) {
		sum.dropped4 += one.dropped4;
		sum.dropped6 += one.dropped6;
	}
	return sum;
}
