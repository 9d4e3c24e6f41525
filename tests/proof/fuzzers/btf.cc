// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// BTF of a file, which may be damaged: each of its types that is read has values, as in value.cc.
#include <bpf/libbpf.h>

#include "../../../tools/lib/part.h"
#include "../../../tools/lib/type.h"
#include "fuzz.h"
#include "values.h"

// A name of the types is one of a map, or of a section, too.
static void find_by_name(const struct btf *btf, const struct btf_type *t)
{
	std::string name(name_of(btf, t->name_off));

	find_struct(btf, name);
	find_map_types(btf, name);
	find_section(btf, name, t->size);
}

static void read_each(const struct btf *btf, std::string_view input)
{
	for (__u32 id = 0; id < btf__type_cnt(btf); id++) {
		try {
			find_by_name(btf, btf__type_by_id(btf, id));
			is_section(btf, id);
			Type type = read_type(btf, id);
			if (type.size > largest_value)
				continue;
			check_printed(type, input.substr(input.size() / 2));
			check_printed(type, {});
			check_parsed(type, input.substr(input.size() / 2));
			find_part(type, name_of(btf, btf__type_by_id(btf, id)->name_off));
		} catch (const std::runtime_error &) { // it says why not
		}
	}
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static auto silence = libbpf_set_print(nullptr);
	std::string_view input = as_text(data, size);

	(void)silence;
	MemoryFile file(input);
	try {
		Btf btf = load_btf_file(file.path());
		read_each(btf.get(), input);
	} catch (const std::runtime_error &) {
	}
	return 0;
}
