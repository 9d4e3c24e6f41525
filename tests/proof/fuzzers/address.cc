// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// Addresses, CIDRs and MACs, from text to bytes and back. inet_pton(3) and inet_ntop(3) know them.
#include "../../../tools/lib/address.h"

#include <arpa/inet.h>

#include <algorithm>

#include "fuzz.h"

// What libc reads in the whole of the text: 4 or 16 bytes, or 0.
static size_t known_address(const std::string &text, std::array<unsigned char, 16> &out)
{
	if (text.find('\0') != std::string::npos)
		return 0;
	if (inet_pton(AF_INET, text.c_str(), out.data()) == 1)
		return 4;
	return inet_pton(AF_INET6, text.c_str(), out.data()) == 1 ? 16 : 0;
}

static void check_address(std::string_view text)
{
	std::array<unsigned char, 16> address = {};
	std::array<unsigned char, 16> known = {};
	std::string_view rest = text;
	size_t size = scan_address(rest, address);

	if (!size) {
		check(rest == text, "a refused address is removed");
		check(!known_address(std::string(text), known), "a good address is refused");
		return;
	}
	std::string used(text.substr(0, text.size() - rest.size()));
	check(known_address(used, known) == size &&
		      std::equal(known.begin(), known.begin() + static_cast<ptrdiff_t>(size),
				 address.begin()),
	      "another address than libc's: " + used);

	char written[longest_address];
	char libcs[INET6_ADDRSTRLEN];
	char *end = write_address(written, Bytes(address).first(size));
	inet_ntop(size == 4 ? AF_INET : AF_INET6, address.data(), libcs, sizeof(libcs));
	check(std::string(written, end) == libcs, std::string("not written as by libc: ") + libcs);
}

// A CIDR that was read is written, and read again, as the same.
template <size_t size> static void check_cidr(std::string_view text)
{
	std::array<unsigned char, size> address = {};
	std::array<unsigned char, size> again = {};
	std::string written;
	std::string unmapped;
	__u32 length;

	try {
		length = parse_cidr(text, address);
	} catch (const ValueError &) {
		return;
	}
	check(length <= 8 * size, "the prefix is too long");
	auto cleared = address;
	check(!clear_host_bits(cleared, length), "host bits are set");
	append_cidr(written, address, length);
	check(parse_cidr(written, again) == length && again == address,
	      "not the same again: " + written);
	append_unmapped_cidr(unmapped, address, length);
	check(unmapped.size() < longest_cidr, "it is too long: " + unmapped);
	check(parse_cidr(unmapped, again) == length && again == address,
	      "not the same again: " + unmapped);
}

static void check_mac(std::string_view text)
{
	std::array<unsigned char, 6> mac = {};
	std::array<unsigned char, 6> again = {};
	std::array<char, longest_address> written;
	std::string_view rest = text;

	try {
		read_mac(rest, mac);
	} catch (const ValueError &) {
		check(rest == text, "a refused MAC is removed");
		return;
	}
	std::string_view back(written.data(), write_mac(written.data(), mac) - written.data());
	read_mac(back, again);
	check(again == mac && back.empty(), "not the same MAC again");
}

template <size_t size> static void check_read(std::string_view text)
{
	std::array<unsigned char, size> address = {};
	std::string_view rest = text;

	try {
		read_address(rest, address);
		check(rest.size() < text.size(), "nothing is read");
	} catch (const ValueError &) {
		check(rest == text, "a refused address is removed");
	}
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	std::string_view text = as_text(data, size);

	check_address(text);
	check_read<4>(text);
	check_read<16>(text);
	check_cidr<4>(text);
	check_cidr<16>(text);
	check_mac(text);
	has_padded_octet(text);
	return 0;
}
