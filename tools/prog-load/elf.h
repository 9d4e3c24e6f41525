// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// The object file that clang -target bpf -c has written: its programs, and a copy of one
// under another section name, as libbpf loads no program from .text.
#pragma once

#include <gelf.h>
#include <linux/types.h>

#include <memory>
#include <string>
#include <vector>

struct btf;

// A global function, as each program is.
struct Function {
	std::string name;
	std::string section; // without the '?' by which libbpf does not load it by default
	size_t section_index;
	GElf_Sym symbol;

	bool in_text() const
	{
		return section == ".text";
	}
};

struct FreeElf {
	void operator()(Elf *elf) const
	{
		elf_end(elf);
	}
};

// An object file in memory. All members fail where it is damaged, and say so.
class ObjectFile
{
public:
	explicit ObjectFile(const std::string &path);

	// The whole file, for libbpf.
	const std::string &data() const
	{
		return data_;
	}

	bool has_section(const std::string &name) const
	{
		return find_section(name) != 0;
	}

	std::vector<Function> functions() const;

	// Fail where its BTF would lead libbpf astray.
	void check_btf() const;

	// Copy the section of `function`, with its code, relocations and debug information, to
	// a new section called `name`, in which this function is the only program. All that
	// was there before stays: libbpf looks for subprograms in .text.
	void clone_section(const Function &function, const std::string &name);

private:
	struct Section {
		GElf_Shdr header;
		std::string bytes; // none where the file has none of it: .bss
	};

	[[noreturn]] void damaged() const;
	void open_data();
	std::string text_at(size_t table, size_t offset) const;
	std::string section_name(Elf_Scn *section) const;
	size_t find_section(const std::string &name) const;
	bool is_program(const GElf_Sym &symbol) const;
	GElf_Shdr header_of(Elf_Scn *section) const;
	std::vector<Section> read_sections() const;
	void clone_debug_info(std::vector<Section> &sections, const std::string &from,
			      const std::string &to) const;
	std::string clone_records(const struct btf *btf, const std::string &info,
				  const std::string &from, __u32 to) const;
	void write(std::vector<Section> &sections);

	std::string what_;
	std::string data_;
	std::unique_ptr<Elf, FreeElf> elf_; // reads data_
	size_t names_ = 0;		    // the section that holds the names of sections
};
