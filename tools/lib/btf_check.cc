// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "btf_check.h"

#include <fcntl.h>
#include <gelf.h>

#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "fd.h"

// How deep types are nested, at most, without a pointer in between. The kernel allows 32.
constexpr int max_depth = 64;

namespace
{

class BtfCheck
{
public:
	explicit BtfCheck(const struct btf *btf)
	    : btf_(btf), count_(btf__type_cnt(btf)), ends_(count_)
	{
	}

	bool is_sound()
	{
		for (__u32 id = 1; id < count_; id++)
			if (!has_names(*type(id)) || !has_types(*type(id)))
				return false;
		for (__u32 id = 1; id < count_; id++)
			if (!ends(id, 0))
				return false;
		return true;
	}

private:
	const struct btf_type *type(__u32 id) const
	{
		return btf__type_by_id(btf_, id);
	}
	bool is_name(__u32 offset) const
	{
		return btf__name_by_offset(btf_, offset);
	}
	bool is_type(__u32 id) const // 0 is void
	{
		return id < count_;
	}

	template <class T> static std::span<const T> list(const T *first, const struct btf_type &t)
	{
		return {first, btf_vlen(&t)};
	}
	static auto members(const struct btf_type &t)
	{
		return list(btf_members(&t), t);
	}
	static auto params(const struct btf_type &t)
	{
		return list(btf_params(&t), t);
	}

	bool has_names(const struct btf_type &t) const
	{
		bool good = is_name(t.name_off);

		if (btf_is_composite(&t))
			for (const struct btf_member &m : members(t))
				good = good && is_name(m.name_off);
		if (btf_is_enum(&t))
			for (const struct btf_enum &e : list(btf_enum(&t), t))
				good = good && is_name(e.name_off);
		if (btf_is_enum64(&t))
			for (const struct btf_enum64 &e : list(btf_enum64(&t), t))
				good = good && is_name(e.name_off);
		if (btf_is_func_proto(&t))
			for (const struct btf_param &p : params(t))
				good = good && is_name(p.name_off);
		return good;
	}

	bool has_types(const struct btf_type &t) const
	{
		bool good = true;

		switch (btf_kind(&t)) {
		case BTF_KIND_FUNC:
			return t.type && is_type(t.type) && btf_is_func_proto(type(t.type));
		case BTF_KIND_PTR:
		case BTF_KIND_TYPEDEF:
		case BTF_KIND_VOLATILE:
		case BTF_KIND_CONST:
		case BTF_KIND_RESTRICT:
		case BTF_KIND_VAR:
		case BTF_KIND_DECL_TAG:
		case BTF_KIND_TYPE_TAG:
			return is_type(t.type);
		case BTF_KIND_ARRAY:
			return is_type(btf_array(&t)->type) && is_type(btf_array(&t)->index_type);
		case BTF_KIND_STRUCT:
		case BTF_KIND_UNION:
			for (const struct btf_member &m : members(t))
				good = good && is_type(m.type);
			return good;
		case BTF_KIND_FUNC_PROTO:
			for (const struct btf_param &p : params(t))
				good = good && is_type(p.type);
			return good && is_type(t.type);
		case BTF_KIND_DATASEC:
			for (const struct btf_var_secinfo &v : list(btf_var_secinfos(&t), t))
				good = good && v.type && is_type(v.type);
			return good;
		}
		return true;
	}

	// Do the types that it contains come to an end? One that contains itself does not.
	bool ends(__u32 id, int depth)
	{
		if (!id || ends_[id])
			return true;
		if (depth > max_depth)
			return false;
		const struct btf_type &t = *type(id);
		bool good = true;
		if (btf_is_mod(&t) || btf_is_typedef(&t) || btf_is_var(&t))
			good = ends(t.type, depth + 1);
		else if (btf_is_array(&t))
			good = ends(btf_array(&t)->type, depth + 1);
		else if (btf_is_composite(&t))
			for (const struct btf_member &m : members(t))
				good = good && ends(m.type, depth + 1);
		ends_[id] = good;
		return good;
	}

	const struct btf *btf_;
	__u32 count_;
	std::vector<bool> ends_;
};

} // namespace

bool is_sound(const struct btf *btf)
{
	return BtfCheck(btf).is_sound();
}

bool has_empty_btf(const std::string &path)
{
	auto end = [](Elf *elf) { elf_end(elf); };
	Fd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
	size_t names;

	elf_version(EV_CURRENT);
	std::unique_ptr<Elf, decltype(end)> elf(elf_begin(file.get(), ELF_C_READ, nullptr));
	if (!elf || elf_kind(elf.get()) != ELF_K_ELF || elf_getshdrstrndx(elf.get(), &names))
		return false; // libbpf says what is wrong
	for (Elf_Scn *each = nullptr; (each = elf_nextscn(elf.get(), each));) {
		GElf_Shdr header;
		const char *name = nullptr;

		if (gelf_getshdr(each, &header))
			name = elf_strptr(elf.get(), names, header.sh_name);
		if (name && std::string_view(name) == ".BTF" && header.sh_type == SHT_NOBITS)
			return true;
	}
	return false;
}
