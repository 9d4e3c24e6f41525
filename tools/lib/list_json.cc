// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// One line of a list of JSON objects, RFC 8259. The JSON library would make each helper that reads
// lists a third larger, for a line that has two members that count.
#include "list_json.h"

#include <charconv>

#include "scan.h"

constexpr int deepest = 64; // arrays and objects in each other

static void skip_white(std::string_view &text)
{
	text.remove_prefix(std::min(text.find_first_not_of(" \t\n\r"), text.size()));
}

// What follows a backslash: another character. Returns false where nothing may be like this.
static bool read_escape(std::string_view &text, std::string &out)
{
	constexpr std::string_view escapes = "\"\\/bfnrt";
	constexpr std::string_view meant = "\"\\/\b\f\n\r\t";
	unsigned char high;
	unsigned char low;

	if (skip(text, 'u')) {
		if (!read_hex_byte(text, high) || !read_hex_byte(text, low))
			return false;
		out += high || low > 0x7f ? '?' : static_cast<char>(low); // no address has others
		return true;
	}
	size_t at = text.empty() ? escapes.npos : escapes.find(text[0]);
	if (at == escapes.npos)
		return false;
	out += meant[at];
	text.remove_prefix(1);
	return true;
}

static bool read_string(std::string_view &text, std::string &out)
{
	out.clear();
	if (!skip(text, '"'))
		return false;
	while (!text.empty() && text[0] != '"') {
		unsigned char c = text[0];

		text.remove_prefix(1);
		if (c < 0x20 || (c == '\\' && !read_escape(text, out)))
			return false;
		if (c != '\\')
			out += static_cast<char>(c);
	}
	return skip(text, '"');
}

static bool skip_digits(std::string_view &text)
{
	size_t digits = 0;

	for (; !text.empty() && is_digit(text[0]); digits++)
		text.remove_prefix(1);
	return digits;
}

static bool skip_number(std::string_view &text)
{
	skip(text, '-');
	if (!skip(text, '0') && !skip_digits(text))
		return false;
	if (skip(text, '.') && !skip_digits(text))
		return false;
	if (skip(text, 'e') || skip(text, 'E')) {
		if (!skip(text, '+'))
			skip(text, '-');
		return skip_digits(text);
	}
	return true;
}

static bool skip_word(std::string_view &text, std::string_view word)
{
	if (!text.starts_with(word))
		return false;
	text.remove_prefix(word.size());
	return true;
}

// Reads a line and keeps the members of the outermost object that count.
class LineReader
{
public:
	explicit LineReader(ListedObject &object) : object_(object)
	{
	}

	bool read_object(std::string_view &text, int depth)
	{
		std::string name;

		skip_white(text);
		if (!skip(text, '{'))
			return false;
		skip_white(text);
		if (skip(text, '}'))
			return true;
		do {
			skip_white(text);
			if (!read_string(text, name))
				return false;
			skip_white(text);
			if (!skip(text, ':'))
				return false;
			skip_white(text);
			std::string_view value = text;
			if (!read_value(text, depth))
				return false;
			if (!depth)
				keep(name, value.substr(0, value.size() - text.size()));
			skip_white(text);
		} while (skip(text, ','));
		return skip(text, '}');
	}

private:
	bool read_array(std::string_view &text, int depth)
	{
		text.remove_prefix(1);
		skip_white(text);
		if (skip(text, ']'))
			return true;
		do {
			skip_white(text);
			if (!read_value(text, depth))
				return false;
			skip_white(text);
		} while (skip(text, ','));
		return skip(text, ']');
	}

	bool read_value(std::string_view &text, int depth)
	{
		if (depth == deepest)
			return false;
		switch (text.empty() ? '\0' : text[0]) {
		case '"':
			return read_string(text, value_);
		case '{':
			return read_object(text, depth + 1);
		case '[':
			return read_array(text, depth + 1);
		case 't':
			return skip_word(text, "true");
		case 'f':
			return skip_word(text, "false");
		case 'n':
			return skip_word(text, "null");
		default:
			return skip_number(text);
		}
	}

	void keep(const std::string &name, std::string_view value)
	{
		bool is_text = value.starts_with('"');

		if (name == "cidr" || name == "type") {
			std::optional<std::string> &member =
				name == "cidr" ? object_.cidr : object_.type;

			object_.is_odd |= member.has_value() || !is_text;
			member = is_text ? value_ : "";
		} else if (name == "records") {
			size_t number = 0;
			auto [end, error] = std::from_chars(value.begin(), value.end(), number);

			object_.is_odd |= object_.records.has_value() || error != std::errc() ||
					  end != value.end();
			object_.records = number;
		}
	}

	ListedObject &object_;
	std::string value_; // the last string
};

std::optional<ListedObject> read_listed_object(std::string_view line)
{
	ListedObject object;

	if (!LineReader(object).read_object(line, 0))
		return {};
	skip_white(line);
	if (!line.empty())
		return {};
	return object;
}
