// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "elf.h"

#include <bpf/btf.h>
#include <fcntl.h>
#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "../lib/btf_check.h"
#include "../lib/cli.h"
#include "../lib/fd.h"
#include "../lib/type.h"

static constexpr unsigned char host_order =
	__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? ELFDATA2LSB : ELFDATA2MSB;

static std::string read_all(const Fd &file, const std::string &what)
{
	std::string data;
	char buffer[65536];
	ssize_t length;

	while ((length = read(file.get(), buffer, sizeof(buffer))) > 0)
		data.append(buffer, length);
	if (length < 0)
		fail(errno, what);
	return data;
}

ObjectFile::ObjectFile(const std::string &path) : what_("read object " + quote(path))
{
	Fd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));

	if (!file)
		fail(errno, what_);
	data_ = read_all(file, what_);
	if (!data_.starts_with(ELFMAG) || data_.size() < EI_NIDENT)
		fail(what_, "not an object file");
	if (data_[EI_CLASS] != ELFCLASS64 || data_[EI_DATA] != host_order)
		fail(what_, "not a BPF object for this machine: build it with clang "
			    "-target bpf -c");
	open_data();
}

void ObjectFile::damaged() const
{
	fail(what_, "truncated or damaged");
}

void ObjectFile::check_btf() const
{
	size_t index = find_section(".BTF");

	if (!index)
		return;
	Elf_Data *data = elf_rawdata(elf_getscn(elf_.get(), index), nullptr);
	if (!data)
		damaged();
	// One without bytes, as .bss is, has a size all the same.
	Btf btf(data->d_buf ? btf__new(data->d_buf, data->d_size) : nullptr);
	if (!btf || !is_sound(btf.get()))
		fail(what_, "its BTF is damaged");
}

void ObjectFile::open_data()
{
	GElf_Ehdr header;
	size_t sections;

	elf_version(EV_CURRENT);
	elf_.reset(elf_memory(data_.data(), data_.size()));
	if (!gelf_getehdr(elf_.get(), &header))
		damaged();
	if (header.e_type != ET_REL || header.e_machine != EM_BPF)
		fail(what_, "not a BPF object: build it with clang -target bpf -c");
	// Where the file ends before its section headers, libelf finds none.
	if (elf_getshdrnum(elf_.get(), &sections) || sections < header.e_shnum ||
	    elf_getshdrstrndx(elf_.get(), &names_))
		damaged();
}

std::string ObjectFile::text_at(size_t table, size_t offset) const
{
	const char *text = elf_strptr(elf_.get(), table, offset);

	if (!text)
		damaged();
	return text;
}

GElf_Shdr ObjectFile::header_of(Elf_Scn *section) const
{
	GElf_Shdr header;

	if (!gelf_getshdr(section, &header))
		damaged();
	return header;
}

std::string ObjectFile::section_name(Elf_Scn *section) const
{
	return text_at(names_, header_of(section).sh_name);
}

// Its index; 0 where there is none.
size_t ObjectFile::find_section(const std::string &name) const
{
	for (Elf_Scn *each = nullptr; (each = elf_nextscn(elf_.get(), each));)
		if (section_name(each) == name)
			return elf_ndxscn(each);
	return 0;
}

bool ObjectFile::is_program(const GElf_Sym &symbol) const
{
	if (GELF_ST_TYPE(symbol.st_info) != STT_FUNC || GELF_ST_BIND(symbol.st_info) == STB_LOCAL ||
	    symbol.st_shndx == SHN_UNDEF)
		return false;
	Elf_Scn *section = elf_getscn(elf_.get(), symbol.st_shndx);
	if (!section)
		return false;
	GElf_Shdr header = header_of(section);
	return header.sh_type == SHT_PROGBITS && header.sh_flags & SHF_EXECINSTR;
}

std::vector<Function> ObjectFile::functions() const
{
	std::vector<Function> found;

	for (Elf_Scn *table = nullptr; (table = elf_nextscn(elf_.get(), table));) {
		GElf_Shdr header = header_of(table);
		GElf_Sym symbol;

		if (header.sh_type != SHT_SYMTAB)
			continue;
		Elf_Data *symbols = elf_getdata(table, nullptr);
		if (!symbols)
			damaged();
		for (int i = 0; gelf_getsym(symbols, i, &symbol); i++) {
			if (!is_program(symbol))
				continue;
			std::string section = section_name(elf_getscn(elf_.get(), symbol.st_shndx));
			section.erase(0, section.starts_with('?'));
			found.push_back({text_at(header.sh_link, symbol.st_name), section,
					 symbol.st_shndx, symbol});
		}
	}
	return found;
}

std::vector<ObjectFile::Section> ObjectFile::read_sections() const
{
	std::vector<Section> sections(1); // none has the index 0

	for (Elf_Scn *each = nullptr; (each = elf_nextscn(elf_.get(), each));) {
		Section section = {header_of(each), {}};
		Elf_Data *data = elf_rawdata(each, nullptr);

		// The file is padded to the alignment: it must not become one of gigabytes.
		if (!data || section.header.sh_addralign > 4096)
			damaged();
		if (data->d_buf)
			section.bytes.assign(static_cast<char *>(data->d_buf), data->d_size);
		sections.push_back(std::move(section));
	}
	return sections;
}

void ObjectFile::clone_section(const Function &function, const std::string &name)
{
	std::vector<Section> sections = read_sections();
	size_t from = function.section_index;
	size_t to = sections.size();
	GElf_Sym symbol = function.symbol;

	sections.push_back(sections[from]);
	sections[to].header.sh_name = sections[names_].bytes.size();
	sections[names_].bytes += name + '\0';
	for (size_t i = 1; i < to; i++) {
		if (sections[i].header.sh_type != SHT_REL || sections[i].header.sh_info != from)
			continue;
		sections.push_back(sections[i]);
		sections.back().header.sh_info = to;
	}
	if (sections.size() >= SHN_LORESERVE)
		fail(what_, "it has too many sections");
	symbol.st_shndx = to;
	for (Section &table : sections)
		if (table.header.sh_type == SHT_SYMTAB)
			table.bytes.append(reinterpret_cast<const char *>(&symbol), sizeof(symbol));
	clone_debug_info(sections, section_name(elf_getscn(elf_.get(), from)), name);
	write(sections);
}

static __u32 get(const std::string &bytes, size_t offset)
{
	__u32 value;

	memcpy(&value, bytes.data() + offset, sizeof(value));
	return value;
}

static void put(std::string &bytes, size_t offset, __u32 value)
{
	memcpy(bytes.data() + offset, &value, sizeof(value));
}

// .BTF.ext names the section of its functions, lines and CO-RE relocations. Its header:
// __u16 magic, __u8 version, __u8 flags, __u32 length of the header; then, for each of the
// three, __u32 offset from the header's end, __u32 length.
void ObjectFile::clone_debug_info(std::vector<Section> &sections, const std::string &from,
				  const std::string &to) const
{
	size_t btf_index = find_section(".BTF");
	size_t ext_index = find_section(".BTF.ext");

	if (!btf_index || !ext_index)
		return;
	std::string &types = sections[btf_index].bytes;
	Btf btf(btf__new(types.data(), types.size()));
	if (!btf)
		fail(what_, "its BTF is damaged");
	int name = btf__add_str(btf.get(), to.c_str());
	__u32 size;
	const void *raw = btf__raw_data(btf.get(), &size);
	if (name < 0 || !raw)
		fail(ENOMEM, what_);
	types.assign(static_cast<const char *>(raw), size);

	std::string &ext = sections[ext_index].bytes;
	if (ext.size() < 8 || get(ext, 4) > ext.size())
		damaged();
	size_t header = get(ext, 4);
	std::string copy = ext.substr(0, header);
	for (size_t field = 8; field + 8 <= std::min(header, size_t{32}); field += 8) {
		size_t offset = header + get(ext, field);
		size_t length = get(ext, field + 4);

		if (offset > ext.size() || ext.size() - offset < length)
			damaged();
		std::string info = ext.substr(offset, length);
		info += clone_records(btf.get(), info, from, name);
		put(copy, field, copy.size() - header);
		put(copy, field + 4, info.size());
		copy += info;
	}
	ext = copy;
}

// The records of section `from` once more, for the section whose name is at offset `to`.
// `info` is __u32 size of a record; then for each section __u32 name, number of records,
// and these.
std::string ObjectFile::clone_records(const struct btf *btf, const std::string &info,
				      const std::string &from, __u32 to) const
{
	std::string records;

	for (size_t at = 4; at < info.size();) {
		if (info.size() - at < 8)
			damaged();
		size_t size = 8 + size_t{get(info, at + 4)} * get(info, 0);
		if (info.size() - at < size)
			damaged();
		if (name_of(btf, get(info, at)) == from) {
			size_t copy = records.size();

			records.append(info, at, size);
			put(records, copy, to);
		}
		at += size;
	}
	return records;
}

// Make these the sections of the file. libelf writes to a file only.
void ObjectFile::write(std::vector<Section> &sections)
{
	Fd file(memfd_create("object", MFD_CLOEXEC));
	std::unique_ptr<Elf, FreeElf> elf(elf_begin(file.get(), ELF_C_WRITE, nullptr));
	GElf_Ehdr header;

	if (!file)
		fail(errno, what_);
	gelf_getehdr(elf_.get(), &header);
	header.e_phnum = 0; // nobody executes it
	if (!gelf_newehdr(elf.get(), ELFCLASS64) || !gelf_update_ehdr(elf.get(), &header))
		damaged();
	for (size_t i = 1; i < sections.size(); i++) {
		Elf_Scn *section = elf_newscn(elf.get());
		Elf_Data *data = elf_newdata(section);

		if (!data || !gelf_update_shdr(section, &sections[i].header))
			damaged();
		bool in_file = sections[i].header.sh_type != SHT_NOBITS;
		data->d_buf = in_file ? sections[i].bytes.data() : nullptr;
		data->d_size = in_file ? sections[i].bytes.size() : sections[i].header.sh_size;
		data->d_align = std::max(sections[i].header.sh_addralign, GElf_Xword{1});
	}
	if (elf_update(elf.get(), ELF_C_WRITE) < 0)
		damaged();
	data_ = read_all(file, what_);
	open_data();
}
