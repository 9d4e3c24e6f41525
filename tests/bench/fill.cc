// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// fill MAP FILE: copy FILE as it is to the beginning of the array pinned at MAP, which can be
// mapped: far sooner done than entry by entry.

#include <bpf/bpf.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "../../tools/lib/cli.h"
#include "../../tools/lib/object.h"

static int fill(int argc, char **argv)
{
	if (argc != 3)
		fail("read the arguments", "they are not MAP FILE");
	Fd map = open_pinned(ObjectKind::Map, argv[1]);
	struct bpf_map_info info = map_info(map);
	size_t room = size_t{info.max_entries} * info.value_size;
	Fd file(open(argv[2], O_RDONLY | O_CLOEXEC));
	struct stat st;
	if (!file || fstat(file.get(), &st))
		fail(errno, "open file " + quote(argv[2]));
	auto size = static_cast<size_t>(st.st_size);
	if (size > room)
		fail("fill map " + quote(argv[1]), "it is too small");

	void *at = mmap(nullptr, room, PROT_READ | PROT_WRITE, MAP_SHARED, map.get(), 0);
	if (at == MAP_FAILED)
		fail(errno, "map " + quote(argv[1]) + " into memory");
	if (read(file.get(), at, size) != st.st_size)
		fail(errno, "read file " + quote(argv[2]));
	return 0;
}

int main(int argc, char **argv)
{
	return run_tool("fill", fill, argc, argv);
}
