// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "variables.h"

#include <bpf/bpf.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <set>
#include <span>
#include <string_view>

#include "../lib/cli.h"
#include "../lib/json.h"
#include "../lib/lines.h"
#include "../lib/part.h"
#include "../lib/printer.h"
#include "../lib/value.h"
#include "change.h"
#include "text.h"

using Buffer = std::vector<unsigned char>;

// There is no variable, or no part of one, of this name.
struct NoVariable : std::runtime_error {
	using std::runtime_error::runtime_error;
};

// A variable that is to be set, or a part of one; the value is in the new section.
struct Setting {
	std::string name;
	Part part;
};

static Buffer read_section(const OpenMap &map)
{
	const __u32 zero = 0;
	Buffer section(map.info.value_size);

	if (bpf_map_lookup_elem(map.fd.get(), &zero, section.data()))
		fail(errno, "read map " + quote(map.path));
	return section;
}

// The first names, so that the message stays a line.
static std::string some_names(const Type &section)
{
	constexpr size_t most = 8;
	std::string out;

	for (size_t i = 0; i < std::min(most, section.members.size()); i++)
		out += (i ? ", " : "") + section.members[i].name;
	return out + (section.members.size() > most ? ", ..." : "");
}

static Part find_variable(const OpenMap &map, std::string_view path)
{
	const Type::Member *found = nullptr;
	bool several = false;

	for (const Type::Member &m : map.value.members) {
		if (!is_meant(path, m.name) || (found && m.name.size() < found->name.size()))
			continue;
		several = found && m.name == found->name;
		found = &m;
	}
	if (several) // static ones, of several files
		throw NoVariable("several variables have this name");
	if (!found)
		throw NoVariable("no such variable (there are: " + some_names(map.value) + ")");
	try {
		Part part = find_part(found->type, path.substr(found->name.size()));

		return {part.type, found->offset + part.offset};
	} catch (const ValueError &e) {
		throw NoVariable(e.what());
	}
}

// ---- printing

static void print_entry(std::string_view name, const Type &type, const unsigned char *at,
			const Format &format, std::string &out)
{
	Bytes bytes = {at, type.size};

	if (format.json) {
		out += R"({"key":)" + json_string(name) + R"(,"value":)";
		Printer(type, Form::Json).append(bytes, out);
		out += '}';
		return;
	}
	out += name;
	out += '=';
	Printer(type, Form::Text).append(bytes, out);
}

void show_variables(const OpenMap &map, const Format &format)
{
	Buffer section = read_section(map);
	std::string out = format.json ? "[" : "";
	bool first = true;

	for (const Type::Member &m : map.value.members) {
		if (format.json && !first)
			out += ',';
		first = false;
		print_entry(m.name, m.type, section.data() + m.offset, format, out);
		out += format.json ? "" : "\n";
	}
	if (format.json)
		out += ']';
	if (format.pretty)
		out = indent_json(out);
	out += format.json ? "\n" : "";
	write_out(out, 0);
}

void get_variable(const OpenMap &map, const std::string &name, const Format &format)
{
	Buffer section = read_section(map);
	std::string out;

	try {
		Part part = find_variable(map, name);
		const unsigned char *at = section.data() + part.offset;

		if (format.json)
			print_entry(name, *part.type, at, format, out);
		else
			Printer(*part.type, Form::Text).append({at, part.type->size}, out);
	} catch (const NoVariable &e) {
		fail("get " + quote(name) + " from map " + quote(map.path), e.what());
	}
	if (format.pretty)
		out = indent_json(out);
	out += '\n';
	write_out(out, 0);
}

// ---- setting

// Read NAME[=VALUE], and put the value into the section.
static Setting parse_setting(const OpenMap &map, std::string_view text, bool in_file,
			     std::span<unsigned char> section)
{
	size_t end = std::min(text.find_first_of(in_file ? " \t=#" : "="), text.size());
	Setting setting = {std::string(text.substr(0, end)), {}};

	setting.part = find_variable(map, setting.name);
	const Type &type = *setting.part.type;
	parse_assignment(type, text.substr(end), in_file,
			 section.subspan(setting.part.offset, type.size));
	return setting;
}

// The memory that the program has as well: what is not to be set is not touched, though it may
// change meanwhile.
class Mapping
{
public:
	explicit Mapping(const OpenMap &map)
	    : size_(map.info.value_size),
	      at_(mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_SHARED, map.fd.get(), 0))
	{
		if (at_ == MAP_FAILED)
			fail(errno, "map the memory of map " + quote(map.path),
			     why_not(map, errno));
	}
	Mapping(const Mapping &) = delete;
	Mapping &operator=(const Mapping &) = delete;
	~Mapping()
	{
		munmap(at_, size_);
	}

	std::span<unsigned char> bytes() const
	{
		return {static_cast<unsigned char *>(at_), size_};
	}

private:
	size_t size_;
	void *at_;
};

template <typename Integer> static bool store_at_once(unsigned char *to, const unsigned char *from)
{
	Integer value;

	if (reinterpret_cast<uintptr_t>(to) % sizeof(Integer))
		return false;
	memcpy(&value, from, sizeof(value));
	__atomic_store_n(reinterpret_cast<Integer *>(to), value, __ATOMIC_RELAXED);
	return true;
}

// The program sees the old number or the new one.
static void store_bytes(unsigned char *to, const unsigned char *from, __u32 size)
{
	if ((size == 8 && store_at_once<__u64>(to, from)) ||
	    (size == 4 && store_at_once<__u32>(to, from)) ||
	    (size == 2 && store_at_once<__u16>(to, from)))
		return;
	memcpy(to, from, size);
}

// Set a part of the section at `to` as it is in `section`.
static void copy_part(const Part &part, const Buffer &section, std::span<unsigned char> to)
{
	const Type &type = *part.type;
	Bytes from = {section.data() + part.offset, type.size};

	to = to.subspan(part.offset, type.size);
	if (type.bits)
		store(type, integer(type, from), to);
	else
		store_bytes(to.data(), from.data(), type.size);
}

static void apply(const OpenMap &map, const std::vector<Setting> &settings, const Buffer &section,
		  const std::string &what)
{
	const __u32 zero = 0;

	if (settings.empty())
		return;
	// What a program may only read, the kernel lets nobody write by memory.
	if (!(map.info.map_flags & BPF_F_MMAPABLE) || map.info.map_flags & BPF_F_RDONLY_PROG) {
		if (bpf_map_update_elem(map.fd.get(), &zero, section.data(), BPF_ANY))
			fail(errno, what, why_not(map, errno));
		return;
	}
	Mapping mapping(map);
	for (const Setting &s : settings)
		copy_part(s.part, section, mapping.bytes());
}

void set_variables(const OpenMap &map, const std::vector<std::string> &args,
		   const DirectoryLock &lock)
{
	std::string what = "set variables of map " + quote(map.path);

	lock_map(map, lock);
	Buffer section = read_section(map);
	std::vector<Setting> settings;

	for (const std::string &arg : args) {
		try {
			settings.push_back(parse_setting(map, arg, false, section));
		} catch (const NoVariable &e) {
			fail("set " + quote(arg) + " in map " + quote(map.path), e.what());
		} catch (const ValueError &e) {
			throw UsageError("KEY[=VALUE] " + quote(arg) + ": " + e.what());
		}
	}
	apply(map, settings, section, what);
}

static std::vector<Setting> parse_file(const OpenMap &map, const std::string &path,
				       const std::string &what, std::span<unsigned char> section)
{
	constexpr size_t longest = size_t{1} << 24; // bytes of a line
	constexpr size_t most = 1000000;	    // settings: the input may have no end
	Lines lines(path, "#", longest);
	std::vector<Setting> settings;
	std::string_view line;

	while (lines.next(line)) {
		if (lines.is_cut())
			fail(lines.what(), "a line is longer than 16 MiB");
		try {
			settings.push_back(parse_setting(map, line, true, section));
		} catch (const std::runtime_error &e) {
			lines.print_bad(e.what());
		}
		lines.check_bad(what, ", nothing is changed");
		if (settings.size() > most)
			fail(what, "it has more than " + std::to_string(most) +
					   " lines, nothing is changed");
	}
	if (lines.bad())
		fail(what, bad_lines(lines.bad()) + ", nothing is changed");
	return settings;
}

static bool is_same(const Part &part, const Buffer &before, const Buffer &after)
{
	Bytes a = {&before[part.offset], part.type->size};
	Bytes b = {&after[part.offset], part.type->size};

	if (part.type->bits)
		return integer(*part.type, a) == integer(*part.type, b);
	return std::equal(a.begin(), a.end(), b.begin());
}

// Keep the settings that change something, each once.
static void keep_changes(std::vector<Setting> &settings, const Buffer &before, const Buffer &after)
{
	std::set<std::string> seen;

	std::erase_if(settings, [&](const Setting &s) {
		return !seen.insert(s.name).second || is_same(s.part, before, after);
	});
}

static void print_changes(const std::vector<Setting> &settings, const Buffer &before,
			  const Buffer &after, bool dry_run, const Format &format)
{
	std::string count = std::to_string(settings.size());
	std::string out;

	for (const Setting &s : settings) {
		const Type &type = *s.part.type;
		Bytes old = {&before[s.part.offset], type.size};
		Bytes now = {&after[s.part.offset], type.size};
		Printer printer(type, format.json ? Form::Json : Form::Text);

		if (!dry_run)
			break;
		if (format.json)
			out += (out.empty() ? "" : ",") + (R"({"action":"change","key":)" +
							   json_string(s.name) + R"(,"old":)");
		else
			out += "~ " + s.name + '=';
		printer.append(old, out);
		out += format.json ? R"(,"value":)" : " -> ";
		printer.append(now, out);
		out += format.json ? '}' : '\n';
	}
	if (!format.json)
		out += "0 added, " + count + " changed";
	else
		out = (dry_run ? R"({"changes":[)" + out + "]," : "{") + R"("added":0,"changed":)" +
		      count + "}";
	if (format.pretty)
		out = indent_json(out);
	out += '\n';
	write_out(out, 0);
}

void load_variables(const OpenMap &map, const std::string &path, bool dry_run,
		    const DirectoryLock &lock, const Format &format)
{
	std::string what = "load " + (path == "-" ? "standard input" : quote(path));
	Buffer parsed = read_section(map);
	std::vector<Setting> settings = parse_file(map, path, what, parsed);

	if (!dry_run) {
		check_stdout();
		lock_map(map, lock);
	}
	Buffer before = read_section(map);
	Buffer after = before;
	for (const Setting &s : settings)
		copy_part(s.part, parsed, after);
	keep_changes(settings, before, after);
	if (!dry_run)
		apply(map, settings, after, what + " into map " + quote(map.path));
	print_changes(settings, before, after, dry_run, format);
	if (!dry_run)
		flush_stdout("but it is done: 0 added, " + std::to_string(settings.size()) +
			     " changed");
}
