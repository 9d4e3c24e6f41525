// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "lost.h"

#include <bpf/bpf.h>

#include <cerrno>
#include <cstdio>

#include "../lib/cli.h"
#include "../lib/map_name.h"
#include "../lib/object.h"

LostCounter::LostCounter(const std::string &path, const std::string &btf)
    : path_(path), map_(open_pinned(ObjectKind::Map, path)), info_(map_info(map_))
{
	if (info_.type != BPF_MAP_TYPE_ARRAY && info_.type != BPF_MAP_TYPE_PERCPU_ARRAY)
		fail("open map " + quote(path),
		     "its type is " + map_type_name(info_.type) + ", not array or percpu_array");
	find_field(btf);
	values_ = cpu_values(info_);
	buffer_.resize(values_.bytes());
	before_ = printed_ = read();
}

void LostCounter::find_field(const std::string &btf_path)
{
	std::string what = "find the field 'lost' of map " + quote(path_);
	__u32 id = info_.btf_value_type_id;
	Btf btf;

	if (!btf_path.empty()) {
		btf = load_btf_file(btf_path);
		id = defined_types(btf.get(), info_).value;
	} else if (id) {
		btf = load_btf_id(info_.btf_id, ", or --btf");
	}
	if (!id) {
		if (info_.value_size != 4 && info_.value_size != 8)
			fail(what, btf ? quote(btf_path) + " has no types for a map of this name"
				       : "the map has no BTF: try --btf");
		field_.size = info_.value_size;
		return;
	}
	Type type = read_type(btf.get(), id);
	field_ = type;
	for (const Type::Member &m : type.members) {
		if (m.name != "lost")
			continue;
		field_ = m.type;
		offset_ = m.offset;
	}
	if (field_.kind != Type::Kind::Unsigned || offset_ + field_.size > info_.value_size)
		fail(what, "there is no such field, or it is not an unsigned integer");
}

__u64 LostCounter::read()
{
	__u64 sum = 0;

	for (__u32 key = 0; key < info_.max_entries; key++) {
		if (bpf_map_lookup_elem(map_.get(), &key, buffer_.data()))
			fail(errno, "read map " + quote(path_));
		sum += sum_integer(values_, field_, buffer_.data() + offset_);
	}
	return sum;
}

void LostCounter::print_before() const
{
	if (before_)
		tell(std::to_string(before_) + " events were lost before");
}

void LostCounter::print_new()
{
	__u64 now = read();

	if (now != printed_)
		tell(std::to_string(now - printed_) + " events lost");
	printed_ = now;
}

__u64 LostCounter::since_start()
{
	return read() - before_;
}
