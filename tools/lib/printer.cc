// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "printer.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <optional>

#include "address.h"
#include "json.h"
#include "lpm.h"
#include "value.h"

using Kind = Type::Kind;

constexpr size_t longest_number = 20; // of any 64 bits

// ---- the steps of a type

Printer::Printer(const Type &type, Form form) : json_(form == Form::Json)
{
	if (form == Form::Unbraced && (type.kind == Kind::Struct || type.kind == Kind::Union))
		add_fields(type, 0, 0);
	else
		add_value(type, 0);
	add_step(Op::Nothing, 0, 0);
	texts_.append(chunk, '\0'); // copy() reads so much
}

Printer::Text Printer::store_text(const std::string &text)
{
	Text stored = {static_cast<__u32>(texts_.size()), static_cast<__u32>(text.size())};

	texts_ += text;
	longest_ += text.size();
	return stored;
}

Printer::Step &Printer::add_step(Op op, __u32 offset, __u32 size)
{
	Step &step = steps_.emplace_back();

	step.op = op;
	step.before = store_text(pending_);
	step.offset = offset;
	step.size = size;
	pending_.clear();
	return step;
}

void Printer::add_integer(const Type &type, Op op, __u32 offset)
{
	constexpr bool is_big_endian = __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__;

	Step &step = add_step(op, offset, type.size);

	step.swap = type.kind == Kind::Be && !is_big_endian;
	step.bits = value_bits(type);
	if (type.bits) {
		bitfields_.push_back(type);
		bitfields_.back().names.clear();
		step.bitfield = bitfields_.size();
	}
	longest_ += longest_number;
}

void Printer::add_enum(const Type &type, __u32 offset)
{
	auto known = [](const Enum &e, __u64 value) {
		return std::any_of(e.names.begin(), e.names.end(),
				   [&](const auto &name) { return name.first == value; });
	};
	Enum e;

	e.is_signed = type.is_signed;
	add_integer(type, Op::Enum, offset);
	steps_.back().detail = enums_.size();
	for (const auto &[value, name] : type.names)
		if (!name.empty() && !known(e, value)) // the first of several names counts
			e.names.emplace_back(value, store_text(json_ ? json_string(name) : name));
	enums_.push_back(std::move(e));
}

void Printer::add_array(const Type &type, __u32 offset)
{
	const Type &each = type.members[0].type;
	size_t at = steps_.size();

	pending_ += '[';
	add_step(Op::Repeat, offset, each.size).count = type.count;
	size_t before = longest_;
	add_value(each, 0);
	add_step(Op::Nothing, 0, 0);
	longest_ = before + (longest_ - before + 1) * type.count;
	steps_[at].body = steps_.size() - at - 1;
	pending_ = ']';
}

// A key that cannot be written as a CIDR, or without its prefixlen, is a struct.
void Printer::add_key(const Type &type, __u32 offset)
{
	size_t at = steps_.size();
	Key key = {type, {}, {}};

	add_step(Op::Lpm, offset, type.size).detail = keys_.size();
	for (const Type::Member &m : type.members) {
		key.labels.push_back(label(m.name));
		key.fields.emplace_back(m.type, json_ ? Form::Json : Form::Text);
		longest_ += key.labels.back().size() + key.fields.back().longest() + 1;
	}
	longest_ += longest_cidr + 4; // quotes, braces
	keys_.push_back(std::move(key));
	add_struct(type, offset);
	add_step(Op::Nothing, 0, 0);
	steps_[at].body = steps_.size() - at - 1;
}

std::string Printer::label(const std::string &name) const
{
	return json_ ? json_string(name) + ':' : name + '=';
}

// Of a union, text has one member, JSON has all.
void Printer::add_fields(const Type &type, __u32 offset, __u32 braces)
{
	auto separate = [&] {
		if (separate_)
			pending_ += json_ ? ',' : ' ';
		separate_ = true;
	};

	for (size_t i = 0; i < type.members.size(); i++) {
		const Type::Member &m = type.members[i];

		if (type.kind == Kind::Union && !json_ && i != type.shown)
			continue;
		if (is_anonymous(m)) {
			add_fields(m.type, offset + m.offset, braces);
			continue;
		}
		separate();
		pending_ += label(m.name);
		add_value(m.type, offset + m.offset);
		separate_ = true; // as it was before the value's own fields
	}
	if (type.kind == Kind::Union && !json_ && is_shown_as_bytes(type)) {
		separate();
		pending_ += '@' + std::to_string(offset - braces) + '=';
		add_value(bytes_of(type.size), offset);
	}
}

void Printer::add_struct(const Type &type, __u32 offset)
{
	pending_ += '{';
	separate_ = false;
	add_fields(type, offset, offset);
	pending_ += '}';
}

void Printer::add_value(const Type &type, __u32 offset)
{
	switch (type.kind) {
	case Kind::Unsigned:
	case Kind::Be:
	case Kind::Ifindex:
		add_integer(type, Op::Integer, offset);
		return;
	case Kind::Signed:
		add_integer(type, Op::Signed, offset);
		return;
	case Kind::Bool:
		add_integer(type, Op::Bool, offset);
		return;
	case Kind::Enum:
		add_enum(type, offset);
		return;
	case Kind::Ip4:
	case Kind::Ip6:
		add_step(Op::Ip, offset, type.size);
		longest_ += longest_address + 2;
		return;
	case Kind::Mac:
		add_step(Op::Mac, offset, type.size);
		longest_ += longest_address + 2;
		return;
	case Kind::Text:
		add_step(Op::Text, offset, type.size);
		longest_ += size_t{6} * type.size + 2; // \u0001
		return;
	case Kind::Hex:
		add_step(Op::Hex, offset, type.size);
		longest_ += size_t{2} * type.size + 2;
		return;
	case Kind::Cidr4:
	case Kind::Cidr6:
	case Kind::Prefix:
		add_key(type, offset);
		return;
	case Kind::Struct:
	case Kind::Union:
		add_struct(type, offset);
		return;
	case Kind::Array:
		add_array(type, offset);
		return;
	}
}

// ---- integers

__u64 Printer::load(const Step &step, const unsigned char *at) const
{
	__u64 eight;
	__u32 four;
	__u16 two;

	if (step.bitfield)
		return integer(bitfields_[step.bitfield - 1], {at, step.size});
	switch (step.size) {
	case 1:
		return *at;
	case 2:
		memcpy(&two, at, sizeof(two));
		return step.swap ? __builtin_bswap16(two) : two;
	case 4:
		memcpy(&four, at, sizeof(four));
		return step.swap ? __builtin_bswap32(four) : four;
	default:
		memcpy(&eight, at, sizeof(eight));
		return step.swap ? __builtin_bswap64(eight) : eight;
	}
}

static __s64 extend(__u64 value, __u32 bits)
{
	return static_cast<__s64>(value << (64 - bits)) >> (64 - bits);
}

template <typename Number> static char *write_number(char *out, Number value)
{
	return std::to_chars(out, out + longest_number, value).ptr;
}

static char *write_bool(__u64 value, char *out)
{
	static constexpr std::string_view words[] = {"false", "true"};

	return value > 1 ? write_number(out, value)
			 : std::copy(words[value].begin(), words[value].end(), out);
}

// ---- text and bytes

// All bytes except the zeros at the end, and no control character, so that it stays on its line.
static char *write_escaped(Bytes bytes, char *out)
{
	static constexpr std::string_view escaped = "\"\\\n\r\t";

	while (!bytes.empty() && !bytes.back())
		bytes = bytes.first(bytes.size() - 1);
	*out++ = '"';
	for (unsigned char byte : bytes) {
		size_t i = escaped.find(static_cast<char>(byte));

		if (i != std::string_view::npos) {
			*out++ = '\\';
			*out++ = "\"\\nrt"[i];
		} else if (byte < 0x20 || byte > 0x7e) {
			*out++ = '\\';
			*out++ = 'x';
			out = write_hex(out, byte);
		} else {
			*out++ = static_cast<char>(byte);
		}
	}
	*out++ = '"';
	return out;
}

char *Printer::write_text(Bytes bytes, char *out) const
{
	if (!json_)
		return write_escaped(bytes, out);
	std::string_view text(reinterpret_cast<const char *>(bytes.data()), bytes.size());

	return write_json_string(out, text.substr(0, text.find('\0')));
}

// ---- any value

char *Printer::copy(char *out, Text t) const
{
	const char *from = text(t);

	memcpy(out, from, chunk);
	for (size_t i = chunk; i < t.size; i += chunk)
		memcpy(out + i, from + i, chunk);
	return out + t.size;
}

char *Printer::write_enum(const Enum &e, const Step &step, const unsigned char *at, char *out) const
{
	__u64 value = load(step, at);

	// Most number their values from 0 on.
	if (value < e.names.size() && e.names[value].first == value)
		return copy(out, e.names[value].second);
	for (const auto &[number, name] : e.names)
		if (number == value)
			return copy(out, name);
	return e.is_signed ? write_number(out, extend(value, step.bits)) : write_number(out, value);
}

char *Printer::write_prefix(const Key &key, Bytes bytes, char *out, __u32 of_last) const
{
	bool first = true;

	*out++ = '{';
	each_covered(key.type, of_last, [&](const Type::Member &m, __u32 length) {
		size_t i = &m - key.type.members.data();
		Bytes field = bytes.subspan(m.offset, m.type.size);

		if (!first)
			*out++ = json_ ? ',' : ' ';
		first = false;
		out = std::copy(key.labels[i].begin(), key.labels[i].end(), out);
		if (!length) {
			out = key.fields[i].write(field, out);
			return;
		}
		if (json_)
			*out++ = '"';
		out = write_unmapped_cidr(out, field, length);
		if (json_)
			*out++ = '"';
	});
	*out++ = '}';
	return out;
}

bool Printer::try_write_key(const Key &key, Bytes bytes, char *&out) const
{
	if (key.type.kind == Kind::Prefix) {
		std::optional<__u32> of_last = covered_of_last(key.type, bytes);

		if (of_last)
			out = write_prefix(key, bytes, out, *of_last);
		return of_last.has_value();
	}
	if (!is_cidr(key.type, bytes))
		return false;
	if (json_)
		*out++ = '"';
	out = write_unmapped_cidr(out, cidr_address(key.type, bytes), prefix_length(bytes));
	if (json_)
		*out++ = '"';
	return true;
}

char *Printer::run(const Step *step, const Step *end, const unsigned char *bytes, char *out) const
{
	for (; step < end; step++) {
		const unsigned char *at = bytes + step->offset;
		Bytes value = {at, step->size};
		auto quoted = [&](auto write) {
			if (json_)
				*out++ = '"';
			out = write();
			if (json_)
				*out++ = '"';
		};

		out = copy(out, step->before);
		switch (step->op) {
		case Op::Nothing:
			break;
		case Op::Integer:
			out = write_number(out, load(*step, at));
			break;
		case Op::Signed:
			out = write_number(out, extend(load(*step, at), step->bits));
			break;
		case Op::Bool:
			out = write_bool(load(*step, at), out);
			break;
		case Op::Enum:
			out = write_enum(enums_[step->detail], *step, at, out);
			break;
		case Op::Ip:
			quoted([&] { return write_address(out, unmap(value)); });
			break;
		case Op::Mac:
			quoted([&] { return write_mac(out, value); });
			break;
		case Op::Text:
			out = write_text(value, out);
			break;
		case Op::Hex:
			quoted([&] {
				char *hex = out;

				for (unsigned char byte : value)
					hex = write_hex(hex, byte);
				return hex;
			});
			break;
		case Op::Repeat:
			for (__u32 i = 0; i < step->count; i++) {
				if (i)
					*out++ = json_ ? ',' : ' ';
				out = run(step + 1, step + 1 + step->body,
					  at + size_t{i} * step->size, out);
			}
			step += step->body;
			break;
		case Op::Lpm:
			// Where it cannot, the steps that follow are those of the struct.
			if (try_write_key(keys_[step->detail], value, out))
				step += step->body;
			break;
		}
	}
	return out;
}

char *Printer::write(Bytes bytes, char *out) const
{
	return run(steps_.data(), steps_.data() + steps_.size(), bytes.data(), out);
}

void Printer::append(Bytes bytes, std::string &out) const
{
	size_t before = out.size();

	out.resize(before + longest());
	out.resize(write(bytes, out.data() + before) - out.data());
}
