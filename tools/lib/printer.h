// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// Values by type, as text and as JSON.
#pragma once

#include <linux/types.h>

#include <string>
#include <utility>
#include <vector>

#include "scan.h"
#include "type.h"

// How a value is printed: as value.h has it; the same, but the fields of the outermost struct or
// union are without braces; or as JSON on one line, in ASCII. There integers are numbers; a struct
// is an object, and so is a union, with all its members; text is a string that ends at its first
// NUL, with U+FFFD for bytes that are no UTF-8. The rest is a string, as it is printed.
enum class Form { Text, Unbraced, Json };

// Prints values of one type. What does not depend on the value is worked out once, as millions of
// events or entries may follow.
class Printer
{
public:
	Printer(const Type &type, Form form);

	// Append the value to `out`. `bytes` holds at least the type's size.
	void append(Bytes bytes, std::string &out) const;

	// The same to memory. Returns the end of the text; up to longest() bytes from `out` on
	// may be written.
	char *write(Bytes bytes, char *out) const;
	size_t longest() const
	{
		return longest_ + chunk;
	}

private:
	// Texts are copied in chunks, without a call.
	static constexpr size_t chunk = 16;

	struct Text {
		__u32 at = 0; // in texts_
		__u32 size = 0;
	};

	enum class Op { Nothing, Integer, Signed, Bool, Enum, Ip, Mac, Text, Hex, Repeat, Lpm };

	// A text, and behind it a value.
	struct Step {
		Op op = Op::Nothing;
		bool swap = false;  // an integer, not of the host's byte order
		__u32 bits = 0;	    // of an integer
		__u32 bitfield = 0; // an index of bitfields_, plus 1; 0: it is none
		Text before;
		__u32 offset = 0; // of the value
		__u32 size = 0;	  // of the value, or of an element
		__u32 count = 0;  // of elements
		__u32 body = 0; // how many steps behind this one are an element, or a key's fields
		__u32 detail = 0; // an index of enums_ or keys_
	};

	struct Enum {
		std::vector<std::pair<__u64, Text>> names;
		bool is_signed = false;
	};

	// The key of an LPM trie where it is not written as the struct that it is: a field each.
	struct Key {
		Type type;
		std::vector<std::string> labels;
		std::vector<Printer> fields;
	};

	Text store_text(const std::string &text);
	Step &add_step(Op op, __u32 offset, __u32 size);
	void add_integer(const Type &type, Op op, __u32 offset);
	void add_enum(const Type &type, __u32 offset);
	void add_array(const Type &type, __u32 offset);
	void add_key(const Type &type, __u32 offset);
	void add_field(const Type::Member &m, __u32 offset);
	void add_fields(const Type &type, __u32 offset, __u32 braces);
	void add_struct(const Type &type, __u32 offset);
	void add_value(const Type &type, __u32 offset);
	std::string label(const std::string &name) const;

	const char *text(Text t) const
	{
		return texts_.data() + t.at;
	}
	__u64 load(const Step &step, const unsigned char *at) const;
	char *copy(char *out, Text t) const;
	char *write_enum(const Enum &e, const Step &step, const unsigned char *at, char *out) const;
	char *write_text(Bytes bytes, char *out) const;
	char *write_prefix(const Key &key, Bytes bytes, char *out, __u32 of_last) const;
	bool try_write_key(const Key &key, Bytes bytes, char *&out) const;
	char *run(const Step *step, const Step *end, const unsigned char *bytes, char *out) const;

	bool json_;
	bool separate_ = false; // a field is before the next one, within the braces
	std::string pending_;	// text for the next step
	std::string texts_;
	std::vector<Step> steps_;
	std::vector<Enum> enums_;
	std::vector<Type> bitfields_;
	std::vector<Key> keys_;
	size_t longest_ = 0;
};
