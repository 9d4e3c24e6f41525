// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "print.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <nlohmann/json.hpp>
#include <numeric>
#include <string>
#include <vector>

#include "../lib/cli.h"
#include "../lib/json.h"
#include "../lib/value.h"
#include "../lib/value_json.h"
#include "text.h"

using Json = nlohmann::ordered_json;

static std::string to_text(const Json &json, const Format &format)
{
	return json_text(json, format.pretty, true);
}

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
	explicit EntryPrinter(const OpenMap &map) : map_(map)
	{
	}

	void key(const unsigned char *key, std::string &out) const
	{
		print_value(map_.key, {key, map_.key.size}, out);
	}

	void value(const unsigned char *values, std::string &out)
	{
		if (holds_sockets(map_.info.type))
			out += cookie_text(values);
		else
			print_value(map_.value, sum(values), out);
	}

	// The value of each CPU, as a comment: load and sync can read the line.
	void per_cpu_values(const unsigned char *values, std::string &out) const
	{
		for (int cpu = 0; cpu < map_.values.count; cpu++) {
			out += (cpu ? ", cpu" : " # cpu") + std::to_string(cpu) + " ";
			print_value(map_.value, value_of(values, cpu), out);
		}
	}

	Json json_key(const unsigned char *key) const
	{
		return to_json(map_.key, {key, map_.key.size});
	}

	Json json_value(const unsigned char *values)
	{
		if (holds_sockets(map_.info.type))
			return cookie_text(values);
		return to_json(map_.value, sum(values));
	}

	Json json(const unsigned char *key, const unsigned char *values, bool per_cpu)
	{
		Json entry = {{"key", json_key(key)}, {"value", json_value(values)}};

		for (int cpu = 0; per_cpu && cpu < map_.values.count; cpu++)
			entry["values"].push_back(
				{{"cpu", cpu},
				 {"value", to_json(map_.value, value_of(values, cpu))}});
		return entry;
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
	std::vector<unsigned char> sum_; // a member to be allocated only once
};

void print_entry(const OpenMap &map, const unsigned char *key, const unsigned char *values,
		 const Format &format)
{
	EntryPrinter printer(map);
	std::string out;

	if (format.json) {
		out = to_text(printer.json(key, values, format.per_cpu), format);
	} else {
		printer.value(values, out);
		if (format.per_cpu)
			printer.per_cpu_values(values, out);
	}
	out += '\n';
	write_out(out, 0);
}

// ---- all entries

static void print_text(const OpenMap &map, const Entries &entries, const std::vector<__u32> &order,
		       bool per_cpu)
{
	EntryPrinter printer(map);
	std::string out;

	for (__u32 i : order) {
		printer.key(entries.key(i), out);
		out += '=';
		printer.value(entries.value(i), out);
		if (per_cpu)
			printer.per_cpu_values(entries.value(i), out);
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
	EntryPrinter printer(map);
	std::string out;
	bool first = true;

	for (__u32 i : order) {
		std::string entry = to_text(
			printer.json(entries.key(i), entries.value(i), format.per_cpu), format);

		out += first ? "[" : ",";
		if (format.pretty) {
			indent(entry);
			out += "\n    ";
		}
		out += entry;
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
	EntryPrinter printer(map);
	std::string out;
	Json json;

	auto add = [&](const char *action, const char *, const unsigned char *key,
		       const unsigned char *before, const unsigned char *after) {
		Json entry = {{"action", action}, {"key", printer.json_key(key)}};

		if (before)
			entry[after ? "old" : "value"] = printer.json_value(before);
		if (after)
			entry["value"] = to_json(map.value, {after, map.value.size});
		json["changes"].push_back(std::move(entry));
	};
	if (summary.entries) {
		json["changes"] = Json::array();
		each_change(map, now, wanted, change, add);
	}
	json["added"] = change.added.size();
	json["changed"] = change.changed.size();
	if (summary.removed)
		json["removed"] = change.removed.size();
	out = to_text(json, format) + '\n';
	write_out(out, 0);
}

static void print_text_change(const OpenMap &map, const Entries &now, const Entries &wanted,
			      const Change &change, Summary summary)
{
	EntryPrinter printer(map);
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
			print_value(map.value, {after, map.value.size}, out);
		out += '\n';
		write_out(out);
	};
	if (summary.entries)
		each_change(map, now, wanted, change, add);
	out += std::to_string(change.added.size()) + " added, " +
	       std::to_string(change.changed.size()) + " changed";
	if (summary.removed)
		out += ", " + std::to_string(change.removed.size()) + " removed";
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
