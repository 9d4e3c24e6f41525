// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// prog-load: load one program of an object file, be it in .text, with its
// variables set and with maps that are pinned already, and pin it.

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <elf.h>
#include <fcntl.h>
#include <getopt.h>
#include <linux/bpf.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/cli.h"
#include "lib/fd.h"
#include "lib/object.h"
#include "lib/pin.h"
#include "lib/value.h"

struct FreeObject {
	void operator()(struct bpf_object *object) const
	{
		bpf_object__close(object);
	}
};
using Object = std::unique_ptr<struct bpf_object, FreeObject>;

struct Setting {
	std::string variable; // or a part of one: name[2].member
	std::string value;
};

struct Options {
	CommonOptions common;
	std::string type;    // a section name that libbpf knows; empty: that of its section
	std::string section; // empty: any
	std::string program; // empty: the only one
	std::string maps;    // empty: no map is shared
	std::vector<Setting> settings;
	Access access;
	bool replace = false;
	std::string object;
	std::string pin;
};

static void usage()
{
	fputs("Usage: prog-load [OPTIONS] OBJ PIN\n"
	      "Load one program of the object file OBJ, and pin it at PIN. One that has no\n"
	      "section of its own, and so is in .text, is of type xdp unless --type says other.\n"
	      "\n"
	      "  -t, --type=TYPE           load it as if it were SEC(\"TYPE\"): xdp, tc, ...\n"
	      "  -s, --section=SECTION     the program in this section\n"
	      "  -P, --program=NAME        the program of this name\n"
	      "  -D, --set=VAR=VALUE       set a global variable before loading; VAR[N] and\n"
	      "                            VAR.MEMBER are a part of one; can be repeated\n"
	      "  -M, --maps=DIR            use the maps that are pinned in DIR by their names,\n"
	      "                            where they are the same; pin the others there\n"
	      "  -m, --mode=MODE           mode of what is pinned, octal (default: 0600)\n"
	      "  -o, --owner=USER[:GROUP]  owner of what is pinned (default: who runs this)\n"
	      "  -r, --replace             replace the program pinned at PIN, atomically\n"
	      "  -v, --verbose             say what was done, and all that the verifier says;\n"
	      "                            let libbpf speak\n"
	      "  -h, --help                print this and exit\n"
	      "  -V, --version             print the version and exit\n",
	      stdout);
}

static Setting parse_setting(const std::string &text)
{
	size_t equals = text.find('=');

	if (equals == std::string::npos || equals == 0)
		throw UsageError("--set " + quote(text) + " is not VAR=VALUE");
	return {text.substr(0, equals), text.substr(equals + 1)};
}

// A section name that libbpf knows the type of.
static std::string parse_type(const std::string &text)
{
	enum bpf_attach_type attach_type;
	enum bpf_prog_type type;

	if (libbpf_prog_type_by_name(require_nonempty(text, "--type").c_str(), &type, &attach_type))
		throw UsageError("TYPE " + quote(text) + " is none that libbpf knows");
	return text;
}

// Returns false where --help or --version has been answered.
static bool parse(int argc, char **argv, Options &o)
{
	static const struct option options[] = {
		{"type", required_argument, nullptr, 't'},
		{"section", required_argument, nullptr, 's'},
		{"program", required_argument, nullptr, 'P'},
		{"set", required_argument, nullptr, 'D'},
		{"maps", required_argument, nullptr, 'M'},
		{"mode", required_argument, nullptr, 'm'},
		{"owner", required_argument, nullptr, 'o'},
		{"replace", no_argument, nullptr, 'r'},
		{"verbose", no_argument, nullptr, 'v'},
		{"help", no_argument, nullptr, 'h'},
		{"version", no_argument, nullptr, 'V'},
		{},
	};
	int c;

	while ((c = getopt_long(argc, argv, "t:s:P:D:M:m:o:rvhV", options, nullptr)) != -1) {
		switch (c) {
		case 't':
			o.type = parse_type(optarg);
			break;
		case 's':
			o.section = require_nonempty(optarg, "--section");
			break;
		case 'P':
			o.program = require_nonempty(optarg, "--program");
			break;
		case 'D':
			o.settings.push_back(parse_setting(optarg));
			break;
		case 'M':
			o.maps = require_nonempty(optarg, "--maps");
			break;
		case 'm':
			o.access.mode = parse_mode(optarg);
			break;
		case 'o':
			parse_owner(optarg, o.access);
			break;
		case 'r':
			o.replace = true;
			break;
		default:
			if (!take_common_option(c, o.common, usage))
				return false;
		}
	}
	if (argc - optind < 2)
		throw UsageError(argc == optind ? "OBJ and PIN are missing" : "PIN is missing");
	if (argc - optind > 2)
		throw UsageError("too many arguments: " + quote(argv[optind + 2]));
	o.object = argv[optind];
	o.pin = argv[optind + 1];
	while (o.maps.size() > 1 && o.maps.back() == '/')
		o.maps.pop_back();
	return true;
}

// A function that is visible outside of its file, as a program must be.
struct Function {
	std::string name;
	std::string section;
	size_t section_index;
	Elf64_Sym symbol;

	bool in_text() const
	{
		return section == ".text";
	}
};

// An object file in memory.
class Elf
{
public:
	explicit Elf(const std::string &path) : what_("read object " + quote(path))
	{
		read(path);
		if (data_.size() < EI_NIDENT || memcmp(data_.data(), ELFMAG, SELFMAG) != 0)
			fail(what_, "not an object file");
		if (data_[EI_CLASS] != ELFCLASS64 || data_[EI_DATA] != host_order)
			fail(what_, "not for BPF on this machine: build it with clang -target bpf");
		header_ = get<Elf64_Ehdr>(data_, 0);
		if (header_.e_type != ET_REL || header_.e_machine != EM_BPF)
			fail(what_, "not for BPF: build it with clang -target bpf -c");
		if (header_.e_shentsize != sizeof(Elf64_Shdr))
			damaged();
		for (size_t i = 0; i < header_.e_shnum; i++)
			sections_.push_back(
				get<Elf64_Shdr>(data_, header_.e_shoff + i * sizeof(Elf64_Shdr)));
		if (header_.e_shstrndx >= sections_.size())
			damaged();
	}

	const std::string &data() const
	{
		return data_;
	}

	bool has_section(const std::string &name) const
	{
		return find_section(name) < sections_.size();
	}

	std::vector<Function> functions() const
	{
		std::vector<Function> found;

		for (const Elf64_Shdr &table : sections_) {
			if (table.sh_type != SHT_SYMTAB)
				continue;
			if (table.sh_link >= sections_.size())
				damaged();
			std::string symbols = contents(table);
			std::string names = contents(sections_[table.sh_link]);
			for (size_t at = 0; at < symbols.size(); at += sizeof(Elf64_Sym)) {
				auto symbol = get<Elf64_Sym>(symbols, at);

				if (!is_program(symbol))
					continue;
				std::string section = section_name(symbol.st_shndx);
				section.erase(0, section.starts_with('?')); // libbpf's mark
				found.push_back({text_at(names, symbol.st_name), section,
						 symbol.st_shndx, symbol});
			}
		}
		return found;
	}

	// Make the function a program of a section with this name too. That has the same
	// code, relocations and debug information as the section where it is: libbpf takes
	// no program out of .text, but looks for subprograms there. The file ends up with
	// both, and what was there is where it was.
	void add_program(const Function &function, const std::string &section)
	{
		size_t from = function.section_index;
		size_t to = sections_.size();
		size_t count = sections_.size();

		sections_.push_back(sections_[from]);
		sections_[to].sh_name = add_name(section);
		for (size_t i = 0; i < count; i++) {
			if (sections_[i].sh_type != SHT_REL || sections_[i].sh_info != from)
				continue;
			sections_.push_back(sections_[i]);
			sections_.back().sh_info = to;
		}
		if (sections_.size() >= SHN_LORESERVE)
			fail(what_, "it has too many sections");
		add_symbol(function.symbol, to);
		add_debug_info(section_name(from), section);
		write_header();
	}

private:
	static constexpr char host_order =
		__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? ELFDATA2LSB : ELFDATA2MSB;

	[[noreturn]] void damaged() const
	{
		fail(what_, "truncated or damaged");
	}

	void read(const std::string &path)
	{
		Fd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
		char buffer[65536];
		ssize_t length;

		if (!file)
			fail(errno, what_);
		while ((length = ::read(file.get(), buffer, sizeof(buffer))) > 0)
			data_.append(buffer, length);
		if (length < 0)
			fail(errno, what_);
	}

	// What lies at this offset, which need not be aligned.
	template <typename T> T get(const std::string &bytes, size_t offset) const
	{
		T value;

		if (offset > bytes.size() || bytes.size() - offset < sizeof(T))
			damaged();
		memcpy(&value, bytes.data() + offset, sizeof(T));
		return value;
	}

	template <typename T> static void put(std::string &bytes, size_t offset, const T &value)
	{
		memcpy(bytes.data() + offset, &value, sizeof(T));
	}

	std::string contents(const Elf64_Shdr &section) const
	{
		if (section.sh_offset > data_.size() ||
		    data_.size() - section.sh_offset < section.sh_size)
			damaged();
		return data_.substr(section.sh_offset, section.sh_size);
	}

	void set_contents(Elf64_Shdr &section, const std::string &bytes)
	{
		data_.resize((data_.size() + 7) / 8 * 8);
		section.sh_offset = data_.size();
		section.sh_size = bytes.size();
		data_ += bytes;
	}

	std::string text_at(const std::string &strings, size_t offset) const
	{
		if (offset >= strings.size() || strings.back() != '\0')
			damaged();
		return strings.c_str() + offset;
	}

	std::string section_name(size_t index) const
	{
		return text_at(contents(sections_[header_.e_shstrndx]), sections_[index].sh_name);
	}

	size_t find_section(const std::string &name) const
	{
		size_t i = 0;

		while (i < sections_.size() && section_name(i) != name)
			i++;
		return i;
	}

	bool is_program(const Elf64_Sym &symbol) const
	{
		return ELF64_ST_TYPE(symbol.st_info) == STT_FUNC &&
		       ELF64_ST_BIND(symbol.st_info) != STB_LOCAL &&
		       symbol.st_shndx < sections_.size() &&
		       sections_[symbol.st_shndx].sh_type == SHT_PROGBITS &&
		       sections_[symbol.st_shndx].sh_flags & SHF_EXECINSTR;
	}

	size_t add_name(const std::string &name)
	{
		std::string names = contents(sections_[header_.e_shstrndx]);
		size_t offset = names.size();

		set_contents(sections_[header_.e_shstrndx], names + name + '\0');
		return offset;
	}

	void add_symbol(Elf64_Sym symbol, size_t section)
	{
		symbol.st_shndx = section;
		for (Elf64_Shdr &table : sections_) {
			if (table.sh_type != SHT_SYMTAB)
				continue;
			std::string symbols = contents(table);
			symbols.append(reinterpret_cast<const char *>(&symbol), sizeof(symbol));
			set_contents(table, symbols);
		}
	}

	// .BTF.ext says by the name of a section where its functions, lines and CO-RE
	// relocations are.
	void add_debug_info(const std::string &from, const std::string &to)
	{
		size_t btf_index = find_section(".BTF");
		size_t ext_index = find_section(".BTF.ext");

		if (btf_index == sections_.size() || ext_index == sections_.size())
			return;
		std::string types = contents(sections_[btf_index]);
		Btf btf(btf__new(types.data(), types.size()));
		if (!btf)
			fail(what_, "its BTF is damaged");
		int name = btf__add_str(btf.get(), to.c_str());
		__u32 size;
		const void *raw = btf__raw_data(btf.get(), &size);
		if (name < 0 || !raw)
			fail(ENOMEM, what_);
		set_contents(sections_[btf_index], {static_cast<const char *>(raw), size});

		// Its header: __u16 magic, __u8 version and flags, __u32 length; then
		// __u32 offset and length of each of the three.
		std::string old = contents(sections_[ext_index]);
		size_t header = get<__u32>(old, 4);
		std::string ext = old.substr(0, header);
		for (size_t field = 8; field + 8 <= header && field < 32; field += 8) {
			size_t offset = header + get<__u32>(old, field);
			size_t length = get<__u32>(old, field + 4);
			if (offset > old.size() || old.size() - offset < length)
				damaged();
			std::string info = old.substr(offset, length);

			info += copied_info(btf.get(), info, from, name);
			put<__u32>(ext, field, ext.size() - header);
			put<__u32>(ext, field + 4, info.size());
			ext += info;
		}
		set_contents(sections_[ext_index], ext);
	}

	// The records of section `from` once more, under the name at offset `to`.
	// __u32 size of a record; then for each section __u32 name, number; records.
	std::string copied_info(const struct btf *btf, const std::string &info,
				const std::string &from, __u32 to) const
	{
		std::string copies;

		for (size_t at = 4; at < info.size();) {
			const char *name = btf__name_by_offset(btf, get<__u32>(info, at));
			size_t size = 8 + size_t{get<__u32>(info, at + 4)} * get<__u32>(info, 0);

			if (info.size() - at < size)
				damaged();
			if (name && name == from) {
				std::string copy = info.substr(at, size);
				put(copy, 0, to);
				copies += copy;
			}
			at += size;
		}
		return copies;
	}

	void write_header()
	{
		Elf64_Shdr table;

		set_contents(table, {reinterpret_cast<const char *>(sections_.data()),
				     sections_.size() * sizeof(Elf64_Shdr)});
		header_.e_shoff = table.sh_offset;
		header_.e_shnum = sections_.size();
		put(data_, 0, header_);
	}

	std::string what_;
	std::string data_;
	Elf64_Ehdr header_;
	std::vector<Elf64_Shdr> sections_;
};

// 'a' in section 'xdp', 'b' in ...
static std::string list(const std::vector<Function> &functions)
{
	std::string text;

	for (const Function &f : functions)
		text += (text.empty() ? "" : ", ") + quote(f.name) + " in section " +
			quote(f.section);
	return text;
}

// The function to be loaded. In .text are subprograms of others, mostly: it counts
// where it is asked for, or where there is nothing else.
static Function choose(const Elf &elf, const Options &o)
{
	std::string what = "load from " + quote(o.object);
	std::vector<Function> all = elf.functions();
	std::vector<Function> fit;
	bool only_text =
		std::all_of(all.begin(), all.end(), [](const Function &f) { return f.in_text(); });

	for (const Function &f : all)
		if ((o.section.empty() || f.section == o.section) &&
		    (o.program.empty() || f.name == o.program) &&
		    (!f.in_text() || only_text || !o.section.empty() || !o.program.empty()))
			fit.push_back(f);
	if (all.empty())
		fail(what, elf.has_section(".symtab")
				   ? "there is no program in it: no function that is not static"
				   : "it has no symbols: llvm-strip -g leaves them");
	if (fit.empty())
		fail(what, "there is no such program; there is " + list(all));
	if (fit.size() > 1)
		fail(what, "several programs: give --program or --section: " + list(fit));
	return fit[0];
}

// What libbpf warns of, since the last failure is explained by it.
static std::vector<std::string> warnings;
static bool speak;

static int listen(enum libbpf_print_level level, const char *format, va_list args)
{
	char line[1024];
	va_list copy;

	va_copy(copy, args);
	vsnprintf(line, sizeof(line), format, copy);
	va_end(copy);
	if (level == LIBBPF_WARN)
		warnings.emplace_back(line);
	return speak ? vfprintf(stderr, format, args) : 0;
}

// What libbpf has said last, without its end of line, and but for those of its words that
// only say once more that it has failed. Empty: nothing else.
static std::string libbpf_said()
{
	static constexpr std::string_view only_failed[] = {
		"failed to load object", "': failed to load: ",
		"': failed to prepare load attributes: ", "': BPF program load failed: "};

	for (auto warning = warnings.rbegin(); warning != warnings.rend(); ++warning)
		if (std::none_of(std::begin(only_failed), std::end(only_failed), [&](auto text) {
			    return warning->find(text) != std::string::npos;
		    }))
			return warning->substr(0, warning->find('\n'));
	return {};
}

static Object open_object(const Elf &elf, const Options &o)
{
	std::string what = "read object " + quote(o.object);
	std::string name = o.object.substr(o.object.find_last_of('/') + 1);
	LIBBPF_OPTS(bpf_object_open_opts, opts);

	if (elf.has_section("maps"))
		fail(what, "its maps are SEC(\"maps\"), which libbpf 1.0 and later do not load: "
			   "define them in SEC(\".maps\")");
	if (elf.has_section(".maps") && !elf.has_section(".BTF"))
		fail(what, "it has no BTF, which its maps need: build it with -g");
	// As libbpf calls what it opens by its path.
	name.erase(std::min(name.find('.'), name.size()));
	opts.object_name = name.c_str();
	struct bpf_object *object =
		bpf_object__open_mem(elf.data().data(), elf.data().size(), &opts);
	if (std::string said = libbpf_said(); !object)
		fail(what, said.empty() ? "libbpf does not say why" : said);
	return Object(object);
}

// The program made of this function, and no other one, is to be loaded.
static struct bpf_program *select_program(struct bpf_object *object, const Function &function,
					  const std::string &section, const Options &o)
{
	std::string what = "load program " + quote(function.name) + " of " + quote(o.object);
	struct bpf_program *chosen = nullptr;
	struct bpf_program *program;
	bool tail_calls = false;
	struct bpf_map *map;

	// What a prog_array holds from the start must be loaded with it.
	bpf_object__for_each_map(map, object) tail_calls |=
		bpf_map__type(map) == BPF_MAP_TYPE_PROG_ARRAY;
	bpf_object__for_each_program(program, object)
	{
		bool same = bpf_program__name(program) == function.name &&
			    bpf_program__section_name(program) == section;

		bpf_program__set_autoload(program, same || tail_calls);
		if (same)
			chosen = program;
	}
	if (!chosen)
		fail(what, "libbpf does not find it");
	if (bpf_program__type(chosen) == BPF_PROG_TYPE_UNSPEC)
		fail(what,
		     "its section " + quote(section) + " names no program type: give it by --type");
	return chosen;
}

// A global variable, with the bytes that it will begin with.
struct Variable {
	std::string name;
	__u32 type; // its BTF id
	bool constant;
	std::span<unsigned char> bytes;
};

static std::vector<Variable> variables(struct bpf_object *object)
{
	const struct btf *btf = bpf_object__btf(object);
	std::vector<Variable> found;
	struct bpf_map *map;

	bpf_object__for_each_map(map, object)
	{
		const struct btf_type *section =
			btf ? btf__type_by_id(btf, bpf_map__btf_value_type_id(map)) : nullptr;
		size_t size = 0;
		auto *bytes = static_cast<unsigned char *>(
			const_cast<void *>(bpf_map__initial_value(map, &size)));

		if (!bpf_map__is_internal(map) || !section || !btf_is_datasec(section) || !bytes)
			continue;
		std::string name = btf__name_by_offset(btf, section->name_off);
		if (name == ".kconfig") // libbpf sets them
			continue;
		for (int i = 0; i < btf_vlen(section); i++) {
			const struct btf_var_secinfo &info = btf_var_secinfos(section)[i];
			const struct btf_type *var = btf__type_by_id(btf, info.type);

			if (size_t{info.offset} + info.size <= size)
				found.push_back({btf__name_by_offset(btf, var->name_off),
						 var->type,
						 name.starts_with(".rodata"),
						 {bytes + info.offset, info.size}});
		}
	}
	return found;
}

static bool is_volatile(const struct btf *btf, __u32 id)
{
	const struct btf_type *t = btf__type_by_id(btf, id);

	while (t && (btf_is_mod(t) || btf_is_typedef(t) || btf_is_array(t))) {
		if (btf_is_volatile(t))
			return true;
		t = btf__type_by_id(btf, btf_is_array(t) ? btf_array(t)->type : t->type);
	}
	return false;
}

// The member of a struct or union, also of one without a name in it; `offset` grows by
// where it is.
static const Type::Member *find_member(const Type &type, const std::string &name, size_t &offset)
{
	for (const Type::Member &m : type.members) {
		size_t inner = offset + m.offset;
		const Type::Member *found = m.name == name ? &m : nullptr;

		if (type.kind == Type::Kind::Array)
			return nullptr;
		if (!found && m.name.empty())
			found = find_member(m.type, name, inner);
		if (!found)
			continue;
		offset = inner;
		return found;
	}
	return nullptr;
}

// The type of the part that `path` names, "[2].member"; `bytes` become its own.
static Type part(Type type, std::string_view path, std::span<unsigned char> &bytes)
{
	while (!path.empty()) {
		size_t end = std::min(path.find_first_of(".[", 1), path.size());
		std::string step(path.substr(1, end - 1));
		size_t offset = 0;
		Type next;

		if (path[0] == '[') {
			if (type.kind != Type::Kind::Array || !step.ends_with(']'))
				throw ValueError(quote(path) + " names no element of an array");
			step.pop_back();
			if (step.empty() || step.size() > 9 ||
			    step.find_first_not_of("0123456789") != step.npos ||
			    std::stoul(step) >= type.count)
				throw ValueError(quote(step) + " is no index of its " +
						 std::to_string(type.count) + " elements");
			next = type.members[0].type;
			offset = std::stoul(step) * next.size;
		} else {
			const Type::Member *member =
				step.empty() ? nullptr : find_member(type, step, offset);
			if (!member)
				throw ValueError("it has no member " + quote(step));
			next = member->type;
		}
		type = std::move(next);
		bytes = bytes.subspan(offset, type.size);
		path.remove_prefix(end);
	}
	return type;
}

static void set_variable(struct bpf_object *object, const Setting &setting, const Options &o)
{
	std::string what = "set " + quote(setting.variable);
	size_t end = std::min(setting.variable.find_first_of(".["), setting.variable.size());
	const struct btf *btf = bpf_object__btf(object);
	std::vector<Variable> all = variables(object);
	std::string names;

	if (!btf)
		fail(what, quote(o.object) + " has no BTF: build it with -g");
	for (const Variable &v : all) {
		names += (names.empty() ? "" : ", ") + quote(v.name);
		if (v.name != setting.variable.substr(0, end))
			continue;
		std::span<unsigned char> bytes = v.bytes;
		try {
			Type type =
				part(read_type(btf, v.type), setting.variable.substr(end), bytes);
			parse(type, setting.value, bytes);
		} catch (const std::runtime_error &e) {
			fail(what, e.what());
		}
		if (v.constant && !is_volatile(btf, v.type))
			warn(what + ": it is const, but not volatile: the compiler may have used "
				    "its value already");
		return;
	}
	fail(what, "no such variable in " + quote(o.object) +
			   (all.empty() ? ", nor any other" : "; there is " + names));
}

// A map of the object that is to be shared by its pin.
struct Map {
	struct bpf_map *map;
	std::string path;
	Fd fd;
	bool reused;
};

// The typedef by which a type says its byte order, or nothing.
static std::string byte_order(const struct btf *btf, const struct btf_type *&t)
{
	std::string found;

	while (t && (btf_is_mod(t) || btf_is_typedef(t))) {
		std::string_view name = btf__name_by_offset(btf, t->name_off);

		if (btf_is_typedef(t) && (name.starts_with("__be") || name.starts_with("__le")))
			found = name;
		t = btf__type_by_id(btf, t->type);
	}
	return found;
}

static bool same_type(const struct btf *a, __u32 a_id, const struct btf *b, __u32 b_id,
		      std::string &where, int depth = 0);

static bool same_members(const struct btf *a, const struct btf_type *ta, const struct btf *b,
			 const struct btf_type *tb, std::string &where, int depth)
{
	if (ta->size != tb->size || btf_vlen(ta) != btf_vlen(tb))
		return false;
	for (int i = 0; i < btf_vlen(ta); i++) {
		const struct btf_member &ma = btf_members(ta)[i];
		const struct btf_member &mb = btf_members(tb)[i];
		std::string name = btf__name_by_offset(b, mb.name_off);
		std::string inner;

		if (btf__name_by_offset(a, ma.name_off) == name &&
		    btf_member_bit_offset(ta, i) == btf_member_bit_offset(tb, i) &&
		    btf_member_bitfield_size(ta, i) == btf_member_bitfield_size(tb, i) &&
		    same_type(a, ma.type, b, mb.type, inner, depth + 1))
			continue;
		where = name;
		if (!inner.empty())
			where += (name.empty() ? "" : ".") + inner;
		return false;
	}
	return true;
}

static bool same_enum(const struct btf *a, const struct btf_type *ta, const struct btf *b,
		      const struct btf_type *tb)
{
	if (ta->size != tb->size || btf_vlen(ta) != btf_vlen(tb))
		return false;
	for (int i = 0; i < btf_vlen(ta); i++) {
		bool wide = btf_is_enum64(ta);
		__u32 a_name = wide ? btf_enum64(ta)[i].name_off : btf_enum(ta)[i].name_off;
		__u32 b_name = wide ? btf_enum64(tb)[i].name_off : btf_enum(tb)[i].name_off;

		if (strcmp(btf__name_by_offset(a, a_name), btf__name_by_offset(b, b_name)) != 0)
			return false;
		if (wide ? btf_enum64_value(&btf_enum64(ta)[i]) !=
				    btf_enum64_value(&btf_enum64(tb)[i])
			 : btf_enum(ta)[i].val != btf_enum(tb)[i].val)
			return false;
	}
	return true;
}

// What a kernel does not know, libbpf gives it as something else of that size: an enum of
// 64 bits, before Linux 6.0, as a union of its names, floating point, before 5.13, as a
// struct of nothing.
static bool is_replaced(const struct btf *kernel, const struct btf_type *in_kernel,
			const struct btf *obj, const struct btf_type *in_obj)
{
	if (in_kernel->size != in_obj->size)
		return false;
	if (btf_is_float(in_obj))
		return btf_is_struct(in_kernel) && !btf_vlen(in_kernel);
	if (!btf_is_enum64(in_obj) || !btf_is_union(in_kernel) ||
	    btf_vlen(in_kernel) != btf_vlen(in_obj))
		return false;
	for (int i = 0; i < btf_vlen(in_obj); i++)
		if (strcmp(btf__name_by_offset(kernel, btf_members(in_kernel)[i].name_off),
			   btf__name_by_offset(obj, btf_enum64(in_obj)[i].name_off)) != 0)
			return false;
	return true;
}

// Whether two types are the same in their bytes, and in what they mean as far as BTF
// says it: names of structs and typedefs do not count, those of their members do.
// `where` becomes the member that differs.
static bool same_type(const struct btf *a, __u32 a_id, const struct btf *b, __u32 b_id,
		      std::string &where, int depth)
{
	const struct btf_type *ta = btf__type_by_id(a, a_id);
	const struct btf_type *tb = btf__type_by_id(b, b_id);

	if (byte_order(a, ta) != byte_order(b, tb) || depth > 32)
		return false;
	if (!ta || !tb)
		return ta == tb;
	if (btf_kind(ta) != btf_kind(tb))
		return is_replaced(a, ta, b, tb);
	switch (btf_kind(ta)) {
	case BTF_KIND_INT:
		return ta->size == tb->size && btf_int_bits(ta) == btf_int_bits(tb) &&
		       (btf_int_encoding(ta) & ~BTF_INT_CHAR) ==
			       (btf_int_encoding(tb) & ~BTF_INT_CHAR);
	case BTF_KIND_FLOAT:
		return ta->size == tb->size;
	case BTF_KIND_ENUM:
	case BTF_KIND_ENUM64:
		return same_enum(a, ta, b, tb);
	case BTF_KIND_STRUCT:
	case BTF_KIND_UNION:
		return same_members(a, ta, b, tb, where, depth);
	case BTF_KIND_ARRAY:
		return btf_array(ta)->nelems == btf_array(tb)->nelems &&
		       same_type(a, btf_array(ta)->type, b, btf_array(tb)->type, where, depth + 1);
	}
	return true; // a pointer, or nothing with bytes
}

// A type as C writes it: "struct ping_stats", "__u8[6]".
static std::string type_text(const struct btf *btf, __u32 id)
{
	const struct btf_type *t = btf__type_by_id(btf, id);

	while (t && btf_is_mod(t))
		t = btf__type_by_id(btf, t->type);
	if (!t)
		return "none";
	if (btf_is_array(t))
		return type_text(btf, btf_array(t)->type) + "[" +
		       std::to_string(btf_array(t)->nelems) + "]";
	return std::string(btf_is_struct(t)  ? "struct "
			   : btf_is_union(t) ? "union "
					     : "") +
	       btf__name_by_offset(btf, t->name_off);
}

// What differs between a pinned map and one of the object, in words.
class Differences
{
public:
	void number(const std::string &what, __u64 in_dir, __u64 in_obj)
	{
		if (in_dir != in_obj)
			add(what + " is " + std::to_string(in_dir) + " in DIR, " +
			    std::to_string(in_obj) + " in OBJ");
	}

	void text(const std::string &what, const std::string &in_dir, const std::string &in_obj)
	{
		if (in_dir != in_obj)
			add(what + " is " + in_dir + " in DIR, " + in_obj + " in OBJ");
	}

	// A map made without BTF has no types to compare.
	void type(const std::string &what, const struct btf *dir, __u32 dir_id,
		  const struct btf *obj, __u32 obj_id)
	{
		std::string where;

		if (!dir_id || !obj_id || same_type(dir, dir_id, obj, obj_id, where))
			return;
		std::string in_dir = type_text(dir, dir_id);
		std::string in_obj = type_text(obj, obj_id);
		if (!where.empty())
			add(what + " " + in_obj + " differs in " + quote(where));
		else if (in_dir == in_obj)
			add(what + " " + in_obj + " differs");
		else
			text(what, in_dir, in_obj);
	}

	const std::string &all() const
	{
		return all_;
	}

private:
	void add(const std::string &difference)
	{
		all_ += (all_.empty() ? "" : "; ") + difference;
	}

	std::string all_;
};

static std::string hex(__u64 value)
{
	char text[24];

	snprintf(text, sizeof(text), "0x%llx", static_cast<unsigned long long>(value));
	return text;
}

static std::string compare(struct bpf_object *object, const Map &map)
{
	const struct btf *btf = bpf_object__btf(object);
	struct bpf_map_info info = map_info(map.fd);
	enum bpf_map_type type = bpf_map__type(map.map);
	__u32 entries = bpf_map__max_entries(map.map);
	Differences differ;

	// What libbpf and the kernel add when they make such a map.
	if (type == BPF_MAP_TYPE_PERF_EVENT_ARRAY && !entries)
		entries = libbpf_num_possible_cpus();
	if (info.type == BPF_MAP_TYPE_DEVMAP || info.type == BPF_MAP_TYPE_DEVMAP_HASH)
		info.map_flags &= ~__u32{BPF_F_RDONLY_PROG};

	differ.text("type", map_type_name(info.type), map_type_name(type));
	differ.number("key size", info.key_size, bpf_map__key_size(map.map));
	differ.number("value size", info.value_size, bpf_map__value_size(map.map));
	differ.number("max_entries", info.max_entries, entries);
	differ.text("flags", hex(info.map_flags), hex(bpf_map__map_flags(map.map)));
	differ.number("map_extra", info.map_extra, bpf_map__map_extra(map.map));

	if (info.btf_id && btf) {
		Btf theirs(btf__load_from_kernel_by_id(info.btf_id));
		if (!theirs) {
			warn("compare the BTF of map " + quote(map.path) + ": " + strerror(errno) +
			     (errno == EPERM ? " (needs CAP_SYS_ADMIN)" : ""));
			return differ.all();
		}
		differ.type("key type", theirs.get(), info.btf_key_type_id, btf,
			    bpf_map__btf_key_type_id(map.map));
		differ.type("value type", theirs.get(), info.btf_value_type_id, btf,
			    bpf_map__btf_value_type_id(map.map));
	}
	return differ.all();
}

// Where the object's map is to be found, or pinned: in DIR, or where the object itself
// wants it (LIBBPF_PIN_BY_NAME); empty: nowhere. What libbpf makes of variables belongs
// to the one program.
static std::string map_path(const struct bpf_map *map, const Options &o)
{
	std::string name = bpf_map__name(map);

	if (bpf_map__is_internal(map))
		return {};
	if (o.maps.empty())
		return bpf_map__pin_path(map) ? bpf_map__pin_path(map) : "";
	std::replace(name.begin(), name.end(), '.', '_');
	return o.maps + "/" + name;
}

static std::vector<Map> reuse_maps(struct bpf_object *object, const Options &o)
{
	std::vector<Map> maps;
	struct bpf_map *each;

	bpf_object__for_each_map(each, object)
	{
		Map map = {each, map_path(each, o), {}, false};
		struct stat st;

		// Pinning is for pin_all(): all or none.
		if (bpf_map__set_pin_path(each, nullptr))
			fail(errno, "load " + quote(o.object));
		if (map.path.empty()) {
			if (bpf_map__type(each) == BPF_MAP_TYPE_PROG_ARRAY)
				warn("map " + quote(bpf_map__name(each)) + " of " +
				     quote(o.object) +
				     " is not pinned: the kernel empties "
				     "a prog_array that is in nobody's hand; --maps pins it");
			continue;
		}
		if (lstat(map.path.c_str(), &st) == 0) {
			std::string what = "reuse map " + quote(map.path);

			map.fd = open_pinned(ObjectKind::Map, map.path);
			map.reused = true;
			if (std::string text = compare(object, map); !text.empty())
				fail(what, text);
			if (int err = bpf_map__reuse_fd(each, map.fd.get()))
				fail(-err, what);
		}
		maps.push_back(std::move(map));
	}
	return maps;
}

// What the verifier says, line by line, but for its statistics.
static std::vector<std::string> verifier_lines(const char *log)
{
	std::vector<std::string> lines;
	std::string_view rest = log;

	while (!rest.empty()) {
		std::string_view line = rest.substr(0, rest.find('\n'));

		rest.remove_prefix(std::min(line.size() + 1, rest.size()));
		if (speak || !line.starts_with("processed "))
			lines.emplace_back(line);
	}
	return lines;
}

// The cause behind what the verifier says, for those that are met most.
static std::string why_rejected(std::string_view log)
{
	static constexpr std::pair<std::string_view, const char *> causes[] = {
		{"invalid func unknown#", "this kernel has no such helper"},
		{"unknown func ", "this kernel has no such helper for a program of this type"},
		{"program of this type cannot use helper",
		 "this kernel has no such helper for a program of this type"},
		{"cannot call GPL-restricted function from non-GPL compatible program",
		 "its license is not GPL-compatible"},
		{"cannot call GPL only function from proprietary program",
		 "its license is not GPL-compatible"},
	};

	for (const auto &[text, cause] : causes)
		if (log.find(text) != std::string_view::npos)
			return std::string(" (") + cause + ")";
	return "";
}

constexpr size_t last_lines = 10; // of the verifier, without --verbose

[[noreturn]] static void rejected(const std::string &what, std::string_view log,
				  const std::vector<std::string> &lines)
{
	size_t from = speak || lines.size() < last_lines ? 0 : lines.size() - last_lines;
	std::string text = "rejected by the verifier" + why_rejected(log);

	for (size_t i = from; i < lines.size(); i++)
		text += "\n    " + lines[i];
	fail(what, text);
}

static void load(struct bpf_object *object, struct bpf_program *program, const Options &o)
{
	std::string what =
		"load program " + quote(bpf_program__name(program)) + " of " + quote(o.object);
	// The most that kernels before 5.2 take. Only what is written costs memory.
	constexpr size_t log_size = (1 << 24) - 1;
	auto log = std::make_unique_for_overwrite<char[]>(log_size);

	log[0] = '\0';
	bpf_program__set_log_buf(program, log.get(), log_size);
	warnings.clear();
	int err = bpf_object__load(object);
	if (!err)
		return;
	if (std::vector<std::string> lines = verifier_lines(log.get()); !lines.empty())
		rejected(what, log.get(), lines);
	if (err == -EPERM)
		fail(EPERM, what,
		     "needs CAP_BPF and, for its type, CAP_NET_ADMIN or CAP_PERFMON; before Linux "
		     "5.11 also memory to lock: ulimit -l");
	std::string said = libbpf_said();
	char reason[128];
	libbpf_strerror(err == -enotsupp ? -EOPNOTSUPP : err, reason, sizeof(reason));
	fail(what, reason + (said.empty() ? "" : " (" + said + ")"));
}

static Fd duplicate(int fd)
{
	Fd copy(fcntl(fd, F_DUPFD_CLOEXEC, 0));

	if (!copy)
		fail(errno, "duplicate a file descriptor");
	return copy;
}

static void report(const Fd &program, const std::vector<Map> &maps, const Options &o)
{
	struct bpf_prog_info info = prog_info(program);

	for (const Map &map : maps)
		printf("map %u %s '%s'\n", map_info(map.fd).id,
		       map.reused ? "reused from" : "pinned at", map.path.c_str());
	printf("program %u, %s, pinned at '%s'\n", info.id, prog_type_name(info.type).c_str(),
	       o.pin.c_str());
	flush_stdout();
}

// Pins the program and the new maps: all or none.
static void pin(const Fd &program, std::vector<Map> &maps, const Options &o)
{
	std::vector<Pin> pins;

	for (Map &map : maps) {
		if (map.reused)
			continue;
		map.fd = duplicate(bpf_map__fd(map.map));
		pins.push_back({map.fd, map.path});
	}
	// Last: whoever finds it, finds its maps.
	pins.push_back({program, o.pin, o.replace});
	std::function<void()> say;
	if (o.common.verbose)
		say = [&] { report(program, maps, o); };
	pin_all(pins, o.access, o.maps, say);
}

static int prog_load(int argc, char **argv)
{
	Options o;

	if (!parse(argc, argv, o))
		return 0;
	speak = o.common.verbose;
	libbpf_set_print(listen);

	Elf elf(o.object);
	Function function = choose(elf, o);
	check_pin_path(o.pin, o.replace);
	// A link or a map that nobody else holds would be gone.
	if (o.replace && access(o.pin.c_str(), F_OK) == 0)
		open_pinned(ObjectKind::Prog, o.pin);
	if (!o.maps.empty())
		check_pin_directory(o.maps);

	std::string section = function.section;
	if (function.in_text() || !o.type.empty())
		section = o.type.empty() ? "xdp" : o.type;
	// A '?' is no part of the name to libbpf, but makes it another than any other here.
	if (section != function.section)
		elf.add_program(function, "?" + section);

	Object object = open_object(elf, o);
	struct bpf_program *program = select_program(object.get(), function, section, o);
	for (const Setting &setting : o.settings)
		set_variable(object.get(), setting, o);
	std::vector<Map> maps = reuse_maps(object.get(), o);
	load(object.get(), program, o);

	pin(duplicate(bpf_program__fd(program)), maps, o);
	return 0;
}

int main(int argc, char **argv)
{
	return run_tool("prog-load", prog_load, argc, argv);
}
