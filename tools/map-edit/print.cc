// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "print.h"

#include <net/if.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>
#include <numeric>
#include <string>
#include <vector>

#include "../lib/cli.h"
#include "../lib/json.h"
#include "../lib/printer.h"
#include "text.h"

// The entries with these numbers, in the order of their keys.
static std::vector<__u32> by_key(const OpenMap &map, const Entries &entries,
				 std::vector<__u32> numbers)
{
	std::sort(numbers.begin(), numbers.end(), [&](__u32 a, __u32 b) {
		return compare_values(map.key, entries.key(a), entries.key(b)) < 0;
	});
	return numbers;
}

// ---- one entry

// The cookie of a socket, as ss(8) prints it.
static std::string cookie_text(const unsigned char *value)
{
	unsigned long long cookie;
	char text[24];

	memcpy(&cookie, value, sizeof(cookie));
	snprintf(text, sizeof(text), "%llx", cookie);
	return text;
}

// Writes the parts of an entry. `values` are the values of all CPUs.
class EntryPrinter
{
public:
	EntryPrinter(const OpenMap &map, bool json)
	    : map_(map), json_(json), key_(map.key, json ? Form::Json : Form::Text),
	      value_(map.value, json ? Form::Json : Form::Text)
	{
	}

	void key(const unsigned char *key, std::string &out) const
	{
		key_.append({key, map_.key.size}, out);
	}

	void value(const unsigned char *values, std::string &out)
	{
		if (!holds_sockets(map_.info.type))
			value_.append(sum(values), out);
		else
			out += json_ ? '"' + cookie_text(values) + '"' : cookie_text(values);
	}

	// The name that a device has in this network namespace, or "".
	std::string device(const unsigned char *value) const
	{
		std::array<char, IF_NAMESIZE> name;
		unsigned ifindex = 0;

		if (!holds_devices(map_.info.type))
			return {};
		memcpy(&ifindex, value, sizeof(ifindex));
		return if_indextoname(ifindex, name.data()) ? name.data() : "";
	}

	// What is known beside the value, as a comment: load and sync can read the line.
	void comment(const unsigned char *values, bool per_cpu, std::string &out) const
	{
		if (per_cpu)
			per_cpu_values(values, out);
		if (std::string name = device(values); !name.empty())
			out += " # " + printable(name);
	}

	// A value that is not per CPU.
	void one_value(const unsigned char *value, std::string &out) const
	{
		value_.append({value, map_.value.size}, out);
	}

	void per_cpu_values(const unsigned char *values, std::string &out) const
	{
		for (int cpu = 0; cpu < map_.values.count; cpu++) {
			out += (cpu ? ", cpu" : " # cpu") + std::to_string(cpu) + " ";
			value_.append(value_of(values, cpu), out);
		}
	}

	void json(const unsigned char *key, const unsigned char *values, bool per_cpu,
		  std::string &out)
	{
		out += R"({"key":)";
		this->key(key, out);
		out += R"(,"value":)";
		value(values, out);
		if (std::string name = device(values); !name.empty())
			out += R"(,"ifname":)" + json_string(name);
		for (int cpu = 0; per_cpu && cpu < map_.values.count; cpu++) {
			out += cpu ? "," : R"(,"values":[)";
			out += R"({"cpu":)" + std::to_string(cpu) + R"(,"value":)";
			value_.append(value_of(values, cpu), out);
			out += '}';
		}
		out += per_cpu ? "]}" : "}";
	}

private:
	Bytes value_of(const unsigned char *values, int cpu) const
	{
		return {values + size_t{map_.values.stride} * cpu, map_.value.size};
	}

	Bytes sum(const unsigned char *values)
	{
		sum_.assign(map_.value.size, 0);
		sum_cpus(map_.values, map_.value, values, sum_.data());
		return sum_;
	}

	const OpenMap &map_;
	bool json_;
	Printer key_;
	Printer value_;
	std::vector<unsigned char> sum_; // a member to be allocated only once
};

void print_entry(const OpenMap &map, const unsigned char *key, const unsigned char *values,
		 const Format &format)
{
	EntryPrinter printer(map, format.json);
	std::string out;

	if (format.json) {
		printer.json(key, values, format.per_cpu, out);
		if (format.pretty)
			out = indent_json(out);
	} else {
		printer.value(values, out);
		printer.comment(values, format.per_cpu, out);
	}
	out += '\n';
	write_out(out, 0);
}

// ---- all entries

static void print_text(const OpenMap &map, const Entries &entries, const std::vector<__u32> &order,
		       bool per_cpu)
{
	EntryPrinter printer(map, false);
	std::string out;

	for (__u32 i : order) {
		printer.key(entries.key(i), out);
		out += '=';
		printer.value(entries.value(i), out);
		printer.comment(entries.value(i), per_cpu, out);
		out += '\n';
		write_out(out);
	}
	write_out(out, 0);
}

static void indent(std::string &lines)
{
	for (size_t at = 0; (at = lines.find('\n', at)) != std::string::npos;)
		lines.insert(at += 1, 4, ' ');
}

// One array, written piece by piece: as one object it would need much memory.
static void print_array(const OpenMap &map, const Entries &entries, const std::vector<__u32> &order,
			const Format &format)
{
	EntryPrinter printer(map, true);
	std::string out;
	bool first = true;

	for (__u32 i : order) {
		size_t begin = out.size() + 1;

		out += first ? '[' : ',';
		printer.json(entries.key(i), entries.value(i), format.per_cpu, out);
		if (format.pretty) {
			std::string entry = indent_json(std::string_view(out).substr(begin));

			indent(entry);
			out.replace(begin, out.size(), "\n    " + entry);
		}
		first = false;
		write_out(out);
	}
	out += first ? "[]\n" : format.pretty ? "\n]\n" : "]\n";
	write_out(out, 0);
}

void print_entries(const OpenMap &map, const Entries &entries, const Format &format)
{
	std::vector<__u32> order(entries.size());

	std::iota(order.begin(), order.end(), 0);
	order = by_key(map, entries, std::move(order));
	if (format.json)
		print_array(map, entries, order, format);
	else
		print_text(map, entries, order, format.per_cpu);
}

// ---- a change

// Call f(action, sign, key, values before, value after) for each entry that changes; what it does
// not have before, or after, is a nullptr.
template <typename Function>
static void each_change(const OpenMap &map, const Entries &now, const Entries &wanted,
			const Change &change, Function f)
{
	for (__u32 i : by_key(map, now, change.removed))
		f("remove", "- ", now.key(i), now.value(i), nullptr);
	for (__u32 i : by_key(map, wanted, change.changed))
		f("change", "~ ", wanted.key(i), now.value(now.find(wanted.key(i))),
		  wanted.value(i));
	for (__u32 i : by_key(map, wanted, change.added))
		f("add", "+ ", wanted.key(i), nullptr, wanted.value(i));
}

static void print_json_change(const OpenMap &map, const Entries &now, const Entries &wanted,
			      const Change &change, Summary summary, const Format &format)
{
	EntryPrinter printer(map, true);
	const char *separator = R"({"changes":[)";
	std::string out;

	auto add = [&](const char *action, const char *, const unsigned char *key,
		       const unsigned char *before, const unsigned char *after) {
		out += separator;
		out += R"({"action":")" + std::string(action) + R"(","key":)";
		printer.key(key, out);
		if (before) {
			out += after ? R"(,"old":)" : R"(,"value":)";
			printer.value(before, out);
		}
		if (after) {
			out += R"(,"value":)";
			printer.one_value(after, out);
		}
		out += '}';
		separator = ",";
	};
	if (summary.entries) {
		each_change(map, now, wanted, change, add);
		out += out.empty() ? R"({"changes":[],)" : "],";
	} else {
		out = "{";
	}
	out += R"("added":)" + std::to_string(change.added.size()) + R"(,"changed":)" +
	       std::to_string(change.changed.size());
	if (summary.removed)
		out += R"(,"removed":)" + std::to_string(change.removed.size());
	if (summary.format)
		out += R"(,"format":")" + std::string(format_name(*summary.format)) + '"';
	out += '}';
	if (format.pretty)
		out = indent_json(out);
	out += '\n';
	write_out(out, 0);
}

std::string count_changes(const Change &change, bool removed)
{
	return std::to_string(change.added.size()) + " added, " +
	       std::to_string(change.changed.size()) + " changed" +
	       (removed ? ", " + std::to_string(change.removed.size()) + " removed" : "");
}

static void print_text_change(const OpenMap &map, const Entries &now, const Entries &wanted,
			      const Change &change, Summary summary)
{
	EntryPrinter printer(map, false);
	std::string out;

	auto add = [&](const char *, const char *sign, const unsigned char *key,
		       const unsigned char *before, const unsigned char *after) {
		out += sign;
		printer.key(key, out);
		out += '=';
		if (before)
			printer.value(before, out);
		if (before && after)
			out += " -> ";
		if (after)
			printer.one_value(after, out);
		out += '\n';
		write_out(out);
	};
	if (summary.entries)
		each_change(map, now, wanted, change, add);
	out += count_changes(change, summary.removed);
	if (summary.format && *summary.format != ListFormat::Plain)
		out += std::string(" (") + format_name(*summary.format) + ")";
	out += '\n';
	write_out(out, 0);
}

void print_change(const OpenMap &map, const Entries &now, const Entries &wanted,
		  const Change &change, Summary summary, const Format &format)
{
	if (format.json)
		print_json_change(map, now, wanted, change, summary, format);
	else
		print_text_change(map, now, wanted, change, summary);
}
