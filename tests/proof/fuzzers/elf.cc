// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// An object file, which may be damaged, as prog-load reads it: its programs, its BTF, a copy of
// each program under another section name, and what libbpf makes of what was let through.
#include "../../../tools/prog-load/elf.h"

#include <bpf/libbpf.h>

#include "../../../tools/lib/type.h"
#include "fuzz.h"

static void open_by_libbpf(const ObjectFile &file)
{
	LIBBPF_OPTS(bpf_object_open_opts, opts);

	opts.object_name = "fuzz";
	bpf_object__close(bpf_object__open_mem(file.data().data(), file.data().size(), &opts));
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static auto silence = libbpf_set_print(nullptr);
	constexpr size_t most = 4; // programs

	(void)silence;
	MemoryFile file(as_text(data, size));
	try {
		ObjectFile object(file.path());
		std::vector<Function> functions = object.functions();
		object.check_btf();
		open_by_libbpf(object);
		functions.resize(std::min(functions.size(), most), {});
		for (const Function &function : functions) {
			ObjectFile copy(file.path());
			copy.clone_section(function, "?xdp");
			copy.functions();
			open_by_libbpf(copy);
		}
	} catch (const std::runtime_error &) {
	}
	try {
		load_btf_file(file.path());
		load_section_btf(file.path());
	} catch (const std::runtime_error &) {
	}
	return 0;
}
